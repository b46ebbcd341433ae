"""The inner loops of the search, compiled by numba: one threshold at a time.

Everything is counted in whole numbers ("ticks" of the objective, int64), so that sums do not
depend on their order: there is no drift by rounding, and any number of threads gives the same result.

Cuts are thresholds on a grid of confidences (see ``grid``), for N experts and G bins:
    exits: int32 (N,), exit if rank >= cut; 0 lets all samples exit, G lets none exit, G + 1 disables
        the expert. The last expert's is 0.
    skips: int32 (N,), skip the expert if the rank so far is below the cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class Place(NamedTuple):
    """Where a forward pass over the experts stands.

    Attributes:
        expert: the expert that comes next, enabled or not.
        enabled: the enabled experts, rising.
        behind: where the first enabled expert behind this one stands in ``enabled``.
        n_pending: how many samples wait before the expert; ``Workspace.pending`` and ``current`` hold them.
        fresh: no expert has run yet, so that there is no confidence so far.
    """

    expert: int
    enabled: np.ndarray
    behind: int
    n_pending: int
    fresh: bool


class Arrivals(NamedTuple):
    """The samples that arrive at an expert.

    Attributes:
        hist: int64 (G + 1,), by rank: by how much going on costs more than exiting.
        counts: int64 (G + 1,), by rank: how many arrive, where ``min_exits`` needs it.
        n_samples: how many arrive.
        exit_value: their objective if all exit, with the penalty of the expert.
        off_value: their objective with the expert disabled.
    """

    hist: np.ndarray
    counts: np.ndarray
    n_samples: int
    exit_value: int | np.int64
    off_value: int | np.int64


class SweepMode(NamedTuple):
    """What a sweep does.

    Attributes:
        exits, skips: which thresholds to search.
        adopt: take each improvement at once; else only say what each would gain alone.
    """

    exits: bool
    skips: bool
    adopt: bool


class SweepGains(NamedTuple):
    """What a sweep found, for each expert, int64.

    Attributes:
        gain, cut: (2, N), gain and best cut of each exit threshold (row 0) and skip threshold (row 1).
        loss_if_disabled: (N,), by how much the objective rises if each enabled expert alone is disabled.
    """

    gain: np.ndarray
    cut: np.ndarray
    loss_if_disabled: np.ndarray


@njit(cache=True, nogil=True)
def prepare(problem, work, cuts):  # type: ignore[no-untyped-def]
    """Fill ``following`` and, backward, ``value``.

    Returns:
        The enabled experts, rising, and the objective of the policy.
    """
    enabled = np.flatnonzero(cuts.exits <= problem.n_cuts)
    fill_following(work.following, enabled, cuts.skips, problem.n_cuts)
    total = _fill_values(problem, work, cuts.exits, enabled)
    total += problem.exit_penalty * (len(enabled) - 1)
    for i in enabled[1:]:
        if cuts.skips[i] > 0:
            total += problem.skip_penalty
    return enabled, total


@njit(cache=True, nogil=True)
def fill_following(following, enabled, skips, n_cuts):  # type: ignore[no-untyped-def]
    """Fill the workspace's ``following``, from the last expert backward."""
    last = len(enabled) - 1
    following[last, :] = enabled[last]
    for k in range(last - 1, -1, -1):
        skip = min(skips[enabled[k]], n_cuts)
        following[k, :skip] = following[k + 1, :skip]
        following[k, skip:] = enabled[k]


@njit(cache=True, nogil=True)
def _fill_values(problem, work, exits, enabled):  # type: ignore[no-untyped-def]
    """Fill the workspace's ``value``, from the last expert backward; returns the sum over all samples."""
    value, rank, loss, weight = work.value, problem.rank, problem.loss, problem.loss_weight
    n_samples = rank.shape[1]
    last = len(enabled) - 1
    for k in range(last, -1, -1):
        i = enabled[k]
        run, answer = problem.run_cost[i], problem.run_cost[i] + problem.shared_cost[i]
        if k == last:
            for m in range(n_samples):
                value[i, m] = answer + np.int64(weight * loss[i, m])
            continue
        cut, after = exits[i], work.following[k + 1]
        for m in range(n_samples):
            r = rank[i, m]
            if r >= cut:
                value[i, m] = answer + np.int64(weight * loss[i, m])
            else:
                value[i, m] = run + value[after[r], m]
    total = np.int64(0)
    first = enabled[0]
    for m in range(n_samples):
        total += value[first, m]
    return total


