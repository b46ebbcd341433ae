"""Costs that depend on the batch size: one cost per sample and expert, at the sub-batch that it is expected to get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.policies.policy import Policy, check_preferences
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records import Records
from orxe_plugins.search.fit import fit_policies
from orxe_plugins.search.replay import replay

#: costs that change by less than this share have settled
_SETTLED = 0.01
_ROUNDS = 8


@dataclass(frozen=True)
class BatchedCosts:
    """Costs at the sub-batches that they themselves lead to.

    Attributes:
        ms: expert's name -> milliseconds per sample that comes to it.
        share: expert's name -> share of a batch that was expected to come to it.
        batch_size: size of the whole batch.
        rounds: how many fits it took.
        settled: whether the costs had settled by then.
    """

    ms: dict[str, float]
    share: dict[str, float]
    batch_size: int
    rounds: int
    settled: bool


def batched_costs(
    records: Records, latency: LatencyTable, preferences: Iterable[float], batch_size: int, *, skip_gates: bool = True
) -> BatchedCosts:
    """Latencies per sample at the sub-batches that experts get under the policies that these latencies lead to.

    The search takes one cost per expert. It is the expected time of the expert's sub-batch over the number of
    samples in it; the share of the batch that comes to it is the mean over those preferences whose policy runs it.
    Policies are fitted, shares and costs follow from them, and so on until the costs settle. An expert that no policy
    runs keeps the cost of the whole batch, its cheapest one.

    Args:
        records: the fitting split.
        latency: of all its experts.
        preferences: what will be fitted.
        batch_size: of the whole batch.
        skip_gates: as in the fit.

    Raises:
        OrxeError: an expert has no latency, or is an exit whose cost others share.
    """
    if batch_size < 1:
        raise OrxeError(f"batch_size is {batch_size!r}: expected at least 1")
    if records.shared_cost.any() or any(j >= 0 for j in records.needs):
        raise OrxeError("latencies are those of whole models: exits inside one backbone need a table of costs instead")
    wanted = check_preferences(preferences)
    share = dict.fromkeys(records.names, 1.0)
    ms = {name: latency.per_sample(name, batch_size, 1.0) for name in records.names}
    rounds, settled = 0, False
    while rounds < _ROUNDS and not settled:
        rounds += 1
        with_latency = with_costs(records, ms, "ms")
        table = fit_policies(with_latency, wanted, skip_gates=skip_gates)
        seen = _shares(with_latency, table)
        # Half the way: a policy that flips between two costs would never settle.
        share = {name: (share[name] + seen.get(name, share[name])) / 2 for name in records.names}
        new = {name: latency.per_sample(name, batch_size, share[name]) for name in records.names}
        settled = all(abs(new[name] - ms[name]) <= _SETTLED * ms[name] for name in ms)
        ms = new
    return BatchedCosts(ms, share, batch_size, rounds, settled)


def with_costs(records: Records, cost: Mapping[str, float], unit: str) -> Records:
    """The records with other costs, in the routing order that these give.

    Args:
        records: N experts.
        cost: expert's name -> cost per sample, such as millijoules; names of other experts are ignored.
        unit: of the costs, such as "mJ".

    Raises:
        OrxeError: an expert has no cost, or one that is no finite number of at least 0.
    """
    for name in records.names:
        if name not in cost:
            raise unknown("expert with a cost", name, cost)
        if not (np.isfinite(cost[name]) and cost[name] >= 0):
            raise OrxeError(f"cost of {name!r} is {cost[name]!r}: expected a finite number of at least 0")
    costs = np.array([float(cost[name]) for name in records.names])
    changed = replace(records, cost=costs, shared_cost=np.zeros(len(costs)), cost_unit=unit)
    return changed.sorted_by_cost()


def batch_ms(records: Records, policy: Policy | PolicyRow, latency: LatencyTable, batch_size: int) -> float:
    """Expected milliseconds per sample of a batch under a policy, every expert at its own sub-batch."""
    share = replay(records, policy).run_share
    total = sum(latency.expected_ms(name, batch_size, float(s)) for name, s in zip(records.names, share, strict=True))
    return total / batch_size


def _shares(records: Records, table: PolicyTable) -> dict[str, float]:
    """Mean share of the samples that each expert runs on, over the policies that run it."""
    run = np.array([replay(records, row.policy).run_share for row in table])  # (P, N)
    return {name: float(run[run[:, i] > 0, i].mean()) for i, name in enumerate(records.names) if run[:, i].any()}
