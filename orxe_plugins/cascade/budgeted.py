"""Routing with a fixed budget for each batch: so many of the least sure samples go on, whatever their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.cascade.faults import checked, not_finite
from orxe_plugins.cascade.plan import Costs
from orxe_plugins.cascade.route import Route
from orxe_plugins.data.batch import Rows, put_rows, take_rows
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Answers, Expert
from orxe_plugins.util.arguments import check_count


def route_budgeted(
    experts: Sequence[Expert], onward: Sequence[int], batch: Any, context: BatchContext
) -> tuple[Any, Route]:
    """Outputs for B samples, and the route of each; see :meth:`orxe_plugins.Cascade.route_budgeted`.

    Args:
        experts: N experts.
        onward: how many samples go on from each but the last.
        batch: the samples.
        context: what the experts share while they answer it.
    """
    _check_onward(onward, len(experts))
    size = context.size
    answers = checked(experts[0], experts[0].run(batch, context.on_rows(None)), size)
    outputs, confidence = answers.outputs, _number(answers.confidence)
    expert = torch.zeros_like(confidence, dtype=torch.int64)
    ran = torch.zeros((size, len(experts)), dtype=torch.bool, device=confidence.device)
    ran[:, 0] = True
    seen = torch.full(ran.shape, float("nan"), device=confidence.device)
    seen[:, 0] = confidence.detach()
    rows = torch.arange(size, device=confidence.device)
    for i, count in enumerate(onward, start=1):
        count = min(count, len(rows))
        if not count:
            break
        # Of equals the earlier ones go on, and the rows stay in order, as experts expect them.
        least_sure = confidence.index_select(0, rows).argsort(stable=True)[:count]
        rows = rows.index_select(0, least_sure.sort().values)
        answers = _run(experts[i], batch, context, rows)
        outputs = put_rows(outputs, Rows(rows), answers.outputs, size)
        sure = _number(answers.confidence).to(confidence.device)
        confidence = confidence.index_copy(0, rows, sure)
        seen[:, i] = seen[:, i].index_copy(0, rows, sure.detach())
        expert = expert.index_fill(0, rows, i)
        ran[:, i] = ran[:, i].index_fill(0, rows, True)
    cost = Costs.of_experts(experts, ran.device).of(ran, expert)
    unsound = not_finite(experts[-1], outputs)
    return outputs, Route(expert, confidence, cost, ran, unsound=unsound, confidences=seen)


def _check_onward(onward: Sequence[int], n_experts: int) -> None:
    if not hasattr(onward, "__len__") or len(onward) != n_experts - 1:
        given = f"{len(onward)} numbers" if hasattr(onward, "__len__") else "no list of numbers"
        raise OrxeError(
            f"onward is {onward!r}, {given} for {n_experts} experts: expected {n_experts - 1}, one for every expert "
            "but the last"
        )
    for count in onward:
        check_count("onward", count)


def _run(expert: Expert, batch: Any, context: BatchContext, rows: Tensor) -> Answers:
    # Notes of experts that share something are kept by rows that the host knows.
    keeps_notes = bool(context.setup.shared or context.setup.needed)
    at_hand = context.on_rows(rows.cpu() if keeps_notes else rows)
    return checked(expert, expert.run(take_rows(batch, Rows(rows)), at_hand), len(rows))


def _number(confidence: Tensor) -> Tensor:
    return torch.nan_to_num(confidence.to(torch.float32), nan=0.0)
