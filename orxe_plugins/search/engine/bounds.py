"""Lower bounds: what no policy can be better than, so that a search can say how far it may be off.

For each expert k that a policy may run first, the bound keeps the decision behind k as it is and lets an
oracle make all later ones. By rising confidence of k, samples go to ever earlier experts: those below
the skip threshold of the next ones skip them, those at or above the exit threshold are answered. The best such
partition is found exactly. Behind the second expert that runs on a sample, the sample is answered by the expert that is
best for it, and pays for no other. An expert that others build on costs them nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.policies.policy import check_preference
from orxe_plugins.records import Records
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import RankedRecords, coarsening, cpu_count
from orxe_plugins.search.engine.two_experts import fit_two_experts

_BINS = 128
#: with real-valued scores, bounds are computed for at most so many preferences that experts ** 2 x samples x
#: preferences stay below this
_LIMIT = 20_000_000_000


def lower_bounds(records: Records, preferences: Iterable[float], *, threads: int | None = None) -> np.ndarray:
    """Lower bound on the objective of every policy, for each of P preferences, float64 (P,).

    Exact for one or two experts.

    Args:
        records: N experts, M samples.
        preferences: each between 0 and 1.
        threads: all cores by default.
    """
    wanted = [check_preference(p) for p in preferences]
    objective = Objective.of(records)
    if records.n_experts == 2:
        found = fit_two_experts(records, wanted, objective)
        return np.array([objective(*row) for row in zip(wanted, found.cost, found.score, strict=True)])
    threads = threads or cpu_count()
    return bounds_of(RankedRecords.of(records, Grid.of(records.confidence, threads), objective), wanted, threads)


def bounds_of(ranked: RankedRecords, preferences: Sequence[float], threads: int) -> np.ndarray:
    """:func:`lower_bounds` of records in the form that the search has them in."""
    n, m = ranked.shape
    wanted = np.asarray(preferences, dtype=np.float64)
    at = wanted
    if ranked.loss.dtype != np.uint8:
        # The least objective is concave in the preference: between two bounds, their chord is a bound.
        count = max(2, _LIMIT // (n * n * m))
        at = wanted if len(wanted) <= count else np.linspace(wanted.min(), wanted.max(), count)
    last = (1 - at) * (ranked.cost[-1] + ranked.shared_cost[-1]) + at * ranked.loss[-1].mean(dtype=np.float64)
    with ThreadPoolExecutor(threads) as pool:
        bounds = list(pool.map(lambda first: _bounds_from(ranked, first, at), range(n - 1)))
    return np.interp(wanted, at, np.min([last, *bounds], axis=0))


def _bounds_from(ranked: RankedRecords, first: int, preferences: np.ndarray) -> np.ndarray:
    """Bounds for the policies whose first enabled expert is ``first``, (P,)."""
    shift = coarsening(ranked.n_cuts, _BINS)
    bins = ((ranked.n_cuts - 1) >> shift) + 1
    tables = (_binary_tables if ranked.loss.dtype == np.uint8 else _real_tables)(ranked, first, shift, bins)
    bounds = []
    for p in preferences:
        stay, best = tables(p)
        run = (1 - p) * ranked.cost[first]
        bounds.append(run + _least_partition(stay, best, shift == 0) / ranked.shape[1])
    return np.array(bounds)


#: for a preference: sums of the values of the samples in each bin, (N - first, G) for "answered here" and then
#: for each later expert as the next one; and the same, (G,), where each sample takes the best of them
_Tables = Callable[[float], tuple[np.ndarray, np.ndarray]]


def _binary_tables(ranked: RankedRecords, first: int, shift: int, bins: int) -> _Tables:
    """Tables for 0/1 losses: samples are counted once by the cheapest expert that is right on them."""
    n = ranked.shape[0]
    alone = ranked.cost + ranked.shared_cost
    counts = np.zeros((n - first, 2, n + 1, bins), dtype=np.int32)
    _count(ranked.rank[first], ranked.loss, alone, first, shift, counts)
    cheapest = np.minimum.accumulate(alone[::-1])[::-1]  # of the experts from each one on

    def tables(p: float) -> tuple[np.ndarray, np.ndarray]:
        # Oracle behind each expert, by the cheapest right one: (N, N + 1); the last column is "none is right".
        right = np.append((1 - p) * alone, np.inf)
        wrong = np.append((1 - p) * cheapest[1:] + p, np.inf)
        behind = np.minimum(right[None], wrong[:, None])
        own = (1 - p) * ranked.shared_cost[:, None] + p * np.arange(2)  # (N, 2): answered, right or wrong
        go_on = (1 - p) * ranked.cost[:, None, None] + np.minimum(own[:, :, None], behind[:, None, :])
        value = np.concatenate([np.broadcast_to(own[first][None, :, None], (1, 2, n + 1)), go_on[first + 1 :]])
        best = np.minimum(own[first][:, None], behind[first][None])  # (2, N + 1)
        # What is impossible has the count 0 and the value infinity.
        value, best = np.where(np.isfinite(value), value, 0), np.where(np.isfinite(best), best, 0)
        return np.einsum("jcq,jcqb->jb", value, counts), np.einsum("cq,cqb->b", best, counts[0])

    return tables


def _real_tables(ranked: RankedRecords, first: int, shift: int, bins: int) -> _Tables:
    """Tables for real-valued losses: one pass over the samples for each preference."""

    def tables(p: float) -> tuple[np.ndarray, np.ndarray]:
        stay, best = np.zeros((ranked.shape[0] - first, bins)), np.zeros(bins)
        weighted = _Weighted(ranked.loss, (1 - p) * ranked.cost, (1 - p) * ranked.shared_cost, p)
        _sum(ranked.rank[first], weighted, first, shift, stay, best)
        return stay, best

    return tables


class _Weighted(NamedTuple):
    """Losses and costs, weighed by a preference.

    Attributes:
        loss: float64 (N, M); times ``loss_weight``.
        run_cost, shared_cost: float64 (N,).
    """

    loss: np.ndarray
    run_cost: np.ndarray
    shared_cost: np.ndarray
    loss_weight: float


@njit(cache=True, nogil=True)
def _count(rank, loss, alone, first, shift, counts):  # type: ignore[no-untyped-def]
    """Count samples by their own loss, the cheapest right expert behind, and the bin, for each next expert.

    Row 0 of ``counts`` is for the first expert itself, row j - first for expert j.
    """
    n = loss.shape[0]
    for m in range(len(rank)):
        b = rank[m] >> shift
        right = n  # none
        for j in range(n - 1, first, -1):
            counts[j - first, loss[j, m], right, b] += 1
            if loss[j, m] == 0 and (right == n or alone[j] <= alone[right]):
                right = j
        counts[0, loss[first, m], right, b] += 1


@njit(cache=True, nogil=True)
def _sum(rank, weighted, first, shift, stay, best):  # type: ignore[no-untyped-def]
    """Sum the values of the samples in each bin into ``stay`` (N - first, G) and ``best`` (G,): see :data:`_Tables`."""
    loss, run, shared, weight = weighted
    for m in range(len(rank)):
        b = rank[m] >> shift
        behind = np.inf
        for j in range(len(run) - 1, first, -1):
            value = run[j] + min(shared[j] + weight * loss[j, m], behind)
            stay[j - first, b] += value
            behind = min(behind, run[j] + shared[j] + weight * loss[j, m])
        answer = shared[first] + weight * loss[first, m]
        stay[0, b] += answer
        best[b] += min(answer, behind)


@njit(cache=True, nogil=True)
def _least_partition(stay, best, fine):  # type: ignore[no-untyped-def]
    """Least sum if bins, from the highest confidence down, go to ever later rows of ``stay``.

    Unless the bins are ``fine``, a change of rows may fall inside a bin; it then counts as ``best``.
    """
    rows, bins = stay.shape
    total = np.zeros(rows)  # least sum so far that ends in each row
    for b in range(bins - 1, -1, -1):
        earlier = np.inf  # least of the rows before
        for s in range(rows):
            before = total[s]
            total[s] = min(before, earlier) + stay[s, b]
            if not fine:
                total[s] = min(total[s], earlier + best[b])
            earlier = min(earlier, before)
    return total.min()
