"""One grid of confidences for all experts, and thresholds out of its cuts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from orxe_plugins.policies.policy import Policy

#: ranks are uint16
MAX_CUTS = 65_535
_SAMPLE = 4_000_000
#: a power of 2, so that a float32 times it is exact
_STEPS = 2**16


@dataclass(frozen=True, eq=False)
class Grid:
    """Confidences as ranks on one grid, which all thresholds of all experts share.

    Attributes:
        edges: lower edges of the bins, float32 (G,), rising, ``edges[0] == 0``. Where all experts
            together have at most 65,535 distinct confidences, each has a bin of its own and nothing
            is lost; otherwise the edges are quantiles.
        rank: bin of each confidence, uint16 (N, M).
        top_allowed: bool (N,), experts without a confidence of exactly 1: only they can be enabled
            and yet answer no sample.
        below: greatest confidence of each expert in the bins before each cut, float32 (N, G + 1); -1: none.
        above: least one in the bins from each cut on, float32 (N, G + 1); 2: none.
    """

    edges: np.ndarray
    rank: np.ndarray
    top_allowed: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @property
    def n_cuts(self) -> int:
        """Number of bins G; a cut at bin g lets ranks >= g pass."""
        return len(self.edges)

    @classmethod
    def of(cls, confidence: np.ndarray, threads: int = 1) -> Grid:
        """The grid of confidences (N, M), float32."""
        edges = _edges(confidence)
        n = len(confidence)
        # The last edge at or below each of many even steps: where to look for a confidence's bin.
        steps = np.searchsorted(edges, np.arange(_STEPS + 2, dtype=np.float32) / _STEPS, side="right") - 1
        rank = np.empty(confidence.shape, dtype=np.uint16)
        below = np.full((n, len(edges) + 1), -1, dtype=np.float32)
        above = np.full((n, len(edges) + 1), 2, dtype=np.float32)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_ranks, confidence, [edges] * n, [steps] * n, rank, below, above))
        return cls(edges, rank, below[:, -1] < 1, below, above)

    def policy(self, exits: np.ndarray, skips: np.ndarray) -> Policy:
        """Cuts (N,) as a policy: each threshold half way between the two confidences that it separates.

        A confidence that comes out a little different on another machine then still falls on the
        side that it was fitted on. Ties are never split.
        """
        last = len(self.rank) - 1
        exit_thresholds: list[float | None] = []
        skip_thresholds: list[float] = []
        for i in range(last):
            if exits[i] > self.n_cuts:
                exit_thresholds.append(None)
                skip_thresholds.append(0.0)
                continue
            exit_thresholds.append(self._between([i], int(exits[i])))
            earlier = [j for j in range(i) if exits[j] <= self.n_cuts]
            skip_thresholds.append(self._between(earlier, int(skips[i])) if earlier else 0.0)
        return Policy(tuple(exit_thresholds), tuple(skip_thresholds))

    def _between(self, experts: Sequence[int], cut: int) -> float:
        if cut == 0:
            return 0.0
        if cut >= self.n_cuts:
            return 1.0
        return midpoint(self.below[experts, cut].max(), self.above[experts, cut].min())


def midpoint(below: float | np.float32, above: float | np.float32) -> float:
    """A threshold that separates two float32 confidences: above the first, at most the second.

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
    # The stride is over the samples, not over the flat array, so that all experts are sampled alike.
    values = np.unique(confidence[:, ::step])
    if step == 1 and len(values) + 1 <= MAX_CUTS:
        return np.unique(np.append(values, np.float32(0)))
    ordered = np.sort(confidence[:, ::step], axis=None)
    picks = np.linspace(0, ordered.size - 1, MAX_CUTS - 1).astype(np.int64)
    return np.unique(np.append(ordered[picks], np.float32(0)))


@njit(cache=True, nogil=True)
def _ranks(values, edges, steps, out, below, above):  # type: ignore[no-untyped-def]
    """Bins of M values into ``out``; greatest and least value on both sides of each cut, as in :class:`Grid`."""
    for m in range(len(values)):
        step = int(values[m] * np.float32(_STEPS))
        low, high = steps[step], steps[step + 1] + 1  # edges[low] <= value < edges[high]
        while high - low > 1:
            middle = (low + high) >> 1
            if edges[middle] <= values[m]:
                low = middle
            else:
                high = middle
        out[m] = low
        below[low + 1] = max(below[low + 1], values[m])
        above[low] = min(above[low], values[m])
    for cut in range(1, len(edges) + 1):
        below[cut] = max(below[cut], below[cut - 1])
        above[len(edges) - cut] = min(above[len(edges) - cut], above[len(edges) - cut + 1])
