"""The objective of a policy, and the best of many policies for every preference at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.util.hull import lower_hull


@dataclass(frozen=True)
class Objective:
    """(1 - preference) * cost / reference_cost + preference * (1 - mapped score) (docs/search.md).

    Attributes:
        reference_cost: mean cost of the policy "never": the last expert answers everything.
        zero, one: the scores that are mapped to 0 and 1. These are 0 and 1 themselves for scores in
            [0, 1]; else the cheapest expert's mean and the best expert's.
    """

    reference_cost: float
    zero: float = 0.0
    one: float = 1.0

    @classmethod
    def of(cls, records: Records) -> Objective:
        """The objective of all policies on these records."""
        if not len(records):
            raise OrxeError("the records hold no sample: there is nothing to search on")
        # A cascade that costs nothing at all is searched by its score alone.
        reference = float(records.standalone_cost[-1]) or 1.0
        if records.score.min() >= 0 and records.score.max() <= 1:
            return cls(reference)
        means = records.mean_score
        zero, one = float(means[0]), float(means.max())
        return cls(reference, zero, one if one > zero else zero + 1.0)

    def __call__(self, preference: float, cost: float, score: float) -> float:
        """Objective of a policy with this mean cost and mean score."""
        return (1 - preference) * cost / self.reference_cost + preference * (1 - self.mapped(score))

    def mapped(self, score: float) -> float:
        """A score on the scale from :attr:`zero` to :attr:`one`."""
        return (score - self.zero) / (self.one - self.zero)

    def score(self, loss: float) -> float:
        """The score that a mean loss stands for."""
        return self.zero + (1 - loss) * (self.one - self.zero)

    def losses(self, score: np.ndarray) -> np.ndarray:
        """1 - mapped score: uint8 of the same shape for 0/1 scores, else float64."""
        if score.dtype == np.uint8:
            return (1 - score).astype(np.uint8)
        losses: np.ndarray = 1 - (score.astype(np.float64, copy=False) - self.zero) / (self.one - self.zero)
        return losses


def best_per_preference(cost: np.ndarray, loss: np.ndarray, preferences: Sequence[float]) -> np.ndarray:
    """Which of K policies is best for each of P preferences, int64 (P,).

    The least of (1 - preference) * cost + preference * loss; of equals, the cheapest. At the preferences 0 and 1, the
    term of weight 0 still decides between equals. A preference weighs cost against loss, so that its best policy is a
    vertex of the lower convex hull: along rising preferences, neither the cost falls nor the loss rises.

    Args:
        cost, loss: float64 (K,), of one order of magnitude.
        preferences: each between 0 and 1.
    """
    vertices = lower_hull(cost, loss)
    extra_cost, gain = np.diff(cost[vertices]), -np.diff(loss[vertices])
    # Beyond this preference, the next vertex is better.
    change = np.maximum.accumulate(extra_cost / (extra_cost + gain))
    best: np.ndarray = vertices[np.searchsorted(change, np.asarray(preferences), side="left")]
    return best
