"""The inner loops of the search, compiled by numba: one threshold at a time.

Everything is counted in whole numbers ("ticks" of the objective, int64), so that sums do not
depend on their order: no drift by rounding, and the same result for any number of threads.

Cuts are thresholds on a grid of confidences (see ``grid``), for N experts and G bins:
    exits: int32 (N,), gate 2: exit if rank >= cut; 0 lets everybody exit, G nobody, G + 1 disables
        the expert. The last expert's is 0.
    skips: int32 (N,), gate 1: go past the expert if the rank so far is below the cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_FAR = np.int64(2**62)


class Task(NamedTuple):
    """What is to be minimised, for N experts and M samples.

    Attributes:
        rank: uint16 (N, M), the confidences on one grid that all experts share.
        loss: uint8 or float64 (N, M), 1 - score; times ``weight`` it is the price of an answer.
        run: int64 (N,), price of running each expert.
        passed: int64 (N,), price of having gone past all experts before each one.
        weight: price of a loss of 1: an int where losses are, as whole numbers are multiplied faster.
        gate_price: price of one more enabled expert, over all samples.
        skip_price: price of one more gate 1 in use, over all samples. Pair moves do not look at it.
        n_cuts: number of bins G of the ranks.
        allowed: bool (N,), disabled experts that may be enabled.
        top_allowed: bool (N,), experts where "enabled, but nobody exits" can be written down.
        min_exits: fewest samples that an enabled expert must answer.
    """

    rank: np.ndarray
    loss: np.ndarray
    run: np.ndarray
    passed: np.ndarray
    weight: float | int
    gate_price: int
    skip_price: int
    n_cuts: int
    allowed: np.ndarray
    top_allowed: np.ndarray
    min_exits: int


class Work(NamedTuple):
    """Memory that the kernels work in; nothing in it outlives a call but ``value`` and ``following``.

    Attributes:
        value: int64 (N, M), what a sample still costs from running an enabled expert on ("to go").
        following: uint8 (N, G), ``following[k, r]`` is the expert that a sample of rank r runs next
            of the enabled ones from the k-th on.
        hist: int64 (G + 1,), changes of the objective by rank.
        counts: int64 (G + 1,), samples by rank, where ``min_exits`` asks for them.
        pending: int32 (M,), samples that no expert has answered yet.
        current: uint16 (M,), beside ``pending``: the rank that the last expert gave them.
    """

    value: np.ndarray
    following: np.ndarray
    hist: np.ndarray
    counts: np.ndarray
    pending: np.ndarray
    current: np.ndarray


def work_for(n_experts: int, n_samples: int, n_cuts: int) -> Work:
    """Memory for kernels on N experts, M samples and G bins."""
    return Work(
        np.empty((n_experts, n_samples), dtype=np.int64),
        np.empty((n_experts, n_cuts), dtype=np.uint8),
        np.empty(n_cuts + 1, dtype=np.int64),
        np.empty(n_cuts + 1, dtype=np.int64),
        np.empty(n_samples, dtype=np.int32),
        np.empty(n_samples, dtype=np.uint16),
    )


@njit(cache=True, nogil=True)
def prepare(task, work, exits, skips):  # type: ignore[no-untyped-def]
    """Fill ``following`` and, backward, ``value``.

    Returns:
        The enabled experts, rising, and the objective of the policy.
    """
    enabled = np.flatnonzero(exits <= task.n_cuts)
    fill_following(work.following, enabled, skips, task.n_cuts)
    total = _fill_values(task, work, exits, enabled)
    total += task.gate_price * (len(enabled) - 1)
    for i in enabled[1:]:
        if skips[i] > 0:
            total += task.skip_price
    return enabled, total


@njit(cache=True, nogil=True)
def fill_following(following, enabled, skips, n_cuts):  # type: ignore[no-untyped-def]
    last = len(enabled) - 1
    following[last, :] = enabled[last]
    for k in range(last - 1, -1, -1):
        skip = min(skips[enabled[k]], n_cuts)
        following[k, :skip] = following[k + 1, :skip]
        following[k, skip:] = enabled[k]


@njit(cache=True, nogil=True)
def _fill_values(task, work, exits, enabled):  # type: ignore[no-untyped-def]
    value, rank, loss, weight = work.value, task.rank, task.loss, task.weight
    n_samples = rank.shape[1]
    last = len(enabled) - 1
    for k in range(last, -1, -1):
        i = enabled[k]
        run, answer = task.run[i], task.run[i] + task.passed[i]
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
def sweep(task, work, exits, skips, gate2, gate1, adopt, gain, cut, lose):  # type: ignore[no-untyped-def]
    """Minimise the objective over one threshold after the other, each exactly (DESIGN, section 6).

    The values to go are filled backward once; then experts are visited in routing order. A
    change at one expert leaves the values of all later ones as they are, and who arrives there
    is carried along, so that one forward pass improves every threshold in turn.

    Args:
        task, work: see :class:`Task` and :class:`Work`.
        exits, skips: the policy's cuts; changed in place.
        gate2, gate1: which thresholds to search.
        adopt: take each improvement at once; else only tell what each would gain alone.
        gain, cut: int64 (2, N), out: gain and best cut of each gate 2 (row 0) and gate 1 (row 1).
        lose: int64 (N,), out: what disabling each enabled expert alone would cost.

    Returns:
        The objective before, and the sum of the gains that were adopted.
    """
    last = task.rank.shape[0] - 1
    enabled, before = prepare(task, work, exits, skips)
    n_pending = start(work, task.rank.shape[1])
    fresh = True  # no expert has run yet
    adopted = np.int64(0)
    gain[:] = 0
    lose[:] = 0
    position = 0
    for i in range(last):
        while enabled[position] <= i:
            position += 1
        if n_pending == 0:
            break
        on = exits[i] <= task.n_cuts
        if not on and not (gate2 and task.allowed[i]):
            continue
        if gate2:
            now, off, best, best_cut = _search_exit(
                task, work, i, enabled[position], position, exits[i], skips[i], n_pending, fresh
            )
            gain[0, i], cut[0, i] = now - best, best_cut
            if on:
                lose[i] = off - now
            if adopt and best_cut != exits[i]:
                adopted += now - best
                exits[i] = best_cut
                if best_cut > task.n_cuts:
                    skips[i] = 0
        if gate1 and not fresh and exits[i] <= task.n_cuts:
            now, best, best_cut = _search_skip(task, work, i, position, exits[i], skips[i], n_pending)
            gain[1, i], cut[1, i] = now - best, best_cut
            if adopt and best < now:
                adopted += now - best
                skips[i] = best_cut
        if exits[i] <= task.n_cuts:
            n_pending = advance(task, work, i, exits[i], skips[i], n_pending, fresh)
            fresh = False
    return before, adopted


@njit(cache=True, nogil=True)
def start(work, n_samples):  # type: ignore[no-untyped-def]
    """All samples wait before the first expert; returns how many."""
    for m in range(n_samples):
        work.pending[m] = m
    return n_samples


@njit(cache=True, nogil=True)
def advance(task, work, i, exit_cut, skip_cut, n_pending, fresh):  # type: ignore[no-untyped-def]
    """Let the waiting samples run an enabled expert; returns how many still wait after it."""
    left = 0
    for x in range(n_pending):
        m, r = work.pending[x], work.current[x]
        if fresh or r >= skip_cut:
            r = task.rank[i, m]
            if r >= exit_cut:
                continue
        work.pending[left] = m
        work.current[left] = r
        left += 1
    return left


@njit(cache=True, nogil=True)
def _search_exit(task, work, i, first, position, exit_cut, skip_cut, n_pending, fresh):  # type: ignore[no-untyped-def]
    """Objective of those that arrive at expert i: now, with i disabled, at best, and the best cut.

    Args:
        first: the next enabled expert behind i; ``position`` says the how manieth it is.
    """
    hist, counts, value = work.hist, work.counts, work.value
    rank, loss, weight = task.rank[i], task.loss[i], task.weight
    after = work.following[position]
    counting = task.min_exits > 0
    hist[:] = 0
    if counting:
        counts[:] = 0
    off = base = np.int64(0)
    n_arrive = 0
    for x in range(n_pending):
        m = work.pending[x]
        without = first
        if not fresh:
            if work.current[x] < skip_cut:
                continue
            without = after[work.current[x]]
        r = rank[m]
        answer = task.passed[i] + np.int64(weight * loss[m])
        hist[r] += value[after[r], m] - answer
        if counting:
            counts[r] += 1
        base += answer
        off += value[without, m]
        n_arrive += 1
    if n_arrive == 0:
        # An expert that nobody reaches is worth its price or nothing.
        now = task.gate_price if exit_cut <= task.n_cuts else np.int64(0)
        return now, np.int64(0), np.int64(0), np.int64(task.n_cuts + 1)
    base += n_arrive * task.run[i] + task.gate_price
    if skip_cut > 0 and not fresh:
        base += task.skip_price
    now, best, cut = best_exit(task, i, hist, counts, n_arrive, base, off, exit_cut)
    return now, off, best, cut


@njit(cache=True, nogil=True)
def best_exit(task, i, hist, counts, n_arrive, base, off, exit_cut):  # type: ignore[no-untyped-def]
    """Objective of those that arrive at expert i: now, at best, and the best cut.

    Args:
        hist: int64 (G + 1,), by rank: what going past instead of exiting costs more.
        counts: int64 (G + 1,), by rank: how many arrive, where ``min_exits`` asks for it.
        n_arrive: how many arrive in all, at least 1.
        base, off: their objective where all exit, and with the expert disabled.
        exit_cut: the cut now.
    """
    counting = task.min_exits > 0
    now = off
    best, cut = off, np.int64(task.n_cuts + 1)
    legal = True
    total, stay = base, 0
    for c in range(task.n_cuts + (1 if task.top_allowed[i] else 0)):
        enough = not counting or n_arrive - stay >= task.min_exits
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
def _search_skip(task, work, i, position, exit_cut, skip_cut, n_pending):  # type: ignore[no-untyped-def]
    """Objective of those that wait before expert i: now, at the best skip cut, and that cut."""
    work.hist[:] = 0
    total = add_skips(task, work, i, position, exit_cut, n_pending, work.hist, 1)
    return best_skip(task, work.hist, total, skip_cut)


@njit(cache=True, nogil=True)
def add_skips(task, work, i, position, exit_cut, n_pending, hist, sign):  # type: ignore[no-untyped-def]
    """Count those that wait before expert i into ``hist``, or out of it.

    Args:
        position: of the expert among the enabled ones.
        hist: int64 (G + 1,), by rank so far: what going past the expert instead of running it costs more.
        sign: 1, or -1 to take them out.

    Returns:
        The objective of all of them, where all run the expert, times ``sign``.
    """
    value, rank, loss, weight = work.value, task.rank[i], task.loss[i], task.weight
    after = work.following[position]
    run, answer = task.run[i], task.run[i] + task.passed[i]
    total = np.int64(0)
    for x in range(n_pending):
        m, r = work.pending[x], rank[work.pending[x]]
        inside = answer + np.int64(weight * loss[m]) if r >= exit_cut else run + value[after[r], m]
        hist[work.current[x]] += sign * (value[after[work.current[x]], m] - inside)
        total += inside
    return sign * total


@njit(cache=True, nogil=True)
def best_skip(task, hist, total, skip_cut):  # type: ignore[no-untyped-def]
    """Objective of those that wait before an expert: now, at the best skip cut, and that cut.

    Args:
        hist, total: see :func:`add_skips`.
        skip_cut: the cut now.
    """
    best, cut, now = total, 0, total
    for c in range(1, task.n_cuts):
        total += hist[c - 1]
        if total + task.skip_price < best:
            best, cut = total + task.skip_price, c
        if c == skip_cut:
            now = total + task.skip_price
    return now, best, cut


@njit(cache=True, nogil=True)
def tally(rank, loss, needs, exits, skips, n_cuts, ran, answered, asked):  # type: ignore[no-untyped-def]
    """Count what each expert did on M samples, into int64 (N,) arrays.

    Args:
        rank, loss: (N, M).
        needs: int32 (N,), the expert that each one builds on, which stands before it; -1 for none.
        exits, skips, n_cuts: the policy's cuts and the number of bins.
        ran: out: on how many samples it ran.
        answered: out: how many it answered.
        asked: out: on how many it ran only because a later expert needs it.

    Returns:
        The sum of the losses of all answers.
    """
    enabled = np.flatnonzero(exits <= n_cuts)
    last = len(enabled) - 1
    ran[:] = 0
    answered[:] = 0
    asked[:] = 0
    seen = np.full(rank.shape[0], -1)  # the last sample that an expert ran on, for whatever reason
    total = 0.0
    for m in range(rank.shape[1]):
        k = 0
        while True:
            i = enabled[k]
            ran[i] += 1
            seen[i] = m
            j = needs[i]
            if j >= 0 and seen[j] != m:
                seen[j] = m
                asked[j] += 1
            r = rank[i, m]
            if k == last or r >= exits[i]:
                answered[i] += 1
                total += loss[i, m]
                break
            k += 1
            while k < last and r < skips[enabled[k]]:
                k += 1
    return total
