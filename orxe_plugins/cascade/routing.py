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


class _Course:
    """How far B samples have come through N experts, as the host knows it; a trace of their route.

    Args:
        experts: the experts.
        size: number of samples B.

    Attributes:
        device: where the first expert's confidences are.
        pending: which samples are not answered yet, bool (B,).
    """

    def __init__(self, experts: Sequence[Expert], size: int) -> None:
        self._experts = experts
        self.device = torch.device("cpu")
        self.pending = np.ones(size, dtype=bool)
        self._expert = np.zeros(size, dtype=np.int64)
        self._sure = np.zeros(size, dtype=np.float32)  # of the last expert that ran
        self._ran = np.zeros((size, len(experts)), dtype=bool)
        self._seen = np.full((size, len(experts)), np.nan, dtype=np.float32)
        self._last: tuple[Tensor, Tensor] | None = None
        self._unsound: Tensor | None = None

    @torch.compiler.disable
    def entering(self, stage: Stage) -> np.ndarray:
        """Places of the samples that enter an expert, int64 (K,)."""
        enters = self.pending & (self._sure >= np.float32(stage.skip)) if stage.skip > 0 else self.pending
        return np.flatnonzero(enters)

    @torch.compiler.disable
    def ran(self, stage: Stage, rows: np.ndarray, confidence: Tensor) -> None:
        """Note that an expert ran on the samples at K places, and how sure it was of them, (K,)."""
        if not self._ran.any():
            self.device = confidence.device
        self._expert[rows], self._ran[rows, stage.expert] = stage.expert, True
        if stage.exit is None:
            # Nothing depends on how sure the last one is: the host does not wait for it.
            self._last = torch.from_numpy(rows), confidence.detach()
            self.pending[rows] = False
            return
        sure = confidence.detach().float().cpu().numpy()  # the host waits here
        sure = np.where(np.isnan(sure), np.float32(0), sure)
        self._sure[rows] = self._seen[rows, stage.expert] = sure
        # As torch does, a threshold is compared in the precision of the confidence.
        self.pending[rows[sure >= np.float32(stage.exit)]] = False

    @torch.compiler.disable
    def hold_back(self, stage: Stage, rows: np.ndarray, limit: Limit) -> None:
        """Let more of K samples exit after an expert that just ran on them, as a limit says."""
        told = rows, self._sure[rows], ~self.pending[rows]
        self.pending[rows[limit.leaving(stage.expert, *map(torch.from_numpy, told)).numpy()]] = False

    @torch.compiler.disable
    def route(self, unsound: Tensor | None) -> Route:
        """What came out, given which answers are not finite, bool (B,)."""
        self._unsound = unsound
        return Route.of(self)

    def on(self, device: torch.device) -> Route:
        late, unsound = self._late(device)
        seen = torch.from_numpy(self._seen.copy()).to(device)  # (B, N)
        if self._last is not None:
            seen[self._last[0].to(device), -1] = _number(late)
        expert, ran = torch.from_numpy(self._expert).to(device), torch.from_numpy(self._ran).to(device)
        confidence = seen.gather(1, expert[:, None]).squeeze(1)
        cost = Costs.of_experts(self._experts, device).of(ran, expert)
        return Route(expert, confidence, cost, ran, unsound=unsound, confidences=seen)

    def _late(self, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """The last expert's confidences, and which answers are not finite: what a device alone knows, in one move."""
        confidence = torch.zeros(0, device=self.device) if self._last is None else self._last[1]
        if self._unsound is None or device == self._unsound.device:
            return confidence.to(device), self._unsound
        packed = torch.cat([confidence.float(), self._unsound.to(confidence.device, torch.float32)]).to(device)
        return packed[: len(confidence)], packed[len(confidence) :].bool()


@torch.compiler.disable(recursive=False)
def route_batch(
    experts: Sequence[Expert], policy: Policy, batch: Any, context: BatchContext, limit: Limit | None = None
) -> tuple[Any, Route]:
    """Run each expert on those samples alone that reach it.

    There is one compaction per stage. The host learns how sure an expert is once per stage, and nothing else: answers
    stay on the device, and so does what the last expert says. An expert that no sample reaches does not run, and
    nothing is copied where all of them go on.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: B samples (see ``orxe_plugins.data.batch``).
        context: what the experts share while they answer it.
        limit: holds samples back that would go on by their thresholds.

    Returns:
        Outputs for B samples, of the kind that the experts give, and the route of each sample.

    Raises:
        OrxeError: an expert gives another number of answers than it was handed samples.
    """
    size = context.size
    course, outputs = _Course(experts, size), None
    for stage in stages_of(policy):
        rows = course.entering(stage)  # (K,)
        if len(rows) == 0 and outputs is not None:
            if not course.pending.any():
                break
            continue
        expert = experts[stage.expert]
        if len(rows) == size:
            answers = checked(expert, expert.run(batch, context.on_rows(None)), size)
            outputs = answers.outputs
        else:
            index = torch.from_numpy(rows)
            chosen = Rows(index)
            answers = checked(expert, expert.run(take_rows(batch, chosen), context.on_rows(index)), len(index))
            # The answer to a sample that goes on is overwritten by that of the next expert that it enters.
            outputs = put_rows(outputs, chosen, answers.outputs, size)
        course.ran(stage, rows, answers.confidence)
        if limit is not None and stage.exit is not None:
            course.hold_back(stage, rows, limit)
    return outputs, course.route(not_finite(experts[-1], outputs))


class _State:
    """How far B samples have come through the experts, once the first one ran on all of them, in tensors alone.

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

    def route(self, costs: Costs) -> Route:
        """What came out."""
        none = torch.zeros_like(self.pending)
        ran = torch.stack([none if column is None else column for column in self.ran], dim=1)  # (B, N)
        nothing = torch.full_like(self.confidence, float("nan"))
        seen = torch.stack([nothing if column is None else column for column in self.seen], dim=1)
        confidences = torch.where(ran, seen, nothing[:, None])  # (B, N)
        cost = costs.of(ran, self.expert)
        return Route(self.expert, self.confidence, cost, ran, confidences=confidences)


def _number(confidence: Tensor) -> Tensor:
    """A confidence in float32, 0 where it is NaN."""
    return torch.nan_to_num(confidence.to(torch.float32), nan=0.0)


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
