"""Algorithm 1 of ORXE's supplement with exact line searches: of all changes of one threshold, always the best.

Every round asks what each threshold could gain alone. Counting that afresh takes a pass over all samples and
experts, and most rounds move one threshold by a little. So the histograms of all experts are kept, and only
samples that a change has touched are counted again; whole numbers make that exact. Names and shapes are those of
``kernels``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.kernels import Work
from orxe_plugins.search.engine.problem import Cuts, Problem


class Kept(NamedTuple):
    """What is kept from round to round.

    Attributes:
        hist: int64 (N, G + 1), see :func:`kernels.best_exit` and :func:`kernels.add_skips`.
        counts: int64 (N, G + 1), arrivals by rank; (N, 1) where ``min_exits`` is 0.
        arrive: int64 (N,), how many samples arrive at each expert.
        base: int64 (N,), price of the answers of each expert to all that arrive; for gate 1 the objective of
            all that wait before it and run it.
        off: int64 (N,), objective of those that arrive, with the expert disabled.
        answered: uint8 (M,), the expert that answers each sample.
        delta: int64 (M,), beside ``Work.pending``: by how much a sample's value to go has changed.
        touched: int32 (M,), samples that a change of gate 1 may touch.
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


def algorithm_1(problem: Problem, work: Work, skip_gates: bool) -> Cuts:
    """From "all to the last" on, every round adopts the best change of one gate 2; then the same for gate 1.

    Args:
        problem: what to minimise.
        work: memory.
        skip_gates: search gate 1 too.
    """
    cuts = problem.both_ends()[0]
    n, m = problem.task.rank.shape
    bins = problem.task.n_cuts + 1
    kept = Kept(
        np.zeros((n, bins), dtype=np.int64),
        np.zeros((n, bins if problem.task.min_exits else 1), dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.empty(m, dtype=np.uint8),
        np.empty(m, dtype=np.int64),
        np.empty(m, dtype=np.int32),
        np.empty(m, dtype=np.uint8),
    )
    _best_exits(problem.task, work, kept, cuts.exits, cuts.skips)
    if skip_gates:
        _best_skips(problem.task, work, kept, cuts.exits, cuts.skips)
    return cuts


@njit(cache=True, nogil=True)
def _best_exits(task, work, kept, exits, skips):  # type: ignore[no-untyped-def]
    """Gate 2, from "all to the last" on; ``exits`` is changed in place."""
    last = len(exits) - 1
    kernels.prepare(task, work, exits, skips)
    kept.answered[:] = last
    n = kernels.start(work, task.rank.shape[1])
    for i in range(last):
        if task.allowed[i]:
            _count_arrivals(task, work, kept, i, last, n, 1)
    while True:
        most, expert, new = np.int64(0), -1, np.int64(0)
        for i in range(last):
            if not task.allowed[i]:
                continue
            now, best, cut = _scan_exit(task, kept, i, exits[i])
            if now - best > most:
                most, expert, new = now - best, i, cut
        if expert < 0:
            return
        _move_exit(task, work, kept, exits, expert, new)


@njit(cache=True, nogil=True)
def _scan_exit(task, kept, i, exit_cut):  # type: ignore[no-untyped-def]
    """Objective of those that arrive at expert i: now, at best, and the best cut."""
    if kept.arrive[i] == 0:
        now = task.gate_price if exit_cut <= task.n_cuts else np.int64(0)
        return now, np.int64(0), np.int64(task.n_cuts + 1)
    base = kept.base[i] + kept.arrive[i] * task.run[i] + task.gate_price
    return kernels.best_exit(task, i, kept.hist[i], kept.counts[i], kept.arrive[i], base, kept.off[i], exit_cut)


@njit(cache=True, nogil=True)
def _move_exit(task, work, kept, exits, i, new):  # type: ignore[no-untyped-def]
    """Give expert i another exit cut, and count anew what that touches.

    Its own histogram stays: neither who arrives nor what lies behind it changes.
    """
    old = exits[i]
    exits[i] = new
    _move_arrivals(task, work, kept, exits, i, old)
    _move_values(task, work, kept, exits, i, old)


@njit(cache=True, nogil=True)
def _move_arrivals(task, work, kept, exits, i, old):  # type: ignore[no-untyped-def]
    """Experts behind i: other samples arrive, those whose rank lies between both cuts."""
    last, new = len(exits) - 1, exits[i]
    low, high = min(old, new), max(old, new)
    sign = 1 if new > old else -1
    n = 0
    for m in range(task.rank.shape[1]):
        if low <= task.rank[i, m] < high and kept.answered[m] >= i:
            work.pending[n] = m
            n += 1
            kept.answered[m] = i
    for k in range(i + 1, last):
        if n == 0:
            return
        on = exits[k] <= task.n_cuts
        if not on and not task.allowed[k]:
            continue
        _count_arrivals(task, work, kept, k, _next(task, exits, k), n, sign)
        if on:
            left = 0
            for x in range(n):
                m = work.pending[x]
                if task.rank[k, m] < exits[k]:
                    work.pending[left] = m
                    left += 1
                elif sign > 0:
                    kept.answered[m] = k
            n = left
    if sign > 0:
        for x in range(n):
            kept.answered[work.pending[x]] = last


@njit(cache=True, nogil=True)
def _count_arrivals(task, work, kept, i, following, n, sign):  # type: ignore[no-untyped-def]
    """Count n samples that arrive at expert i in (sign 1) or out (-1); ``following`` is the enabled one behind it."""
    rank, loss, value, hist = task.rank[i], task.loss[i], work.value[following], kept.hist[i]
    base = off = np.int64(0)
    for x in range(n):
        m = work.pending[x]
        answer = task.passed[i] + np.int64(task.weight * loss[m])
        hist[rank[m]] += sign * (value[m] - answer)
        base += answer
        off += value[m]
    kept.arrive[i] += sign * n
    kept.base[i] += sign * base
    kept.off[i] += sign * off
    if task.min_exits > 0:
        for x in range(n):
            kept.counts[i, rank[work.pending[x]]] += sign


@njit(cache=True, nogil=True)
def _move_values(task, work, kept, exits, i, old):  # type: ignore[no-untyped-def]
    """Experts before i: what a sample still costs behind them changes, where it comes as far as i."""
    new, run, answer = exits[i], task.run[i], task.run[i] + task.passed[i]
    was_on, on = old <= task.n_cuts, new <= task.n_cuts
    value, behind = work.value, work.value[_next(task, exits, i)]
    n = 0
    for m in range(task.rank.shape[1]):
        r = task.rank[i, m]
        if was_on and on and (r >= old) == (r >= new):
            continue
        exit_value = answer + np.int64(task.weight * task.loss[i, m])
        before = behind[m] if not was_on else exit_value if r >= old else run + behind[m]
        value[i, m] = behind[m] if not on else exit_value if r >= new else run + behind[m]
        if value[i, m] != before:
            work.pending[n] = m
            kept.delta[n] = value[i, m] - before
            n += 1
    for k in range(i - 1, -1, -1):
        if n == 0:
            return
        k_on = exits[k] <= task.n_cuts
        if not k_on and not task.allowed[k]:
            continue
        left = 0
        for x in range(n):
            m, delta = work.pending[x], kept.delta[x]
            r = task.rank[k, m]
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
def _next(task, exits, i):  # type: ignore[no-untyped-def]
    """The first enabled expert behind i."""
    k = i + 1
    while exits[k] > task.n_cuts:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _best_skips(task, work, kept, exits, skips):  # type: ignore[no-untyped-def]
    """Gate 1, from no gate 1 on; ``skips`` is changed in place."""
    m = task.rank.shape[1]
    enabled = np.flatnonzero(exits <= task.n_cuts)
    kernels.fill_following(work.following, enabled, skips, task.n_cuts)  # the values are those of gate 2's search
    _touch_all(kept, m)
    _count_waiting(task, work, kept, enabled, exits, skips, m, 1)
    while True:
        most, position, new = np.int64(0), 0, 0
        for k in range(1, len(enabled) - 1):
            i = enabled[k]
            now, best, cut = kernels.best_skip(task, kept.hist[i], kept.base[i], skips[i])
            if now - best > most:
                most, position, new = now - best, k, cut
        if position == 0:
            return
        old = skips[enabled[position]]
        n = _touch(task, kept, enabled[:position], np.uint16(min(old, new)), np.uint16(max(old, new)))
        if 5 * n < m:
            _count_waiting(task, work, kept, enabled, exits, skips, n, -1)
        else:  # reading them in order is less work, counting all of them anew
            n = m
            _touch_all(kept, m)
        skips[enabled[position]] = new
        _refill(task, work, kept, enabled, exits, skips, position, n)
        _count_waiting(task, work, kept, enabled, exits, skips, n, 1)


@njit(cache=True, nogil=True)
def _touch_all(kept, n_samples):  # type: ignore[no-untyped-def]
    """All samples, of which none is counted yet."""
    for m in range(n_samples):
        kept.touched[m] = m
    kept.hist[:] = 0
    kept.base[:] = 0


@njit(cache=True, nogil=True)
def _touch(task, kept, earlier, low, high):  # type: ignore[no-untyped-def]
    """Samples that any of the earlier experts gives a rank from low to high - 1; returns how many."""
    kept.marked[:] = 0
    # Two plain loops: the compiler makes vector code of the first, and it has N times more to do.
    for i in earlier:
        rank = task.rank[i]
        for m in range(len(rank)):
            kept.marked[m] |= (rank[m] >= low) & (rank[m] < high)
    n = 0
    for m in range(len(kept.marked)):
        kept.touched[n] = m
        n += kept.marked[m]
    return n


@njit(cache=True, nogil=True)
def _refill(task, work, kept, enabled, exits, skips, position, n):  # type: ignore[no-untyped-def]
    """Fill ``following``, and ``value`` of n touched samples, after a change of the gate 1 at ``position``."""
    kernels.fill_following(work.following, enabled, skips, task.n_cuts)
    for k in range(position - 1, -1, -1):
        i = enabled[k]
        for x in range(n):
            m = kept.touched[x]
            r = task.rank[i, m]
            if r < exits[i]:
                work.value[i, m] = task.run[i] + work.value[work.following[k + 1, r], m]


@njit(cache=True, nogil=True)
def _count_waiting(task, work, kept, enabled, exits, skips, n, sign):  # type: ignore[no-untyped-def]
    """Count n touched samples in (sign 1) or out (-1) wherever they wait before an enabled expert."""
    for x in range(n):
        work.pending[x] = kept.touched[x]
    for k in range(len(enabled) - 1):
        i = enabled[k]
        if k > 0:
            kept.base[i] += kernels.add_skips(task, work, i, k + 1, exits[i], n, kept.hist[i], sign)
        n = kernels.advance(task, work, i, exits[i], skips[i], n, k == 0)
