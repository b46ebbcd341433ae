"""Algorithm 1 of ORXE's supplement with exact line searches: of all changes of one threshold, always the best.

Every round asks what each threshold could gain alone. Counting that anew takes a pass over all samples and
experts, and most rounds move one threshold by a little. So the histograms of all experts are kept, and only
samples that a change has touched are counted again; whole numbers make that exact. Names and shapes are those of
``kernels``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.algorithm_1_skips import best_skips
from orxe_plugins.search.engine.integer_problem import Workspace
from orxe_plugins.search.engine.kernels import Arrivals
from orxe_plugins.search.engine.problem import Cuts, Problem


class Kept(NamedTuple):
    """What is kept from round to round.

    Attributes:
        hist: int64 (N, G + 1), see :class:`kernels.Arrivals` and :func:`kernels.add_skips`.
        counts: int64 (N, G + 1), arrivals by rank; (N, 1) where ``min_exits`` is 0.
        arrive: int64 (N,), how many samples arrive at each expert.
        base: int64 (N,), objective of the answers of each expert to all that arrive; for skip thresholds the objective
            of all that wait before it, if all run it.
        off: int64 (N,), objective of the samples that arrive, with the expert disabled.
        answered: uint8 (M,), the expert that answers each sample.
        delta: int64 (M,), beside ``Workspace.pending``: by how much a sample's cost to go has changed.
        touched: int32 (M,), samples that a change of a skip threshold may touch.
        marked: uint8 (M,), 1 for each of them.
    """

    hist: np.ndarray
    counts: np.ndarray
    arrive: np.ndarray
    base: np.ndarray
    off: np.ndarray
    answered: np.ndarray
    delta: np.ndarray
    touched: np.ndarray
    marked: np.ndarray


def algorithm_1(problem: Problem, work: Workspace, skip_gates: bool) -> Cuts:
    """From "all to the last" on, every round adopts the best change of one exit threshold; then of one skip threshold.

    Args:
        problem: what to minimise.
        work: memory.
        skip_gates: search skip thresholds too.
    """
    cuts = problem.both_ends()[0]
    n, m = problem.integer.rank.shape
    bins = problem.integer.n_cuts + 1
    kept = Kept(
        np.zeros((n, bins), dtype=np.int64),
        np.zeros((n, bins if problem.integer.min_exits else 1), dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.empty(m, dtype=np.uint8),
        np.empty(m, dtype=np.int64),
        np.empty(m, dtype=np.int32),
        np.empty(m, dtype=np.uint8),
    )
    _best_exits(problem.integer, work, kept, cuts)
    if skip_gates:
        best_skips(problem.integer, work, kept, cuts)
    return cuts


@njit(cache=True, nogil=True)
def _best_exits(problem, work, kept, cuts):  # type: ignore[no-untyped-def]
    """Exit thresholds, from "all to the last" on; ``cuts`` are changed in place."""
    last = len(cuts.exits) - 1
    kernels.prepare(problem, work, cuts)
    kept.answered[:] = last
    n = kernels.start(work, problem.rank.shape[1])
    for i in range(last):
        if problem.allowed[i]:
            _count_arrivals(problem, work, kept, i, last, n, 1)
    while True:
        most, expert, new = np.int64(0), -1, np.int64(0)
        for i in range(last):
            if not problem.allowed[i]:
                continue
            now, best, cut = _scan_exit(problem, kept, i, cuts.exits[i])
            if now - best > most:
                most, expert, new = now - best, i, cut
        if expert < 0:
            return
        _move_exit(problem, work, kept, cuts.exits, expert, new)


@njit(cache=True, nogil=True)
def _scan_exit(problem, kept, i, exit_cut):  # type: ignore[no-untyped-def]
    """Objective of the samples that arrive at expert i: now, at best; and the best cut."""
    if kept.arrive[i] == 0:
        now = problem.exit_penalty if exit_cut <= problem.n_cuts else np.int64(0)
        return now, np.int64(0), np.int64(problem.n_cuts + 1)
    base = kept.base[i] + kept.arrive[i] * problem.run_cost[i] + problem.exit_penalty
    arrivals = Arrivals(kept.hist[i], kept.counts[i], kept.arrive[i], base, kept.off[i])
    return kernels.best_exit(problem, i, arrivals, exit_cut)


@njit(cache=True, nogil=True)
def _move_exit(problem, work, kept, exits, i, new):  # type: ignore[no-untyped-def]
    """Give expert i another exit cut, and count anew what that touches.

    Its own histogram stays: neither the samples that arrive nor what lies behind it changes.
    """
    old = exits[i]
    exits[i] = new
    _move_arrivals(problem, work, kept, exits, i, old)
    _move_values(problem, work, kept, exits, i, old)


@njit(cache=True, nogil=True)
def _move_arrivals(problem, work, kept, exits, i, old):  # type: ignore[no-untyped-def]
    """Experts behind i: other samples arrive, those whose rank lies between both cuts."""
    last, new = len(exits) - 1, exits[i]
    low, high = min(old, new), max(old, new)
    sign = 1 if new > old else -1
    n = 0
    for m in range(problem.rank.shape[1]):
        if low <= problem.rank[i, m] < high and kept.answered[m] >= i:
            work.pending[n] = m
            n += 1
            kept.answered[m] = i
    for k in range(i + 1, last):
        if n == 0:
            return
        on = exits[k] <= problem.n_cuts
        if not on and not problem.allowed[k]:
            continue
        _count_arrivals(problem, work, kept, k, _next(problem, exits, k), n, sign)
        if on:
            left = 0
            for x in range(n):
                m = work.pending[x]
                if problem.rank[k, m] < exits[k]:
                    work.pending[left] = m
                    left += 1
                elif sign > 0:
                    kept.answered[m] = k
            n = left
    if sign > 0:
        for x in range(n):
            kept.answered[work.pending[x]] = last


@njit(cache=True, nogil=True)
def _count_arrivals(problem, work, kept, i, following, n, sign):  # type: ignore[no-untyped-def]
    """Count n samples that arrive at expert i in (sign 1) or out (-1); ``following`` is the enabled one behind it."""
    rank, loss, value, hist = problem.rank[i], problem.loss[i], work.value[following], kept.hist[i]
    base = off = np.int64(0)
    for x in range(n):
        m = work.pending[x]
        answer = problem.shared_cost[i] + np.int64(problem.loss_weight * loss[m])
        hist[rank[m]] += sign * (value[m] - answer)
        base += answer
        off += value[m]
    kept.arrive[i] += sign * n
    kept.base[i] += sign * base
    kept.off[i] += sign * off
    if problem.min_exits > 0:
        for x in range(n):
            kept.counts[i, rank[work.pending[x]]] += sign


@njit(cache=True, nogil=True)
def _move_values(problem, work, kept, exits, i, old):  # type: ignore[no-untyped-def]
    """Experts before i: the cost to go behind them changes for samples that come as far as i."""
    new, run = exits[i], problem.run_cost[i]
    answer = problem.run_cost[i] + problem.shared_cost[i]
    was_on, on = old <= problem.n_cuts, new <= problem.n_cuts
    value, behind = work.value, work.value[_next(problem, exits, i)]
    n = 0
    for m in range(problem.rank.shape[1]):
        r = problem.rank[i, m]
        if was_on and on and (r >= old) == (r >= new):
            continue
        exit_value = answer + np.int64(problem.loss_weight * problem.loss[i, m])
        before = behind[m] if not was_on else exit_value if r >= old else run + behind[m]
        value[i, m] = behind[m] if not on else exit_value if r >= new else run + behind[m]
        if value[i, m] != before:
            work.pending[n] = m
            kept.delta[n] = value[i, m] - before
            n += 1
    for k in range(i - 1, -1, -1):
        if n == 0:
            return
        k_on = exits[k] <= problem.n_cuts
        if not k_on and not problem.allowed[k]:
            continue
        left = 0
        for x in range(n):
            m, delta = work.pending[x], kept.delta[x]
            r = problem.rank[k, m]
            if kept.answered[m] >= k:
                kept.hist[k, r] += delta
                kept.off[k] += delta
            if k_on:
                if r >= exits[k]:
                    continue
                value[k, m] += delta
            work.pending[left] = m
            kept.delta[left] = delta
            left += 1
        n = left


@njit(cache=True, nogil=True)
def _next(problem, exits, i):  # type: ignore[no-untyped-def]
    """The first enabled expert behind i."""
    k = i + 1
    while exits[k] > problem.n_cuts:
        k += 1
    return k
