"""The routing rule on real batches. Route: which expert answered each sample, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from orxe_plugins.cost.sharing import positions_of, ran_for_others
from orxe_plugins.data.batch import put_rows, take_rows
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy


@dataclass(frozen=True, eq=False)
class Route:
    """Which expert answered each of B samples.

    Attributes:
        expert: index of the expert that answered, int64 of shape (B,).
        confidence: that expert's confidence, float32 of shape (B,).
        cost: cost of all experts that the sample went through, float64 of shape (B,); NaN where a
            cost is not known.
        ran: which experts the sample was handed to, bool of shape (B, N).
        confidences: confidence of each expert that the sample was handed to, float32 of shape (B, N); NaN for the
            others. None where they are not known.
    """

    expert: Tensor
    confidence: Tensor
    cost: Tensor
    ran: Tensor
    confidences: Tensor | None = None

    def exit_share(self) -> Tensor:
        """Share of the samples that each expert answered, float64 of shape (N,)."""
        counts = torch.bincount(self.expert, minlength=self.ran.shape[1])
        return counts.double() / max(len(self.expert), 1)


class Limit(Protocol):
    """Decides, while a batch is routed, which samples may go on; a budget guard is one."""

    def leaving(self, expert: int, rows: Tensor, confidence: Tensor, leaving: Tensor) -> Tensor:
        """Which of K samples exit after an expert, bool (K,): at least those that do so by their thresholds.

        Args:
            expert: index of the expert that just ran.
            rows: positions of the samples in the batch, int64 (K,).
            confidence: the expert's, float32 (K,).
            leaving: which of them exit by the thresholds, bool (K,).
        """


@dataclass
class _State:
    """How far B samples have come through the experts."""

    pending: Tensor  # (B,) bool: not answered yet
    confidence: Tensor  # (B,) float32: of the last expert that ran
    expert: Tensor  # (B,) int64: the last expert that ran
    ran: Tensor  # (B, N) bool
    confidences: Tensor | None = None  # (B, N) float32, NaN where the expert did not run

    @classmethod
    def start(cls, size: int, n_experts: int, device: torch.device) -> _State:
        return cls(
            torch.ones(size, dtype=torch.bool, device=device),
            torch.zeros(size, device=device),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros((size, n_experts), dtype=torch.bool, device=device),
            torch.full((size, n_experts), float("nan"), device=device),
        )

    def arrivals(self, policy: Policy, expert: int) -> Tensor:
        """Which samples enter an enabled expert, bool (B,): all that are left enter the last one."""
        is_last = expert == policy.n_experts - 1
        first_of_all = expert == policy.enabled[0]
        if is_last or first_of_all or policy.skip_thresholds[expert] <= 0:
            return self.pending
        return self.pending & (self.confidence >= policy.skip_thresholds[expert])


def exits(policy: Policy, expert: int, confidence: Tensor) -> Tensor:
    """Which samples exit after an expert, bool (B,), given the expert's confidence (B,)."""
    if expert == policy.n_experts - 1:
        return torch.ones_like(confidence, dtype=torch.bool)
    threshold = policy.exit_thresholds[expert]
    if threshold is None:
        return torch.zeros_like(confidence, dtype=torch.bool)
    return confidence >= threshold


