"""Time as a cost of the search: one figure per sample and expert, at the sub-batch that it is expected to get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.policies.policy import Policy, check_preferences
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.records.records import Records
from orxe_plugins.search.fit import fit_policies
from orxe_plugins.search.replay import Outcome, replay

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
        shared: exit's name -> milliseconds of the backbone per sample that is answered there.
    """

    ms: dict[str, float]
    share: dict[str, float]
    batch_size: int
    rounds: int
    settled: bool
    shared: dict[str, float] = field(default_factory=dict)


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
        OrxeError: an expert has no latency.
    """
    wanted = check_preferences(preferences)
    times = TimeCost(latency, batch_size)
    share, reach = dict.fromkeys(records.names, 1.0), dict.fromkeys(exits_of(records), 1.0)
    costs = _costs(records, times, share, reach)
    rounds, settled = 0, False
    while rounds < _ROUNDS and not settled:
        rounds += 1
        with_latency = with_time(records, costs)
        table = fit_policies(with_latency, wanted, skip_gates=skip_gates)
        outcomes = [replay(with_latency, row.policy) for row in table]
        # Half the way: a policy that flips between two costs would never settle.
        share = _halfway(share, [dict(zip(with_latency.names, o.run_share.tolist(), strict=True)) for o in outcomes])
        reach = _halfway(reach, [reach_of(outcome) for outcome in outcomes])
        new = _costs(records, times, share, reach)
        old = {**costs.ms, **{f"the backbone up to {name}": value for name, value in costs.shared.items()}}
        now = {**new.ms, **{f"the backbone up to {name}": value for name, value in new.shared.items()}}
        settled = all(abs(now[name] - old[name]) <= _SETTLED * old[name] for name in old)
        costs = new
    return replace(costs, rounds=rounds, settled=settled)


def stream_costs(records: Records, latency: LatencyTable, batch_size: int) -> BatchedCosts:
    """Milliseconds per sample where every expert waits for a full batch: they depend on no policy.

    Args:
        records: the fitting split.
        latency: of all its experts.
        batch_size: of the full batches.

    Raises:
        OrxeError: an expert has no latency.
    """
    share, reach = dict.fromkeys(records.names, 1.0), dict.fromkeys(exits_of(records), 1.0)
    return _costs(records, TimeCost(latency, batch_size, "throughput"), share, reach)


def _costs(records: Records, times: TimeCost, share: dict[str, float], reach: dict[str, float]) -> BatchedCosts:
    ms = {name: times.own_ms(name, share[name]) for name in records.names}
    return BatchedCosts(ms, share, times.batch_size, 0, True, times.backbone_ms(exits_of(records), reach))


def exits_of(records: Records) -> list[str]:
    """Names of the experts that share a backbone, first to last."""
    order = np.argsort(records.shared_cost, kind="stable")
    return [records.names[i] for i in order if records.shared_cost[i] > 0]


def reach_of(outcome: Outcome) -> dict[str, float]:
    """Share of the samples that go through a shared backbone at least up to each of its exits."""
    answered = dict(zip(outcome.records.names, outcome.exit_share.tolist(), strict=True))
    exits = exits_of(outcome.records)
    return {name: sum(answered[later] for later in exits[i:]) for i, name in enumerate(exits)}


def _halfway(share: dict[str, float], seen: list[dict[str, float]]) -> dict[str, float]:
    """Between the shares so far and the mean over those policies that run an expert at all."""
    moved = {}
    for name, before in share.items():
        used = [each[name] for each in seen if each[name] > 0]
        moved[name] = (before + (float(np.mean(used)) if used else before)) / 2
    return moved


def with_time(records: Records, costs: BatchedCosts) -> Records:
    """The records with costs in milliseconds, those of a shared backbone too."""
    changed = with_costs(records, costs.ms, "ms", sort=False)
    shared = np.array([costs.shared.get(name, 0.0) for name in records.names])
    return replace(changed, shared_cost=shared).sorted_by_cost()


def with_costs(records: Records, cost: Mapping[str, float], unit: str, *, sort: bool = True) -> Records:
    """The records with other costs, in the routing order that these give.

    Args:
        records: N experts.
        cost: expert's name -> cost per sample, such as millijoules; names of other experts are ignored.
        unit: of the costs, such as "mJ".
        sort: False keeps the order.

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
    return changed.sorted_by_cost() if sort else changed


def batch_ms(records: Records, policy: Policy | PolicyRow, latency: LatencyTable, batch_size: int) -> float:
    """Expected milliseconds per sample of a batch under a policy, every expert at its own sub-batch."""
    return policy_ms(records, policy, TimeCost(latency, batch_size))


def policy_ms(records: Records, policy: Policy | PolicyRow, times: TimeCost) -> float:
    """Expected milliseconds per sample under a policy."""
    outcome = replay(records, policy)
    return times.mean_ms(records.names, outcome.run_share, exits_of(records), reach_of(outcome))
