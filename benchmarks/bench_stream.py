"""What a stream costs beside routing the same images batch by batch, on a CPU, where full batches gain nothing.

Both are measured in turn within one run, so that a machine that changes its speed changes both.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch

from orxe_plugins import Cascade, Policy, load_expert

EXPERTS = ("timm:mobilenetv3_small_050", "timm:resnet18")
BATCH = 16


def main() -> None:
    """Measure, print, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Example: bench_stream.py --rounds 5")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of measurements")
    parser.add_argument("--images", type=int, default=96, help="images per round")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a busy machine, one thread")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[options.clock]
    if options.clock == "cpu":
        torch.set_num_threads(1)
    rows = [measure(share, options.images, options.rounds, clock) for share in (0.0, 0.5, 1.0)]
    about = {
        "torch": torch.__version__,
        "timm": timm.__version__,
        "threads": torch.get_num_threads(),
        "clock": options.clock,
        "images": options.images,
    }
    (options.out / "stream.json").write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    text = to_markdown(about, rows)
    (options.out / "stream.md").write_text(text)
    print(text)


@torch.inference_mode()
def measure(share: float, count: int, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds of both ways where that share of the images goes on, and their ratio, round by round."""
    experts = [load_expert(f"{address}?pretrained=false") for address in EXPERTS]
    cascade = Cascade(experts, Policy((0.0,)))
    assert cascade.input_view is not None
    images = torch.randn((count, 3, *cascade.input_view.size), generator=torch.Generator().manual_seed(0))
    sure = torch.cat([experts[0].run(part, cascade.context(part)).confidence for part in images.split(BATCH)])
    threshold = 0.0 if share == 0 else 1.0 if share == 1 else float(sure.quantile(share))
    cascade.policy = Policy((threshold,))
    ways: dict[str, Callable[[], list[int]]] = {
        "batches": lambda: [e for part in images.split(BATCH) for e in cascade.route(part)[1].expert.tolist()],
        "stream": lambda: [answer.expert for answer in cascade.stream(images, BATCH)],
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    found = {name: way() for name, way in ways.items()}
    for done in range(rounds):
        for name in random.Random(done).sample(list(ways), len(ways)):
            start = clock()
            ways[name]()
            times[name].append(clock() - start)
    ratios = sorted(a / b for a, b in zip(times["stream"], times["batches"], strict=True))
    return {
        "goes_on": sum(found["batches"]) / count,
        "other_expert": sum(a != b for a, b in zip(*found.values(), strict=True)),
        "batches_s": statistics.median(times["batches"]),
        "stream_s": statistics.median(times["stream"]),
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
    }


def to_markdown(about: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The page."""
    clock = {"wall": "Wall time", "cpu": "Time of one CPU thread (the machine was busy)"}[about["clock"]]
    lines = [
        "# A stream beside batches\n",
        f"{clock} of `cascade.stream` over {about['images']} images beside `cascade.route` on batches of {BATCH}: "
        f"{' -> '.join(EXPERTS)}, random weights, {about['threads']} CPU threads, torch {about['torch']}, timm "
        f"{about['timm']}. Round by round, in an order of its own each; the ratio is the median of the rounds', with "
        "their quartiles. On a CPU a full batch is hardly faster per image than a small one, so that this is what a "
        "stream costs; what it gains on an accelerator is measured by `benchmarks/bench_gpu.py`. The aim is at most "
        "1.03.\n",
        "| goes on | batches, s | stream, s | stream / batches | images sent to another expert |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["ratio_quartiles"]
        lines.append(
            f"| {row['goes_on']:.0%} | {row['batches_s']:.2f} | {row['stream_s']:.2f} | {row['ratio']:.3f} "
            f"({low:.3f} to {high:.3f}) | {row['other_expert']} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
