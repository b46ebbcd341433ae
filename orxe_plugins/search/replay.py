"""Replay: what a policy would cost and score on records, without running a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from orxe_plugins.cost.sharing import ran_for_others
from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.records.records import Records


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """How M samples were routed by one policy, and what that cost and scored.

    Attributes:
        records: what was replayed.
        policy: the thresholds.
        expert: index of the expert that answered each sample, int64 of shape (M,).
        cost: mean cost per sample, in the records' unit.
        score: mean score per sample.
        run_share: share of the samples that each expert ran on, float64 of shape (N,).
    """

    records: Records
    policy: Policy
    expert: np.ndarray
    cost: float
    score: float
    run_share: np.ndarray

    def __repr__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.exit_share)
        return (
            f"Outcome({len(self.expert):,} samples: cost={self.cost:.6g} {self.records.cost_unit}, "
            f"score={self.score:.6g}, exit_share=[{shares}])"
        )

    @cached_property
    def exit_share(self) -> np.ndarray:
        """Share of the samples that each expert answered, float64 of shape (N,)."""
        return np.bincount(self.expert, minlength=self.records.n_experts) / len(self.expert)

    @cached_property
    def ran(self) -> np.ndarray:
        """Which experts ran on which sample, bool of shape (M, N)."""
        ran = np.zeros((len(self.expert), self.records.n_experts), dtype=bool)
        for i, arrive in arrivals(self.records, self.policy):
            ran[:, i] = arrive
        return ran

    @cached_property
    def sample_cost(self) -> np.ndarray:
        """Cost of each sample, float64 of shape (M,)."""
        cost = self.records.shared_cost[self.expert]
        for i, arrive in arrivals(self.records, self.policy):
            cost[arrive] += self.records.cost[i]
        if _lacks_needed(self.records, self.policy):
            for i, alone in ran_for_others(self.ran, self.records.needs):
                cost[alone] += self.records.cost[i]
        return cost

    @cached_property
    def sample_score(self) -> np.ndarray:
        """Score of each sample under the expert that answered it, float64 of shape (M,)."""
        return np.take_along_axis(self.records.score, self.expert[None], axis=0)[0].astype(np.float64)

    @cached_property
    def confidence(self) -> np.ndarray:
        """Confidence of the expert that answered each sample, float32 of shape (M,)."""
        return np.take_along_axis(self.records.confidence, self.expert[None], axis=0)[0]


def replay(records: Records, policy: Policy | PolicyRow) -> Outcome:
    """Route M recorded samples by a policy, by the rule that a cascade routes by.

    Confidences are compared in float32, as torch compares a float32 tensor with a Python float.

    >>> from orxe_plugins import Policy, Records, replay
    >>> records = Records.from_arrays(
    ...     ["small", "large"],
    ...     cost=[1, 10],
    ...     confidence=[[0.9, 0.4, 0.6, 0.3], [0.9, 0.9, 0.8, 0.6]],
    ...     score=[[1, 0, 1, 0], [1, 1, 0, 1]],
    ... )
    >>> replay(records, Policy((0.5,)))  # the small expert answers two of the samples
    Outcome(4 samples: cost=6 GMACs, score=1, exit_share=[0.5, 0.5])

    Args:
        records: N experts, M samples.
        policy: thresholds for N experts, or a row of a policy table.

    Raises:
        OrxeError: the policy is for another number of experts, or there is no sample.
    """
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    policy = as_policy(policy)
    policy.check_n_experts(records.n_experts)
    expert = np.zeros(len(records), dtype=np.int64)
    ran = np.zeros(records.n_experts, dtype=np.int64)
    for i, arrive in arrivals(records, policy):
        expert[arrive] = i
        ran[i] = np.count_nonzero(arrive)
    m = len(records)
    answered = np.bincount(expert, minlength=records.n_experts)
    # Counts times costs, not a sum over samples: no rounding that depends on M.
    cost = float(ran @ records.cost + answered @ records.shared_cost) / m
    score = np.take_along_axis(records.score, expert[None], axis=0)[0]
    outcome = Outcome(records, policy, expert, cost, float(score.sum(dtype=np.float64)) / m, ran / m)
    return replace(outcome, cost=float(outcome.sample_cost.mean())) if _lacks_needed(records, policy) else outcome


def arrivals(records: Records, policy: Policy) -> Iterator[tuple[int, np.ndarray]]:
    """The enabled experts in routing order, each with the samples that it runs on, bool (M,).

    An array is only valid until the next one is asked for.
    """
    if not len(records):
        raise OrxeError("the records hold no sample: there is nothing to replay")
    last = records.n_experts - 1
    pending = np.ones(len(records), dtype=bool)
    confidence = np.zeros(0, dtype=np.float32)
    for i in policy.enabled:
        arrive = pending
        if confidence.size and i != last and policy.skip_thresholds[i] > 0:
            arrive = pending & (confidence >= np.float32(policy.skip_thresholds[i]))
        yield i, arrive
        threshold = policy.exit_thresholds[i] if i < last else 0.0
        assert threshold is not None  # enabled experts have one
        now = records.confidence[i]
        confidence = np.where(arrive, now, confidence) if confidence.size else now
        pending = pending & ~(arrive & (now >= np.float32(threshold)))


def _lacks_needed(records: Records, policy: Policy) -> bool:
    """Whether an enabled expert may run on a sample on which the one that it needs did not."""
    first = policy.enabled[0]
    return any(records.needs[i] not in (-1, first) for i in policy.enabled)
