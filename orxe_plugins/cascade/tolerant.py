"""One batch through a cascade whose experts may fail or hang."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from orxe_plugins.cascade.counting import count_unknown
from orxe_plugins.cascade.engine import Engine
from orxe_plugins.cascade.parcel import Finished, Parcel
from orxe_plugins.cascade.route import Route
from orxe_plugins.cascade.routing import Limit, route_batch
from orxe_plugins.data.batch import batch_of
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy


def route_tolerant(
    experts: Sequence[Expert],
    policy: Policy,
    batch: Any,
    context: BatchContext,
    on_error: str,
    timeout: float | None,
    limit: Limit | None = None,
) -> tuple[Any, Route]:
    """Outputs for B samples and the route of each, on the host, whatever experts do.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: B samples.
        context: what the experts share while they answer it.
        on_error: one of ``faults.ON_ERROR``.
        timeout: seconds within which to return; None waits for every expert.
        limit: holds samples back that would go on by their thresholds.

    Raises:
        Exception: an expert failed, and faults are not tolerated.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    count_unknown(experts, policy, batch)
    if context.size == 0:
        return route_batch(experts, policy, batch, context)
    engine = Engine(experts, on_error == "best_available", deadline=deadline, limit=limit)
    rows = range(context.size)
    start = Parcel.of(rows, [engine.number_of(policy)] * context.size, batch, context.setup, len(experts))
    waiting: list[list[Parcel]] = [[] for _ in experts]
    waiting[policy.enabled[0]].append(start)
    found: dict[int, Finished] = {}
    for expert, parcels in enumerate(waiting):
        if not parcels:
            continue
        outcome = engine.run(expert, Parcel.joined(parcels))
        found.update({one.number: one for one in outcome.finished})
        for goal, parcel in outcome.onward.items():
            waiting[goal].append(parcel)
    ordered = [found[row] for row in rows]
    return batch_of([one.output for one in ordered]), _route(ordered)


def _route(found: Sequence[Finished]) -> Route:
    return Route(
        torch.tensor([one.expert for one in found], dtype=torch.int64),
        torch.tensor([one.confidence for one in found], dtype=torch.float32),
        torch.tensor([one.cost for one in found], dtype=torch.float64),
        torch.from_numpy(np.stack([one.ran for one in found])),
        tuple(fault for one in found for fault in one.faults),
        confidences=torch.from_numpy(np.stack([one.seen for one in found])),
    )
