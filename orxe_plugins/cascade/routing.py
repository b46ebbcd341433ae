"""The routing rule on real batches. Route: who answered, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.cost.sharing import positions_of, ran_for_others
from orxe_plugins.data.batch import batch_size, put_rows, take_rows
from orxe_plugins.experts.batch_context import new_journey
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy


@dataclass(frozen=True, eq=False)
class Route:
    """Who answered each of B samples.

    Attributes:
        expert: index of the expert that answered, int64 of shape (B,).
        confidence: that expert's confidence, float32 of shape (B,).
        cost: cost of all experts that the sample went through, float64 of shape (B,); NaN where a
            cost is not known.
        ran: which experts the sample was handed to, bool of shape (B, N).
    """

    expert: Tensor
    confidence: Tensor
    cost: Tensor
    ran: Tensor

    def exit_share(self) -> Tensor:
        """Share of the samples that each expert answered, float64 of shape (N,)."""
        counts = torch.bincount(self.expert, minlength=self.ran.shape[1])
        return counts.double() / max(len(self.expert), 1)


@dataclass
class _Trip:
    """Where B samples are on their way through the experts."""

    pending: Tensor  # (B,) bool: not answered yet
    confidence: Tensor  # (B,) float32: of the last expert that ran
    expert: Tensor  # (B,) int64: the last expert that ran
    ran: Tensor  # (B, N) bool

    @classmethod
    def start(cls, size: int, n_experts: int, device: torch.device) -> _Trip:
        return cls(
            torch.ones(size, dtype=torch.bool, device=device),
            torch.zeros(size, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros((size, n_experts), dtype=torch.bool, device=device),
        )

    def arrivals(self, policy: Policy, expert: int) -> Tensor:
        """Who enters an enabled expert, bool (B,): the last one takes everybody who is left."""
        is_last = expert == policy.n_experts - 1
        first_of_all = expert == policy.enabled[0]
        if is_last or first_of_all or policy.skip_thresholds[expert] <= 0:
            return self.pending
        return self.pending & (self.confidence >= policy.skip_thresholds[expert])


def exits(policy: Policy, expert: int, confidence: Tensor) -> Tensor:
    """Whose answer by an expert stands, bool (B,), given the expert's confidence (B,)."""
    if expert == policy.n_experts - 1:
        return torch.ones_like(confidence, dtype=torch.bool)
    threshold = policy.exit_thresholds[expert]
    if threshold is None:
        return torch.zeros_like(confidence, dtype=torch.bool)
    return confidence >= threshold


def route_batch(experts: Sequence[Expert], policy: Policy, batch: Any) -> tuple[Any, Route]:
    """Run each expert on those samples alone that reach it.

    There is one compaction per stage: one ``nonzero``, one selection of rows, and the results are
    scattered back. An expert that nobody reaches does not run.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: B samples (see ``orxe_plugins.data.batch``).

    Returns:
        Outputs for B samples, of the kind that the experts give, and the route of each sample.
    """
    size = batch_size(batch)
    outputs = None
    trip: _Trip | None = None
    with new_journey(size) as journey:
        for i in policy.enabled:
            index = None if trip is None else trip.arrivals(policy, i).nonzero().squeeze(1)  # (K,)
            if index is not None and len(index) == 0:
                continue
            everyone = index is None or len(index) == size
            rows = batch if everyone or index is None else take_rows(batch, index)
            journey.rows = None if everyone else index
            answers = experts[i].run(rows)
            if experts[i].cost is None and size:
                experts[i].measure_cost(rows)
            confidence = torch.nan_to_num(answers.confidence, nan=0.0)  # (K,)
            if trip is None:
                trip = _Trip.start(size, len(experts), confidence.device)
            confidence = confidence.to(trip.confidence.device)
            if everyone or index is None:
                index = torch.arange(size, device=confidence.device)
            # Whoever goes on is overwritten by the next expert that runs on him.
            outputs = answers.outputs if everyone else put_rows(outputs, index, answers.outputs, size)
            trip.confidence[index] = confidence
            trip.expert[index] = i
            trip.ran[index, i] = True
            trip.pending[index] = ~exits(policy, i, confidence)
    assert trip is not None  # the last expert is always enabled
    return outputs, _finish(experts, trip)


def route_dense(experts: Sequence[Expert], policy: Policy, batch: Any) -> tuple[Tensor, Route]:
    """The same rule with every enabled expert run on every sample, for tracing and export.

    Nothing depends on the data but the values of tensors: B may differ from the example's.

    Args:
        experts: N experts whose outputs are tensors of one shape.
        policy: their thresholds.
        batch: B samples.
    """
    first, *others = policy.enabled
    with new_journey(batch_size(batch)):
        answers = experts[first].run(batch)
        outputs, confidence = answers.outputs, torch.nan_to_num(answers.confidence, nan=0.0)
        trip = _Trip(
            ~exits(policy, first, confidence),
            confidence,
            torch.full_like(confidence, first, dtype=torch.int64),
            torch.zeros_like(confidence, dtype=torch.bool),
        )
        columns = {first: torch.ones_like(trip.pending)}
        for i in others:
            answers = experts[i].run(batch)
            now = torch.nan_to_num(answers.confidence, nan=0.0)  # (B,)
            arrive = columns[i] = trip.arrivals(policy, i)
            mask = arrive.view(-1, *[1] * (outputs.ndim - 1))  # (B, 1, ...)
            outputs = torch.where(mask, answers.outputs.to(outputs.dtype), outputs)
            trip.confidence = torch.where(arrive, now, trip.confidence)
            trip.expert = torch.where(arrive, torch.full_like(trip.expert, i), trip.expert)
            trip.pending = trip.pending & ~(arrive & exits(policy, i, now))
    nobody = torch.zeros_like(trip.pending)
    trip.ran = torch.stack([columns.get(i, nobody) for i in range(len(experts))], dim=1)  # (B, N)
    return outputs, _finish(experts, trip)


def _finish(experts: Sequence[Expert], trip: _Trip) -> Route:
    device = trip.ran.device
    nan = float("nan")
    costs = torch.tensor([nan if e.cost is None else e.cost for e in experts], dtype=torch.float64, device=device)
    shared = torch.tensor([e.shared_cost for e in experts], dtype=torch.float64, device=device)
    # Selecting, not multiplying: the unknown cost of a disabled expert must not turn the sum into NaN.
    cost = torch.where(trip.ran, costs, torch.zeros_like(costs)).sum(dim=1) + shared[trip.expert]  # (B,)
    needs = positions_of([e.name for e in experts], [e.needs for e in experts])
    for i, alone in ran_for_others(trip.ran, needs):
        cost = cost + torch.where(alone, costs[i], torch.zeros_like(cost))
    return Route(trip.expert, trip.confidence, cost, trip.ran)