def route_batch(
    experts: Sequence[Expert], policy: Policy, batch: Any, context: BatchContext, limit: Limit | None = None
) -> tuple[Any, Route]:
    """Run each expert on those samples alone that reach it.

    There is one compaction per stage: one ``nonzero``, one selection of rows, and the results are
    scattered back. An expert that no sample reaches does not run.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: B samples (see ``orxe_plugins.data.batch``).
        context: what the experts share while they answer it.
        limit: holds samples back that would go on by their thresholds.

    Returns:
        Outputs for B samples, of the kind that the experts give, and the route of each sample.
    """
    size = context.size
    outputs = None
    state: _State | None = None
    for i in policy.enabled:
        index = None if state is None else state.arrivals(policy, i).nonzero().squeeze(1)  # (K,)
        if index is not None and len(index) == 0:
            continue
        all_enter = index is None or len(index) == size
        rows = batch if all_enter or index is None else take_rows(batch, index)
        answers = experts[i].run(rows, context.on_rows(None if all_enter else index))
        if experts[i].cost is None and size:
            experts[i].measure_cost(rows)
        confidence = torch.nan_to_num(answers.confidence, nan=0.0)  # (K,)
        if state is None:
            state = _State.start(size, len(experts), confidence.device)
        confidence = confidence.to(state.confidence.device)
        if all_enter or index is None:
            index = torch.arange(size, device=confidence.device)
        # The answer to a sample that goes on is overwritten by that of the next expert that it enters.
        outputs = answers.outputs if all_enter else put_rows(outputs, index, answers.outputs, size)
        state.confidence[index] = confidence
        state.expert[index] = i
        state.ran[index, i] = True
        assert state.confidences is not None
        state.confidences[index, i] = confidence
        leaving = exits(policy, i, confidence)
        if limit is not None:
            leaving = limit.leaving(i, index, confidence, leaving)
        state.pending[index] = ~leaving
    assert state is not None  # the last expert is always enabled
    return outputs, _finish(experts, state)


def route_dense(experts: Sequence[Expert], policy: Policy, batch: Any, context: BatchContext) -> tuple[Tensor, Route]:
    """The same rule with every enabled expert run on every sample, for tracing and export.

    Nothing depends on the data but the values of tensors: B may differ from the example's.

    Args:
        experts: N experts whose outputs are tensors of one shape.
        policy: their thresholds.
        batch: B samples.
        context: what the experts share while they answer it.
    """
    first, *others = policy.enabled
    answers = experts[first].run(batch, context)
    outputs, confidence = answers.outputs, torch.nan_to_num(answers.confidence, nan=0.0)
    state = _State(
        ~exits(policy, first, confidence),
        confidence,
        torch.full_like(confidence, first, dtype=torch.int64),
        torch.zeros_like(confidence, dtype=torch.bool),
    )
    columns = {first: torch.ones_like(state.pending)}
    for i in others:
        answers = experts[i].run(batch, context)
        now = torch.nan_to_num(answers.confidence, nan=0.0)  # (B,)
        arrive = columns[i] = state.arrivals(policy, i)
        mask = arrive.view(-1, *[1] * (outputs.ndim - 1))  # (B, 1, ...)
        outputs = torch.where(mask, answers.outputs.to(outputs.dtype), outputs)
        state.confidence = torch.where(arrive, now, state.confidence)
        state.expert = torch.where(arrive, torch.full_like(state.expert, i), state.expert)
        state.pending = state.pending & ~(arrive & exits(policy, i, now))
    none = torch.zeros_like(state.pending)
    state.ran = torch.stack([columns.get(i, none) for i in range(len(experts))], dim=1)  # (B, N)
    return outputs, _finish(experts, state)


def _finish(experts: Sequence[Expert], state: _State) -> Route:
    device = state.ran.device
    nan = float("nan")
    costs = torch.tensor([nan if e.cost is None else e.cost for e in experts], dtype=torch.float64, device=device)
    shared = torch.tensor([e.shared_cost for e in experts], dtype=torch.float64, device=device)
    # Selecting, not multiplying: the unknown cost of a disabled expert must not turn the sum into NaN.
    cost = torch.where(state.ran, costs, torch.zeros_like(costs)).sum(dim=1) + shared[state.expert]  # (B,)
    needs = positions_of([e.name for e in experts], [e.needs for e in experts])
    for i, alone in ran_for_others(state.ran, needs):
        cost = cost + torch.where(alone, costs[i], torch.zeros_like(cost))
    return Route(state.expert, state.confidence, cost, state.ran, state.confidences)
