"""The routing rule on real batches. Route: which expert answered each sample, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.cascade.faults import checked, not_finite
from orxe_plugins.cascade.plan import Costs, Stage, stages_of
from orxe_plugins.cascade.route import Route
from orxe_plugins.data.batch import Rows, put_rows, take_rows
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy

__all__ = ["Route", "route_batch", "route_dense"]


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


class _State:
    """How far B samples have come through the experts, once the first one ran on all of them.

    Args:
        n_experts: number of experts N.
        stage: the first one.
        confidence: what it is, float (B,).

    Attributes:
        confidence: of the last expert that ran, float32 (B,).
        expert: the last expert that ran, int64 (B,).
        ran: per expert, which samples it ran on, bool (B,); None: on none.
        seen: per expert, the confidence (B,) after it; only that of samples that it ran on is its own.
        pending: which samples are not answered yet, bool (B,).
    """

    def __init__(self, n_experts: int, stage: Stage, confidence: Tensor) -> None:
        self.confidence = _number(confidence)
        self.expert = torch.full_like(self.confidence, stage.expert, dtype=torch.int64)
        everyone = torch.ones_like(self.confidence, dtype=torch.bool)
        self.ran: list[Tensor | None] = [None] * n_experts
        self.ran[stage.expert] = everyone
        self.seen: list[Tensor | None] = [None] * n_experts
        self.seen[stage.expert] = self.confidence
        self.pending = everyone if stage.exit is None else self.confidence < stage.exit

    def entering(self, stage: Stage) -> Tensor:
        """Which samples enter an expert, bool (B,)."""
        return self.pending & (self.confidence >= stage.skip) if stage.skip > 0 else self.pending

    def leave(self, stage: Stage, entered: Tensor, confidence: Tensor) -> None:
        """Note that an expert ran on the samples that entered it, given the confidence (B,) that this leads to."""
        self.confidence = confidence
        self.expert = self.expert.masked_fill(entered, stage.expert)
        self.ran[stage.expert], self.seen[stage.expert] = entered, confidence
        if stage.exit is not None:
            self.pending = self.pending & ~(entered & (confidence >= stage.exit))

    def hold_back(self, stage: Stage, limit: Limit) -> None:
        """Let more samples exit after an expert that just ran, as a limit says."""
        ran = self.ran[stage.expert]
        assert ran is not None
        rows = ran.nonzero().squeeze(1)  # (K,)
        leaving = limit.leaving(stage.expert, rows, self.confidence[rows], ~self.pending[rows])
        self.pending = self.pending.index_fill(0, rows[leaving], False)

    def route(self, costs: Costs, unsound: Tensor | None = None) -> Route:
        """What came out."""
        none = torch.zeros_like(self.pending)
        ran = torch.stack([none if column is None else column for column in self.ran], dim=1)  # (B, N)
        nothing = torch.full_like(self.confidence, float("nan"))
        seen = torch.stack([nothing if column is None else column for column in self.seen], dim=1)
        confidences = torch.where(ran, seen, nothing[:, None])  # (B, N)
        cost = costs.of(ran, self.expert)
        return Route(self.expert, self.confidence, cost, ran, unsound=unsound, confidences=confidences)


def _number(confidence: Tensor) -> Tensor:
    """A confidence in float32, 0 where it is NaN."""
    return torch.nan_to_num(confidence.to(torch.float32), nan=0.0)


@torch.compiler.disable(recursive=False)
def route_batch(
    experts: Sequence[Expert], policy: Policy, batch: Any, context: BatchContext, limit: Limit | None = None
) -> tuple[Any, Route]:
    """Run each expert on those samples alone that reach it.

    There is one compaction per stage. The host learns which samples go on once per stage, and nothing else: the rest
    stays on the device. An expert that no sample reaches does not run, and nothing is copied where all of them go on.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: B samples (see ``orxe_plugins.data.batch``).
        context: what the experts share while they answer it.
        limit: holds samples back that would go on by their thresholds; the host waits for it once more per stage.

    Returns:
        Outputs for B samples, of the kind that the experts give, and the route of each sample.

    Raises:
        OrxeError: an expert gives another number of answers than it was handed samples.
    """
    size = context.size
    first, *others = stages_of(policy)
    answers = checked(experts[first.expert], experts[first.expert].run(batch, context.on_rows(None)), size)
    outputs = answers.outputs
    state = _State(len(experts), first, answers.confidence)
    if limit is not None and first.exit is not None:
        state.hold_back(first, limit)
    for stage in others:
        entered = state.entering(stage)
        index = torch.from_numpy(np.flatnonzero(entered.cpu().numpy()))  # (K,); the host waits here
        if len(index) == 0 and stage.skip <= 0:
            break  # all are answered
        if len(index) == 0:
            continue
        expert, device = experts[stage.expert], state.confidence.device
        if len(index) == size:
            answers = checked(expert, expert.run(batch, context.on_rows(None)), size)
            outputs, confidence = answers.outputs, _number(answers.confidence.to(device))
        else:
            rows = Rows(index)
            answers = checked(expert, expert.run(take_rows(batch, rows), context.on_rows(index)), len(index))
            # The answer to a sample that goes on is overwritten by that of the next expert that it enters.
            outputs = put_rows(outputs, rows, answers.outputs, size)
            confidence = state.confidence.index_copy(0, rows.on(device), _number(answers.confidence.to(device)))
        state.leave(stage, entered, confidence)
        if limit is not None and stage.exit is not None:
            state.hold_back(stage, limit)
    unsound = not_finite(experts[-1], outputs)
    return outputs, state.route(Costs.of_experts(experts, state.confidence.device), unsound)


def route_dense(experts: Sequence[Expert], policy: Policy, batch: Any, context: BatchContext) -> tuple[Tensor, Route]:
    """The same rule with every enabled expert run on every sample, for tracing and export.

    Nothing depends on the data but the values of tensors: B may differ from the example's.

    Args:
        experts: N experts whose outputs are tensors of one shape.
        policy: their thresholds.
        batch: B samples.
        context: what the experts share while they answer it.
    """
    first, *others = stages_of(policy)
    answers = experts[first.expert].run(batch, context)
    outputs = answers.outputs
    state = _State(len(experts), first, answers.confidence)
    for stage in others:
        answers = experts[stage.expert].run(batch, context)
        entered = state.entering(stage)
        mask = entered.view(-1, *[1] * (outputs.ndim - 1))  # (B, 1, ...)
        outputs = torch.where(mask, answers.outputs.to(outputs.dtype), outputs)
        state.leave(stage, entered, torch.where(entered, _number(answers.confidence), state.confidence))
    # What is placed once for all batches must not be made while a graph is.
    return outputs, state.route(Costs.made_of(experts, state.confidence.device))
