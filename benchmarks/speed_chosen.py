"""What a cascade that is searched in time is worth on other samples, beside every single expert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded_data import DATA, record_imagenet

from orxe_plugins import Policy, PolicyTable, Records, Selection, fit_policies, replay
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.candidates import candidates_of, choose, negligible_drop
from orxe_plugins.experts.measure import Timing, measure_latency
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import load_records
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.search.batched import batched_costs, policy_ms, with_time
from orxe_plugins.search.pareto import with_choices

PREFERENCES = tuple(i / 20 for i in range(21))
BATCHES = (1, 64)
SIZES = (1, 2, 4, 8, 16, 32, 64)


def records_of(folder: Path) -> Records:
    """The recorded answers of the eight experts; recorded now where they are not."""
    try:
        return load_records(folder)
    except OrxeError:
        record_imagenet(folder)
        return load_records(folder)


def times_of(rounds: int, clock: Any) -> LatencyTable:
    """Times of the eight experts, measured in rounds: a machine that changes its speed changes all of them."""
    experts = [
        load_expert(spec).eval() for spec in read_experts_file(DATA / "imagenet_experts" / "experts.yaml", trust=True)
    ]
    images = ImageFolder(DATA / "imagenet_sample")
    pictures = [images.load(i * len(images) // max(SIZES)) for i in range(max(SIZES))]
    tables = []
    for i in range(rounds):
        timing = Timing(warmup=int(i == 0), repeats=1, singles=8, clock=clock)
        tables.append(measure_latency(experts, lambda size: pictures[:size], SIZES, timing=timing))
    ms = {name: np.array([table.ms[name] for table in tables]) for name in tables[0].ms}  # (rounds, K)
    return LatencyTable(
        tables[0].batch_sizes,
        {name: tuple(float(value) for value in np.median(rows, axis=0)) for name, rows in ms.items()},
        {**tables[0].details, "repeats": rounds, "torch_threads": torch.get_num_threads()},
        {
            name: tuple((float(a), float(b)) for a, b in np.percentile(rows, (10, 90), axis=0).T)
            for name, rows in ms.items()
        },
        single={name: tuple(sorted(t for table in tables for t in table.single[name])) for name in ms},
    )


def measure(records: Records, latency: LatencyTable, halves: int) -> dict[str, Any]:
    """On each of some halves, what is chosen in time is compared with every single expert on the other half."""
    found: dict[int, dict[str, list[dict[str, Any]]]] = {size: {} for size in BATCHES}
    for seed in range(halves):
        fit, report = (half.sorted_by_cost() for half in records.split(0.5, seed))
        # Without times, one search serves for all batch sizes.
        counted = _recommended(with_choices(fit_policies(fit, PREFERENCES), fit), fit)
        for size, rows in found.items():
            for kind, row in _on_halves(fit, report, TimeCost(latency, size), counted).items():
                rows.setdefault(kind, []).append(row)
    names = records.sorted_by_cost().names
    return {
        "samples": len(records),
        "halves": halves,
        "latency": latency.to_dict(),
        "batches": {
            str(size): {kind: _summed(each, names) for kind, each in rows.items()} for size, rows in found.items()
        },
    }


def _on_halves(fit: Records, report: Records, times: TimeCost, counted: Policy) -> dict[str, dict[str, Any]]:
    costs = batched_costs(fit, times.table, PREFERENCES[::2], times.batch_size)
    in_time, elsewhere = with_time(fit, costs), with_time(report, costs)
    table = with_choices(fit_policies(in_time, PREFERENCES), in_time)
    return {
        "recommended": _compared(_recommended(table, in_time), elsewhere, times),
        "max_drop=0.01": _compared(table.choose(Selection(max_drop=0.01)).policy, elsewhere, times),
        "searched in GMACs": _compared(counted, report, times),
    }


def _recommended(table: PolicyTable, fit: Records) -> Policy:
    """What a report would recommend, by the fitting half alone."""
    return choose(candidates_of(table, fit), fit, negligible_drop(table)).candidate.policy


def _compared(policy: Policy, report: Records, times: TimeCost) -> dict[str, Any]:
    """A policy beside each expert alone: images/s as a ratio, and the difference of the score."""
    n = report.n_experts
    ms, score = policy_ms(report, policy, times), replay(report, policy).score
    alone = {name: Policy.only(i, n) for i, name in enumerate(report.names)}
    return {
        "ms": ms,
        "score": score,
        "experts": sum(1 for share in replay(report, policy).run_share if share > 0),
        "speed": {name: policy_ms(report, each, times) / ms for name, each in alone.items()},
        "gain": {name: score - replay(report, each).score for name, each in alone.items()},
    }


def _summed(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Means over the halves, each with the interval in which 95 % of the halves lie."""
    return {
        "ms": _spread([row["ms"] for row in rows]),
        "score": float(np.mean([row["score"] for row in rows])),
        "one_expert": float(np.mean([row["experts"] == 1 for row in rows])),
        "against": {
            name: {
                "speed": _spread([row["speed"][name] for row in rows]),
                "gain": _spread([100 * row["gain"][name] for row in rows]),
            }
            for name in names
        },
    }


def _spread(values: list[float]) -> dict[str, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return {"value": float(np.mean(values)), "low": float(low), "high": float(high)}
