"""What policies would cost on the samples that a cascade answered last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.policies.policy import Policy


@dataclass(frozen=True)
class PathCosts:
    """What the paths through N experts cost; see :mod:`orxe_plugins.cost.sharing`.

    Attributes:
        cost: of running each expert, N numbers.
        shared_cost: what a sample pays beside that if the expert answers it, N numbers.
        needs: position of the expert whose answer each one builds on, -1 for none.
    """

    cost: tuple[float, ...]
    shared_cost: tuple[float, ...]
    needs: tuple[int, ...]

    def running(self, expert: int, ran: Sequence[int] = ()) -> float:
        """Cost of running an expert on a sample that went through others before, without the shared part."""
        needed = self.needs[expert]
        return self.cost[expert] + (self.cost[needed] if needed >= 0 and needed not in ran else 0.0)

    def alone(self, expert: int) -> float:
        """Cost of a sample that an expert answers alone."""
        return self.running(expert) + self.shared_cost[expert]

    def step(self, policy: Policy, expert: int) -> float:
        """The most that a sample can cost in addition by going on from an expert to the next one that it enters."""
        later = [j for j in policy.enabled if j > expert]
        shared = self.shared_cost
        return max((self.running(j, (expert,)) + shared[j] - shared[expert] for j in later), default=0.0)


def expected_cost(policy: Policy, confidences: np.ndarray, costs: PathCosts) -> float | None:
    """Mean cost of a policy on samples of which some confidences are known.

    Where an expert did not run, it is taken to answer as large a share as of the samples that it ran on. These are the
    harder ones as a rule, so that the cost is rather too high than too low.

    Args:
        policy: thresholds for N experts.
        confidences: float array (M, N); NaN where an expert did not run.
        costs: of the experts.

    Returns:
        The mean cost, or None if an expert that decides ran on none of the samples.
    """
    going = np.ones(len(confidences))  # the share of each sample that is not answered yet
    last = np.full(len(confidences), np.nan)
    total = 0.0
    for place, i in enumerate(policy.enabled):
        is_last = i == policy.n_experts - 1
        arriving = going
        if place and not is_last and policy.skip_thresholds[i] > 0:
            arriving = np.where(last < policy.skip_thresholds[i], 0.0, going)
        total += float(arriving.sum()) * costs.running(i, policy.enabled[:place])
        leaving = arriving if is_last else _leaving(arriving, confidences[:, i], policy.exit_thresholds[i])
        if leaving is None:
            return None
        total += float(leaving.sum()) * costs.shared_cost[i]
        going = going - leaving
        last = np.where(arriving > 0, confidences[:, i], last)
    return total / max(len(confidences), 1)


def _leaving(arriving: np.ndarray, confidence: np.ndarray, threshold: float | None) -> np.ndarray | None:
    """The share of each sample that an expert answers; None if nothing is known of it."""
    if threshold == 0.0:
        return arriving
    known = ~np.isnan(confidence)
    if threshold is None or not known.any():
        return None
    exits = confidence >= threshold
    return np.asarray(arriving * np.where(known, exits, exits[known].mean()))
