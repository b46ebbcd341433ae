"""What routing itself costs: a routed pass beside its experts' own time on the same sub-batches.

Both are measured in turn within one run, so that a machine that changes its speed changes both.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
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


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    """Measure, print a table, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Example: python benchmarks/bench_routing.py --runs 5")
    parser.add_argument("--runs", type=int, default=31, help="rounds of measurements for each row, at most")
    parser.add_argument("--seconds", type=float, default=40, help="no more rounds after that long; five at least")
    parser.add_argument("--pools", choices=POOLS, nargs="+", default=list(POOLS), help="pools of experts")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="batch sizes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: with one thread, on a busy machine")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu adds the threads up: give --threads 1 with it")
    torch.set_num_threads(options.threads)
    facts = about(options.clock)
    rows = earlier_rows(facts, options.out)
    for batch_size in options.batches:
        for pool in options.pools:
            rows = [row for row in rows if (row["pool"], row["batch"]) != (pool, batch_size)]
            rows += measure_pool(pool, POOLS[pool], batch_size, options)
            rows.sort(key=lambda row: (list(POOLS).index(row["pool"]), row["batch"]))
            write(rows, facts, options.out)
            print(f"{pool}, batch {batch_size}: done", file=sys.stderr)
    print(to_markdown(rows))


def earlier_rows(facts: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows that an earlier run measured under the same circumstances: they stay until they are measured again."""
    path = folder / "routing.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    return before["rows"] if before.get("about") == facts else []


def write(rows: list[dict[str, Any]], facts: dict[str, Any], folder: Path) -> None:
    """Write what is measured so far: a long benchmark that is stopped loses one pool."""
    (folder / "routing.json").write_text(json.dumps({"about": facts, "rows": rows}, indent=2) + "\n")
    (folder / "routing.md").write_text(f"# Overhead of routing\n\n{explain(facts)}\n\n{to_markdown(rows)}\n")


@torch.inference_mode()
def measure_pool(pool: str, addresses: list[str], batch_size: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows for one pool of experts with random weights at one batch size."""
    experts = [load_expert(f"{address}?pretrained=false") for address in addresses]
    assert all(isinstance(expert, ClassifierExpert) for expert in experts)
    cascade = Cascade(experts, Policy.never(len(experts)))
    assert cascade.input_view is not None
    images = torch.randn(batch_size, 3, *cascade.input_view.size)
    # Half of the samples exit: the threshold is the median of the first expert's confidences.
    median = float(experts[0].run(images, cascade.context(images)).confidence.median())
    rows = []
    for name, policy in (("half exit", Policy((median,))), ("never", Policy.never(2)), ("all exit", Policy.only(0, 2))):
        cascade.policy = policy
        ways: dict[str, Callable[[], object]] = {"routed": partial(cascade.route, images), **_own_work(cascade, images)}
        times = _rounds(ways, options)
        row: dict[str, Any] = {
            "pool": pool,
            "gmacs": [round(expert.measure_cost(), 4) for expert in experts],
            "batch": batch_size,
            "policy": name,
            "rounds": len(times["routed"]),
        }
        row |= {f"{way}_ms": round(1000 * statistics.median(measured), 2) for way, measured in times.items()}
        for way in ("experts", "bare"):
            ratios = sorted(a / b for a, b in zip(times["routed"], times[way], strict=True))
            quarter = len(ratios) // 4
            row[f"over_{way}"] = round(statistics.median(ratios), 4)
            row[f"over_{way}_quartiles"] = [round(ratios[quarter], 4), round(ratios[-1 - quarter], 4)]
        rows.append(row)
    return rows


def _own_work(cascade: Cascade, images: Tensor) -> dict[str, Callable[[], None]]:
    """The experts on the sub-batches that routing would give them, with and without deriving their views."""
    _, route = cascade.route(images)
    context = cascade.context(images)
    jobs: list[tuple[Expert, Tensor, Tensor]] = []
    for i, expert in enumerate(cascade.members):
        index = route.ran[:, i].nonzero().squeeze(1)
        if len(index):
            rows = images.index_select(0, index)
            jobs.append((expert, rows, expert.prepare(expert.as_if_alone(rows, context)).contiguous()))

    def experts() -> None:
        for expert, rows, _ in jobs:
            expert.outputs_for(rows, context)

    def bare() -> None:
        for expert, _, view in jobs:
            expert.module(view)

    return {"experts": experts, "bare": bare}


def _rounds(ways: dict[str, Callable[[], object]], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each way, in an order of its own each round; the first round warms up."""
    clock = CLOCKS[options.clock]
    times: dict[str, list[float]] = {way: [] for way in ways}
    begin = time.perf_counter()
    order = list(ways)
    for done in range(options.runs + 1):
        if done > 5 and time.perf_counter() - begin > options.seconds:
            break
        random.Random(done).shuffle(order)
        for way in order:
            start = clock()
            ways[way]()
            times[way].append(clock() - start)
    return {way: measured[1:] for way, measured in times.items()}


def about(clock: str) -> dict[str, Any]:
    """What the figures were measured with."""
    threads = torch.get_num_threads()
    return {"torch": torch.__version__, "timm": timm.__version__, "threads": threads, "device": "cpu", "clock": clock}


def explain(facts: dict[str, Any]) -> str:
    """The text above the table."""
    clock = {"wall": "Wall time", "cpu": "Time of the one CPU thread (the machine was busy)"}[facts["clock"]]
    return (
        f"{clock} of `cascade.route(tensor)` beside its experts' own on the same sub-batches: `experts` derive their "
        "views from the tensor as they do in the cascade, `bare` are their models on views derived in advance, so "
        "that deriving views counts as overhead too. `never` runs the last expert alone, `all exit` the first. Random "
        f"weights, random images, {facts['threads']} CPU threads, torch {facts['torch']}, timm {facts['timm']}. The "
        "three are measured round by round, in an order of its own each; ratios are medians of the rounds' ratios, "
        "with their quartiles. The aim is at most 1.03 over `experts`."
    )


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| experts | GMACs | batch | policy | rounds | bare ms | routed ms | over experts | over bare |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gmacs = " / ".join(f"{value:.2f}" for value in row["gmacs"])
        ratios = []
        for way in ("experts", "bare"):
            low, high = row[f"over_{way}_quartiles"]
            ratios.append(f"{row[f'over_{way}']:.3f} ({low:.3f} to {high:.3f})")
        lines.append(
            f"| {row['pool']} | {gmacs} | {row['batch']} | {row['policy']} | {row['rounds']} | {row['bare_ms']} "
            f"| {row['routed_ms']} | {ratios[0]} | {ratios[1]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
