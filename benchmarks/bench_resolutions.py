"""One real COCO detector at two resolutions: AP against GMACs, beside random mixing and both ends alone.

Writes resolutions.json and resolutions.md beside this file. The data folder holds coco_sample/ (images and
instances.json) and coco_experts/ with a YOLO file; everything can be named.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics
from resolutions_markdown import to_markdown

from orxe_plugins import Policy, Records, fit_policies, load_expert, replay
from orxe_plugins.detection import CocoDataset, RoutedAP
from orxe_plugins.policies import Selection
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.detection import recorded_matches

ROOT = Path(__file__).resolve().parent
SHARES = (0.8, 0.6, 0.4, 0.2)
RANDOM_ROUTINGS = 20


def main() -> None:
    """Measure, print the tables, and write them."""
    options = _options()
    dataset = CocoDataset(options.data / "coco_sample")
    weights = options.data / "coco_experts" / options.expert
    with tempfile.TemporaryDirectory() as folder:
        records = _record(weights, options.imgsz, dataset, Path(folder))
        routed_ap = RoutedAP(recorded_matches(records.predictions, dataset.targets))
        last = records.n_experts - 1
        result = {
            "about": {
                "expert": weights.stem.partition("_")[0],
                "images": len(dataset),
                "boxes": sum(len(target) for target in dataset.targets),
                "resamples": options.resamples,
                "halves": options.halves,
                "versions": {part.__name__: part.__version__ for part in (torch, ultralytics)},
            },
            "alone": alone(records, routed_ap, options.resamples),
            "cascades": [curve(records, routed_ap, first, options.resamples) for first in range(last)],
            "held_out": [row for first in range(last) for row in held_out(records, routed_ap, first, options.halves)],
        }
    text = to_markdown(result)
    print(text)
    (options.out / "resolutions.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "resolutions.md").write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: python benchmarks/bench_resolutions.py --data D"
    )
    data = ROOT.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, help="folder with coco_sample/ and coco_experts/")
    parser.add_argument("--expert", default="yolo11n_dequantised.pt")
    parser.add_argument("--imgsz", nargs="+", type=int, default=[160, 320, 640], help="rising; the last is the base")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples of each interval")
    parser.add_argument("--halves", type=int, default=50, help="random halves to fit on")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the results")
    return parser.parse_args()


def _record(weights: Path, sizes: Sequence[int], dataset: CocoDataset, folder: Path) -> Records:
    experts = [load_expert(f"ultralytics:{weights}?imgsz={size}") for size in sizes]
    for expert, size in zip(experts, sizes, strict=True):
        expert.name = f"{size}"
    options = RecordOptions(batch_size=8, workers=1)
    return record(experts, dataset, folder, task=task_named("detection"), options=options)


def alone(records: Records, routed_ap: RoutedAP, resamples: int) -> list[dict[str, Any]]:
    """AP and cost of every resolution alone."""
    routings = np.repeat(np.arange(records.n_experts)[:, None], len(records), axis=1)
    draws = routed_ap.resampled(routings, resamples)
    return [
        {
            "imgsz": records.names[i],
            "gmacs": float(records.cost[i]),
            "ap": routed_ap(routings[i]).ap,
            "interval": _interval(draws[i]),
        }
        for i in range(records.n_experts)
    ]


def curve(records: Records, routed_ap: RoutedAP, first: int, resamples: int) -> dict[str, Any]:
    """AP where the surest share of the images ends at the small view; thresholds are quantiles, none is fitted."""
    last = records.n_experts - 1
    confidence = records.confidence[first]
    rows = []
    for share in SHARES:
        n_first = round(share * len(records))
        routing = np.full(len(records), last)
        routing[np.argsort(-confidence, kind="stable")[:n_first]] = first
        rng = np.random.default_rng(0)
        mixed = [rng.permutation(routing) for _ in range(RANDOM_ROUTINGS)]
        routings = np.stack([routing, np.full(len(records), last), *mixed])
        draws = routed_ap.resampled(routings, resamples)
        at_random = draws[2:].mean(axis=0)
        rows.append(
            {
                "share": n_first / len(records),
                "gmacs": float(records.cost[first] + (1 - n_first / len(records)) * records.cost[last]),
                "ap": routed_ap(routing).ap,
                "interval": _interval(draws[0]),
                "less_last": _interval(draws[0] - draws[1]),
                "ap_at_random": float(np.mean([routed_ap(one).ap for one in mixed])),
                "less_random": _interval(draws[0] - at_random),
            }
        )
    return {"first": records.names[first], "last": records.names[last], "rows": rows}


def held_out(records: Records, routed_ap: RoutedAP, first: int, halves: int) -> list[dict[str, Any]]:
    """Budgets fitted on a random half and paid on the other: mean over the halves, with its standard deviation."""
    last = records.n_experts - 1
    pair = records.experts([records.names[first], records.names[last]])
    budgets = (0.25, 0.5, 0.75)
    found: dict[float, list[tuple[float, float, float]]] = {budget: [] for budget in budgets}
    for seed in range(halves):
        order = np.random.default_rng(seed).permutation(len(records))
        fit, report = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        table = fit_policies(pair.samples(fit), np.linspace(0, 1, 21).tolist())
        for budget in budgets:
            policy = table.choose(Selection(budget=float(budget * records.cost[last]))).policy
            found[budget].append(_paid(pair, routed_ap, policy, report, (first, last)))
    return [
        {
            "first": records.names[first],
            "budget": budget,
            "cost": float(np.mean([row[0] for row in rows]) / records.cost[last]),
            "less_last": [float(np.mean([row[1] for row in rows])), float(np.std([row[1] for row in rows]))],
            "less_mixing": [float(np.mean([row[2] for row in rows])), float(np.std([row[2] for row in rows]))],
        }
        for budget, rows in found.items()
    ]


def _paid(
    pair: Records, routed_ap: RoutedAP, policy: Policy, report: np.ndarray, experts: tuple[int, int]
) -> tuple[float, float, float]:
    """Cost of a policy on some images, its AP less the last expert's, and less that of the line between both ends."""
    outcome = replay(pair, policy)
    routing = np.where(outcome.expert == 0, *experts)
    cost = float(outcome.sample_cost[report].mean())
    ap, low, high = (
        routed_ap.of_draw(one, report) for one in (routing, *(np.full(len(pair), expert) for expert in experts))
    )
    position = (cost - pair.cost[0]) / (pair.cost[1] - pair.cost[0])
    return cost, ap - high, ap - (low + position * (high - low))


def _interval(draws: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(draws, [0.025, 0.975])]


if __name__ == "__main__":
    main()
