"""What a cascade has to beat: single experts, random mixing of them, one common threshold; and what none can beat.

Each function gives one curve on records, to be drawn by ``frontier_figure(evaluation, baselines=[...])``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import Policy, check_shares
from orxe_plugins.records.records import Records
from orxe_plugins.search.replay import replay
from orxe_plugins.util.hull import upper_hull
from orxe_plugins.util.wording import plain

#: so many prices of cost are tried for the oracle
_PRICES = 64


@dataclass(frozen=True, eq=False, repr=False)
class Baseline:
    """Mean score against mean cost per sample.

    Attributes:
        name: what it is.
        cost, score: K points by rising cost, float64 of shape (K,).
        steps: whether only these points can be had; else also what lies on the lines between them.
    """

    name: str
    cost: np.ndarray
    score: np.ndarray
    steps: bool = False

    def __repr__(self) -> str:
        ends = ", ".join(f"{what} {plain(low)} to {plain(high)}" for what, low, high in self._spans())
        return f"Baseline({self.name!r}, {len(self.cost)} points: {ends})"

    def _spans(self) -> list[tuple[str, float, float]]:
        return [(what, float(np.min(some)), float(np.max(some)))
                for what, some in (("cost", self.cost), ("score", self.score))]  # fmt: skip

    def at(self, cost: float) -> float:
        """The score that a mean cost pays for; NaN below the cheapest point."""
        # A cost that was summed in another order may be off by its last digits.
        rounded = cost + 1e-9 * abs(cost)
        if rounded < self.cost[0]:
            return float("nan")
        if self.steps:
            return float(self.score[: int(np.searchsorted(self.cost, rounded, side="right"))].max())
        return float(np.interp(cost, self.cost, self.score))


def single_experts(records: Records) -> Baseline:
    """Every expert alone.

    >>> records = Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.1], [0.9, 0.9]], [[1, 0], [1, 1]])
    >>> single_experts(records)
    Baseline('single experts', 2 points: cost 1 to 9, score 0.5 to 1)
    """
    _check(records)
    order = np.argsort(records.standalone_cost, kind="stable")
    return Baseline("single experts", records.standalone_cost[order], records.mean_score[order], steps=True)


def random_mixing(records: Records) -> Baseline:
    """A random share of the samples to one expert, the rest to another: the upper hull of the single experts.

    >>> records = Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.1], [0.9, 0.9]], [[1, 0], [1, 1]])
    >>> random_mixing(records).at(5)
    0.75
    """
    _check(records)
    cost, score = records.standalone_cost, records.mean_score
    hull = upper_hull(cost, score)
    return Baseline("random mixing of experts", cost[hull], score[hull])


def oracle(records: Records) -> Baseline:
    """The best that any router could do: it knows every score, and sends each sample straight to one expert.

    For a price of cost, every sample goes to the expert with the best score minus price times cost. No policy is above
    this curve: it also pays for the experts that it asked before.

    >>> records = Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.1], [0.9, 0.9]], [[1, 0], [1, 1]])
    >>> oracle(records).at(5)
    1.0
    """
    _check(records)
    cost = records.standalone_cost
    score = records.score.astype(np.float64)  # (N, M)
    cheapest = int(np.lexsort((-records.mean_score, cost))[0])
    found = {}
    for price in _prices(cost, score):
        # Of equals, the cheaper one: a price of 0 would else pay for nothing.
        value = score - price * cost[:, None]
        best = value >= value.max(axis=0) - 1e-12
        expert = np.where(best, cost[:, None], np.inf).argmin(axis=0)  # (M,)
        found[float(cost[expert].mean())] = float(np.take_along_axis(score, expert[None], axis=0).mean())
    found.setdefault(float(cost[cheapest]), float(records.mean_score[cheapest]))
    costs, scores = (np.array(some) for some in zip(*sorted(found.items()), strict=True))
    hull = upper_hull(costs, scores)
    return Baseline("oracle (knows every score)", costs[hull], scores[hull])


def common_threshold(records: Records, thresholds: Iterable[float] | None = None) -> Baseline:
    """One exit threshold for all experts, as it is written by hand; by replay.

    Args:
        records: N experts, M samples.
        thresholds: which ones; by default 101 between 0 and 1.

    Raises:
        OrxeError: a threshold is out of range, or there is no sample.
    """
    _check(records)
    wanted = np.linspace(0, 1, 101) if thresholds is None else check_shares("thresholds", thresholds)
    outcomes = [replay(records, Policy.uniform(float(each), records.n_experts)) for each in wanted]
    points = sorted({(outcome.cost, outcome.score) for outcome in outcomes})
    cost, score = np.array(points).T
    return Baseline("one common threshold", cost, score, steps=True)


def _prices(cost: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Prices of cost at which samples change their expert, or some of them, (P,)."""
    slopes = []
    for i in range(len(cost)):
        for j in range(len(cost)):
            if cost[j] > cost[i]:
                gained = (score[j] - score[i]) / (cost[j] - cost[i])
                slopes.append(np.unique(gained[gained > 0]))
    found = np.unique(np.concatenate([np.zeros(1), *slopes]))
    if len(found) > _PRICES:
        found = np.quantile(found, np.linspace(0, 1, _PRICES))
    # Just below each price, the samples that would change there have changed.
    return np.append(0.0, found * (1 - 1e-9))


def _check(records: Records) -> None:
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    if not len(records):
        raise OrxeError("the records hold no sample: there is nothing to draw")
