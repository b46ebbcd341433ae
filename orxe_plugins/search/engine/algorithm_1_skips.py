"""The second half of Algorithm 1: skip thresholds, once the exit thresholds are found (see ``algorithm_1``)."""

from __future__ import annotations

import numpy as np
from numba import njit

from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.kernels import Place


@njit(cache=True, nogil=True)
def best_skips(problem, work, kept, cuts):  # type: ignore[no-untyped-def]
    """Adopt the best change of one skip threshold, from none on, until none helps.

    Args:
        problem, work: see ``kernels``; ``work.value`` is as the search of exit thresholds left it.
        kept: see :class:`~orxe_plugins.search.engine.algorithm_1.Kept`.
        cuts: the policy's cuts, without a skip threshold; changed in place.
    """
    m, skips = problem.rank.shape[1], cuts.skips
    enabled = np.flatnonzero(cuts.exits <= problem.n_cuts)
    # The values are still those of the search of exit thresholds.
    kernels.fill_following(work.following, enabled, skips, problem.n_cuts)
    _touch_all(kept, m)
    _count_waiting(problem, work, kept, cuts, enabled, m, 1)
    while True:
        most, position, new = np.int64(0), 0, 0
        for k in range(1, len(enabled) - 1):
            i = enabled[k]
            now, best, cut = kernels.best_skip(problem, kept.hist[i], kept.base[i], skips[i])
            if now - best > most:
                most, position, new = now - best, k, cut
        if position == 0:
            return
        old = skips[enabled[position]]
        n = _touch(problem, kept, enabled[:position], np.uint16(min(old, new)), np.uint16(max(old, new)))
        if 5 * n < m:
            _count_waiting(problem, work, kept, cuts, enabled, n, -1)
        else:  # reading them in order and counting all of them anew is less work
            n = m
            _touch_all(kept, m)
        skips[enabled[position]] = new
        _refill(problem, work, kept, cuts, enabled, position, n)
        _count_waiting(problem, work, kept, cuts, enabled, n, 1)


@njit(cache=True, nogil=True)
def _touch_all(kept, n_samples):  # type: ignore[no-untyped-def]
    """Touch all samples, and take all of them out of the counts."""
    for m in range(n_samples):
        kept.touched[m] = m
    kept.hist[:] = 0
    kept.base[:] = 0


@njit(cache=True, nogil=True)
def _touch(problem, kept, earlier, low, high):  # type: ignore[no-untyped-def]
    """Touch samples that any of the earlier experts gives a rank from low to high - 1; returns how many."""
    kept.marked[:] = 0
    # Two plain loops: the compiler makes vector code of the first one, which has N times more to do.
    for i in earlier:
        rank = problem.rank[i]
        for m in range(len(rank)):
            kept.marked[m] |= (rank[m] >= low) & (rank[m] < high)
    n = 0
    for m in range(len(kept.marked)):
        kept.touched[n] = m
        n += kept.marked[m]
    return n


@njit(cache=True, nogil=True)
def _refill(problem, work, kept, cuts, enabled, position, n):  # type: ignore[no-untyped-def]
    """Fill ``following``, and ``value`` of n touched samples, after a change of the skip threshold at ``position``."""
    kernels.fill_following(work.following, enabled, cuts.skips, problem.n_cuts)
    for k in range(position - 1, -1, -1):
        i = enabled[k]
        exit_cut = cuts.exits[i]
        for x in range(n):
            m = kept.touched[x]
            r = problem.rank[i, m]
            if r < exit_cut:
                work.value[i, m] = problem.run_cost[i] + work.value[work.following[k + 1, r], m]


@njit(cache=True, nogil=True)
def _count_waiting(problem, work, kept, cuts, enabled, n, sign):  # type: ignore[no-untyped-def]
    """Count n touched samples in (sign 1) or out (-1) wherever they wait before an enabled expert."""
    for x in range(n):
        work.pending[x] = kept.touched[x]
    for k in range(len(enabled) - 1):
        i = enabled[k]
        place = Place(i, enabled, k + 1, n, k == 0)
        if k > 0:
            kept.base[i] += kernels.add_skips(problem, work, cuts, place, kept.hist[i], sign)
        n = kernels.advance(problem, work, cuts, place)