@njit(cache=True, nogil=True)
def sweep(problem, work, cuts, mode, gains):  # type: ignore[no-untyped-def]
    """Minimise the objective over one threshold after the other, each exactly (docs/search.md).

    The costs to go are filled backward once; then experts are visited in routing order. A
    change at one expert leaves the values of all later ones as they are, and the samples that arrive there
    are carried along, so that one forward pass improves every threshold in turn.

    Args:
        problem: an :class:`~orxe_plugins.search.engine.integer_problem.IntegerProblem`.
        work: a :class:`~orxe_plugins.search.engine.integer_problem.Workspace`.
        cuts: the policy's cuts; changed in place.
        mode: a :class:`SweepMode`.
        gains: :class:`SweepGains` to fill.

    Returns:
        The objective before, and the sum of the gains that were adopted.
    """
    last = problem.rank.shape[0] - 1
    enabled, before = prepare(problem, work, cuts)
    n_pending = start(work, problem.rank.shape[1])
    fresh = True
    adopted = np.int64(0)
    gains.gain[:] = 0
    gains.loss_if_disabled[:] = 0
    behind = 0
    for i in range(last):
        while enabled[behind] <= i:
            behind += 1
        if n_pending == 0:
            break
        on = cuts.exits[i] <= problem.n_cuts
        if not on and not (mode.exits and problem.allowed[i]):
            continue
        place = Place(i, enabled, behind, n_pending, fresh)
        if mode.exits:
            now, off, best, best_cut = _search_exit(problem, work, cuts, place)
            gains.gain[0, i], gains.cut[0, i] = now - best, best_cut
            if on:
                gains.loss_if_disabled[i] = off - now
            if mode.adopt and best_cut != cuts.exits[i]:
                adopted += now - best
                cuts.exits[i] = best_cut
                if best_cut > problem.n_cuts:
                    cuts.skips[i] = 0
        if mode.skips and not fresh and cuts.exits[i] <= problem.n_cuts:
            now, best, best_cut = _search_skip(problem, work, cuts, place)
            gains.gain[1, i], gains.cut[1, i] = now - best, best_cut
            if mode.adopt and best < now:
                adopted += now - best
                cuts.skips[i] = best_cut
        if cuts.exits[i] <= problem.n_cuts:
            n_pending = advance(problem, work, cuts, place)
            fresh = False
    return before, adopted


@njit(cache=True, nogil=True)
def start(work, n_samples):  # type: ignore[no-untyped-def]
    """All samples wait before the first expert; returns how many."""
    for m in range(n_samples):
        work.pending[m] = m
    return n_samples


@njit(cache=True, nogil=True)
def advance(problem, work, cuts, place):  # type: ignore[no-untyped-def]
    """Let the waiting samples run an enabled expert, or skip it; returns how many still wait behind it."""
    i = place.expert
    exit_cut, skip_cut = cuts.exits[i], cuts.skips[i]
    left = 0
    for x in range(place.n_pending):
        m, r = work.pending[x], work.current[x]
        if place.fresh or r >= skip_cut:
            r = problem.rank[i, m]
            if r >= exit_cut:
                continue
        work.pending[left] = m
        work.current[left] = r
        left += 1
    return left


