"""Pair moves: the two or three thresholds that gain most when they are set at once.

Line searches stop where no threshold alone improves: at "use this expert in place of that one", say, or
"run this expert, but only on the easier samples". Both change two thresholds at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.search.engine.kernels import Place, advance, prepare, start
from orxe_plugins.search.engine.pairs import EXIT, NONE, SKIP, Pair, PairMemory, best_of_pair
from orxe_plugins.search.engine.triples import best_of_triple


class PairSettings(NamedTuple):
    """Which pairs are tried.

    Attributes:
        skip_gates: try skip thresholds too.
        shift: the coarse grid has bins of 2 ** shift ranks.
        window: how many enabled experts may lie between the two of a pair.
    """

    skip_gates: bool
    shift: int
    window: int


@njit(cache=True, nogil=True)
def pair_pass(problem, work, cuts, settings, out):  # type: ignore[no-untyped-def]
    """Find the pair of thresholds that gains most when both are set at best, the rest being fixed.

    A threshold is an exit threshold, or a skip threshold of an expert that has one before it. Two disabled
    experts are never tried together.

    Args:
        problem, work, cuts: see ``kernels``.
        settings: :class:`PairSettings`.
        out: int64 (9,), filled with expert, kind (``NONE`` for no third one) and cut of each; a cut of ``OFF`` is
            "disabled".

    Returns:
        The gain, and the objective before.
    """
    n_experts, n_samples = problem.rank.shape
    enabled, before = prepare(problem, work, cuts)
    levels = ((problem.n_cuts - 1) >> settings.shift) + 1
    memory = PairMemory(np.empty((2, levels + 1, levels), np.int64), np.empty((2, levels + 1, 2), np.int64))
    n_pending = start(work, n_samples)
    fresh = True
    best = np.int64(0)
    for i in range(n_experts - 1):
        on = cuts.exits[i] <= problem.n_cuts
        place = Place(i, enabled, int(np.searchsorted(enabled, i + 1)), n_pending, fresh)
        if n_pending and (on or problem.allowed[i]):
            best = _best_pair_from(problem, work, cuts, place, settings, memory, (best, out))
            if settings.skip_gates:
                best = _best_triple_from(problem, work, cuts, place, settings, memory, (best, out))
        if on:
            n_pending = advance(problem, work, cuts, place)
            fresh = False
    return best, before


@njit(cache=True, nogil=True)
def _best_pair_from(problem, work, cuts, place, settings, memory, so_far):  # type: ignore[no-untyped-def]
    """The best pair whose first threshold is the place's, if it is better than the best ``so_far``: (gain, out)."""
    best, out = so_far
    i = place.expert
    on_i = cuts.exits[i] <= problem.n_cuts
    for kind_i in (SKIP, EXIT):
        if kind_i == SKIP and (place.fresh or not settings.skip_gates):
            continue
        between = 0
        for j in range(i, problem.rank.shape[0] - 1):
            on_j = cuts.exits[j] <= problem.n_cuts
            if j > i and on_j:
                between += 1
            if between > settings.window + 1:
                break
            for kind_j in (SKIP, EXIT):
                if kind_j == SKIP and not settings.skip_gates:
                    continue
                pair = Pair(i, kind_i, j, kind_j, settings.shift)
                if not _is_tried(problem, pair, on_i, on_j):
                    continue
                gain, x, y = best_of_pair(problem, work, cuts, place, pair, memory)
                if gain > best:
                    best = gain
                    out[:] = np.array([i, kind_i, x, j, kind_j, y, NONE, 0, 0])
    return best


@njit(cache=True, nogil=True)
def _best_triple_from(problem, work, cuts, place, settings, memory, so_far):  # type: ignore[no-untyped-def]
    """As :func:`_best_pair_from`, for triples."""
    best, out = so_far
    i, levels = place.expert, memory.grids.shape[2]
    for j in range(i + 1, problem.rank.shape[0] - 1):
        on_j = cuts.exits[j] <= problem.n_cuts
        if on_j or problem.allowed[j]:
            gain, x, s, y = best_of_triple(problem, work, cuts, place, j, settings.shift, memory.grids[:, :levels])
            if gain > best:
                best = gain
                out[:] = np.array([i, EXIT, x, j, SKIP, s, j, EXIT, y])
        if on_j:
            break
    return best


@njit(cache=True, nogil=True)
def _is_tried(problem, pair, on_i, on_j):  # type: ignore[no-untyped-def]
    if pair.i == pair.j:
        return pair.kind_i == SKIP and pair.kind_j == EXIT
    if (pair.kind_i == SKIP and not on_i) or (pair.kind_j == SKIP and not on_j):
        return False
    return (on_i and on_j) or (on_i and problem.allowed[pair.j]) or on_j
