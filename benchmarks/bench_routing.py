"""What routing itself costs: a routed pass beside its experts' own time on the same sub-batches.

Both are measured in turn within one run, so that a machine that changes its speed changes both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from orxe_plugins import Cascade, ClassifierExpert, Expert, Policy, load_expert

POOLS = {
    # about 0.3 and 0.6 GMACs, as large as the aim of <= 1.03 speaks of
    "mobilenetv2_100 -> tf_efficientnet_lite1": ["timm:mobilenetv2_100", "timm:tf_efficientnet_lite1"],
    "resnet18 -> resnet50": ["timm:resnet18", "timm:resnet50"],
}


def main() -> None:
    """Measure, print a table, and write JSON and Markdown beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Example: python benchmarks/bench_routing.py --runs 5")
    parser.add_argument("--runs", type=int, default=15, help="pairs of measurements for each row")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="batch sizes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    rows = [
        row
        for pool, addresses in POOLS.items()
        for batch_size in options.batches
        for row in measure_pool(pool, addresses, batch_size, options.runs)
    ]
    table = to_markdown(rows)
    print(table)
    (options.out / "routing.json").write_text(json.dumps({"about": about(), "rows": rows}, indent=2) + "\n")
    (options.out / "routing.md").write_text(f"# Overhead of routing\n\n{explain()}\n\n{table}\n")


@torch.inference_mode()
def measure_pool(pool: str, addresses: list[str], batch_size: int, runs: int) -> list[dict[str, Any]]:
    """Rows for one pool of experts with random weights at one batch size."""
    experts = [load_expert(f"{address}?pretrained=false") for address in addresses]
    assert all(isinstance(expert, ClassifierExpert) for expert in experts)
    cascade = Cascade(experts, Policy.never(len(experts)))
    size = max(expert.view.size[0] for expert in experts if isinstance(expert, ClassifierExpert))
    images = torch.randn(batch_size, 3, size, size)
    # Half of the samples exit: the threshold is the median of the first expert's confidences.
    median = float(experts[0].run(images).confidence.median())
    rows = []
    for name, policy in (("half exit", Policy((median,))), ("never", Policy.never(2)), ("all exit", Policy.only(0, 2))):
        cascade.policy = policy
        own = _own_work(cascade, images)
        ratios, routed_times, own_times = [], [], []
        for _ in range(runs + 2):
            routed_times.append(_seconds(lambda: cascade.route(images)))
            own_times.append(_seconds(own))
            ratios.append(routed_times[-1] / own_times[-1])
        kept = sorted(ratios[2:])  # the first two pairs warm up
        rows.append(
            {
                "pool": pool,
                "gmacs": [round(expert.measure_cost(), 4) for expert in experts],
                "batch": batch_size,
                "policy": name,
                "own_ms": round(1000 * statistics.median(own_times[2:]), 2),
                "routed_ms": round(1000 * statistics.median(routed_times[2:]), 2),
                "ratio_of_medians": round(statistics.median(routed_times[2:]) / statistics.median(own_times[2:]), 4),
                "ratio_quartiles": [round(kept[len(kept) // 4], 4), round(kept[(3 * len(kept)) // 4], 4)],
            }
        )
    return rows


def _own_work(cascade: Cascade, images: Tensor) -> Callable[[], None]:
    """The bare models on the sub-batches that routing would give them, views derived in advance."""
    _, route = cascade.route(images)
    jobs: list[tuple[torch.nn.Module, Tensor]] = []
    for i, expert in enumerate(cascade.members):
        index = route.ran[:, i].nonzero().squeeze(1)
        if len(index):
            jobs.append((expert.module, _view(expert, images.index_select(0, index)).contiguous()))

    def run() -> None:
        for module, view in jobs:
            module(view)

    return run


def _view(expert: Expert, images: Tensor) -> Tensor:
    view: Tensor = expert.prepare(images)
    return view


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def about() -> dict[str, Any]:
    """What the figures were measured with."""
    return {"torch": torch.__version__, "timm": timm.__version__, "threads": torch.get_num_threads(), "device": "cpu"}


def explain() -> str:
    """The text above the table."""
    return (
        "Wall time of `cascade.route(tensor)` over the sum of the bare models' time on the same sub-batches "
        "(their views derived in advance, so that deriving views counts as overhead). Random weights, random "
        f"images, {about()['threads']} CPU threads, torch {about()['torch']}. Each pair is measured in turn; "
        "the ratio is that of the medians, the quartiles are those of the pairs."
    )


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| experts | GMACs | batch | policy | bare ms | routed ms | ratio | quartiles |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gmacs = " / ".join(f"{value:.2f}" for value in row["gmacs"])
        low, high = row["ratio_quartiles"]
        lines.append(
            f"| {row['pool']} | {gmacs} | {row['batch']} | {row['policy']} | {row['own_ms']} | {row['routed_ms']} "
            f"| {row['ratio_of_medians']:.3f} | {low:.3f} to {high:.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