@njit(cache=True, nogil=True)
def _search_exit(problem, work, cuts, place):  # type: ignore[no-untyped-def]
    """Objective of the samples that arrive at an expert: now, with the expert disabled, at best; and the best cut."""
    i = place.expert
    exit_cut, skip_cut, fresh = cuts.exits[i], cuts.skips[i], place.fresh
    hist, counts, value = work.hist, work.counts, work.value
    rank, loss, weight = problem.rank[i], problem.loss[i], problem.loss_weight
    first, after = place.enabled[place.behind], work.following[place.behind]
    counting = problem.min_exits > 0
    hist[:] = 0
    if counting:
        counts[:] = 0
    off = base = np.int64(0)
    n_arrive = 0
    for x in range(place.n_pending):
        m = work.pending[x]
        without = first
        if not fresh:
            if work.current[x] < skip_cut:
                continue
            without = after[work.current[x]]
        r = rank[m]
        answer = problem.shared_cost[i] + np.int64(weight * loss[m])
        hist[r] += value[after[r], m] - answer
        if counting:
            counts[r] += 1
        base += answer
        off += value[without, m]
        n_arrive += 1
    if n_arrive == 0:
        # Where no sample arrives, an enabled expert has its penalty and no other effect.
        now = problem.exit_penalty if exit_cut <= problem.n_cuts else np.int64(0)
        return now, np.int64(0), np.int64(0), np.int64(problem.n_cuts + 1)
    base += n_arrive * problem.run_cost[i] + problem.exit_penalty
    if skip_cut > 0 and not fresh:
        base += problem.skip_penalty
    now, best, cut = best_exit(problem, i, Arrivals(hist, counts, n_arrive, base, off), exit_cut)
    return now, off, best, cut


@njit(cache=True, nogil=True)
def best_exit(problem, i, arrivals, exit_cut):  # type: ignore[no-untyped-def]
    """Objective of the samples that arrive at expert i: now, at best; and the best cut.

    Args:
        problem: see :func:`sweep`.
        i: the expert.
        arrivals: :class:`Arrivals`, at least one sample.
        exit_cut: the cut now.
    """
    counting = problem.min_exits > 0
    hist, counts, off = arrivals.hist, arrivals.counts, arrivals.off_value
    now = off
    best, cut = off, np.int64(problem.n_cuts + 1)
    legal = True
    total, stay = arrivals.exit_value, 0
    for c in range(problem.n_cuts + (1 if problem.top_allowed[i] else 0)):
        enough = not counting or arrivals.n_samples - stay >= problem.min_exits
        if c == exit_cut:
            now, legal = total, enough
        if total < best and enough:
            best, cut = total, np.int64(c)
        total += hist[c]
        if counting:
            stay += counts[c]
    if best == now and legal and best < off:
        cut = np.int64(exit_cut)
    return now, best, cut


@njit(cache=True, nogil=True)
def _search_skip(problem, work, cuts, place):  # type: ignore[no-untyped-def]
    """Objective of the samples that wait before an expert: now, at the best skip cut; and that cut."""
    work.hist[:] = 0
    total = add_skips(problem, work, cuts, place, work.hist, 1)
    return best_skip(problem, work.hist, total, cuts.skips[place.expert])


@njit(cache=True, nogil=True)
def add_skips(problem, work, cuts, place, hist, sign):  # type: ignore[no-untyped-def]
    """Count the samples that wait before an enabled expert into ``hist``, or out of it.

    Args:
        problem, work, cuts, place: see :func:`sweep`.
        hist: int64 (G + 1,), by rank so far: by how much skipping the expert costs more than running it.
        sign: 1, or -1 to take them out.

    Returns:
        The objective of all of them if all run the expert, times ``sign``.
    """
    i = place.expert
    value, rank, loss, weight = work.value, problem.rank[i], problem.loss[i], problem.loss_weight
    after, exit_cut = work.following[place.behind], cuts.exits[i]
    run, answer = problem.run_cost[i], problem.run_cost[i] + problem.shared_cost[i]
    total = np.int64(0)
    for x in range(place.n_pending):
        m, r = work.pending[x], rank[work.pending[x]]
        inside = answer + np.int64(weight * loss[m]) if r >= exit_cut else run + value[after[r], m]
        hist[work.current[x]] += sign * (value[after[work.current[x]], m] - inside)
        total += inside
    return sign * total


@njit(cache=True, nogil=True)
def best_skip(problem, hist, total, skip_cut):  # type: ignore[no-untyped-def]
    """Objective of the samples that wait before an expert: now, at the best skip cut; and that cut.

    Args:
        problem: see :func:`sweep`.
        hist, total: see :func:`add_skips`.
        skip_cut: the cut now.
    """
    best, cut, now = total, 0, total
    for c in range(1, problem.n_cuts):
        total += hist[c - 1]
        if total + problem.skip_penalty < best:
            best, cut = total + problem.skip_penalty, c
        if c == skip_cut:
            now = total + problem.skip_penalty
    return now, best, cut
