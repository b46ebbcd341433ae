"""One grid of confidences for all experts, and thresholds out of its cuts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from orxe_plugins.policy import Policy
from orxe_plugins.records import Records

#: ranks are uint16
MAX_CUTS = 65_535
_SAMPLE = 4_000_000


@dataclass(frozen=True, eq=False)
class Grid:
    """Confidences as ranks on one grid, so that both gates of all experts share it.

    Attributes:
        edges: lower edges of the bins, float32 (G,), rising, ``edges[0] == 0``. Where all experts
            together have at most 65,535 distinct confidences, each has a bin of its own and nothing
            is lost; else the edges are quantiles.
        rank: bin of each confidence, uint16 (N, M).
        top_allowed: bool (N,), experts without a confidence of exactly 1: only they can be enabled
            and yet answer nobody.
    """

    edges: np.ndarray
    rank: np.ndarray
    top_allowed: np.ndarray

    @property
    def n_cuts(self) -> int:
        """Number of bins G; a cut at bin g lets ranks >= g pass."""
        return len(self.edges)

    @classmethod
    def of(cls, confidence: np.ndarray, threads: int = 1) -> Grid:
        """The grid of confidences (N, M), float32."""
        edges = _edges(confidence)
        rank = np.empty(confidence.shape, dtype=np.uint16)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_ranks, confidence, [edges] * len(confidence), rank))
        return cls(edges, rank, confidence.max(axis=1) < 1)

    def policy(self, records: Records, exits: np.ndarray, skips: np.ndarray) -> Policy:
        """Cuts (N,) as a policy: each threshold half way between the two confidences that it parts.

        A confidence that comes out a little different on another machine then still falls on the
        side that it was fitted on. Ties are never split.
        """
        last = records.n_experts - 1
        exit_thresholds: list[float | None] = []
        skip_thresholds: list[float] = []
        for i in range(last):
            if exits[i] > self.n_cuts:
                exit_thresholds.append(None)
                skip_thresholds.append(0.0)
                continue
            exit_thresholds.append(self._between(records.confidence[i : i + 1], int(exits[i])))
            earlier = [j for j in range(i) if exits[j] <= self.n_cuts]
            skip = self._between(records.confidence[earlier], int(skips[i])) if earlier else 0.0
            skip_thresholds.append(skip)
        return Policy(tuple(exit_thresholds), tuple(skip_thresholds))

    def _between(self, confidences: np.ndarray, cut: int) -> float:
        if cut == 0:
            return 0.0
        if cut >= self.n_cuts:
            return 1.0
        below, above = np.float32(-1), np.float32(2)
        for row in confidences:
            low, high = _neighbours(row, self.edges[cut])
            below, above = max(below, low), min(above, high)
        return midpoint(below, above)


def midpoint(below: float | np.float32, above: float | np.float32) -> float:
    """A threshold that parts two float32 confidences: above the first, at most the second.

    0 where nothing lies below (-1 stands for that), 1 where nothing lies above (2).
    """
    if below < 0:
        return 0.0
    if above > 1:
        return 1.0
    middle = np.float32((np.float64(below) + np.float64(above)) / 2)
    return float(middle if middle > below else above)


def _edges(confidence: np.ndarray) -> np.ndarray:
    flat = confidence.ravel()
    step = max(1, flat.size // _SAMPLE)
    # Every expert is sampled alike: a stride over the samples, not over the flat array.
    values = np.unique(confidence[:, ::step])
    if step == 1 and len(values) + 1 <= MAX_CUTS:
        return np.unique(np.append(values, np.float32(0)))
    ordered = np.sort(confidence[:, ::step], axis=None)
    picks = np.linspace(0, ordered.size - 1, MAX_CUTS - 1).astype(np.int64)
    return np.unique(np.append(ordered[picks], np.float32(0)))


@njit(cache=True, nogil=True)
def _ranks(values, edges, out):  # type: ignore[no-untyped-def]
    for m in range(len(values)):
        low, high = 0, len(edges)  # edges[low] <= value < edges[high]
        while high - low > 1:
            middle = (low + high) >> 1
            if edges[middle] <= values[m]:
                low = middle
            else:
                high = middle
        out[m] = low


@njit(cache=True, nogil=True)
def _neighbours(values, edge):  # type: ignore[no-untyped-def]
    """Greatest value below ``edge`` (-1 if none) and least one from it on (2 if none)."""
    below, above = np.float32(-1), np.float32(2)
    for v in values:
        if v < edge:
            below = max(below, v)
        else:
            above = min(above, v)
    return below, above
