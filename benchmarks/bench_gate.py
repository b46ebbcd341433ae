"""What a ranking gate costs: its own work beside its expert's run without a confidence.

Both are measured in turn within one run, by the processor time of one thread, so that a busy machine
slows down both. A gate's work is watching the layer, pooling what passes it, summing up the answer, and the
gate's network; it is repeated, for it is far shorter than what two equal runs of an expert differ by.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orxe_plugins import Expert, load_expert
from orxe_plugins.confidence.constant import Constant
from orxe_plugins.confidence.gate import RankingGate, gate_inputs, save_gate
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.features import pool
from orxe_plugins.training.gate import GateSettings, fit_gate
from orxe_plugins.util.wording import plain

#: small experts of every adapter, with random weights: models that people use, the smallest that the tests put a
#: gate on (tests/adapters/test_gates.py), and toys that show where a gate is no longer cheap
EXPERTS = {
    "in use": (
        "timm:mobilenetv3_small_050?pretrained=false",
        "torchvision:shufflenet_v2_x0_5?weights=none",
        "torchvision:ssdlite320_mobilenet_v3_large?weights=none&score_thresh=0.02",
        "ultralytics:yolov8n.yaml?imgsz=320",
        "mmdet:rtmdet_tiny_8xb32-300e_coco?random_weights=true",
    ),
    "in tests": (
        "timm:test_resnet?pretrained=false&num_classes=3",
        "torchvision:shufflenet_v2_x0_5?weights=none&num_classes=3&input_size=64",
        "torchvision:ssdlite320_mobilenet_v3_large?weights=none&classes=[cat, dog, bird]",
        "ultralytics:yolov8n.yaml?imgsz=160",
        "mmdet:rtmdet_tiny_8xb32-300e_coco?random_weights=true&cfg_options={test_dataloader.dataset.pipeline.1.scale: "
        "[96, 96], test_dataloader.dataset.pipeline.2.size: [96, 96]}",
    ),
    "toy": (
        "timm:test_resnet?pretrained=false&num_classes=3&input_size=32",
        "ultralytics:yolov8n.yaml?imgsz=64",
    ),
}
REPEATS = 20


def main() -> None:
    """Measure, print a table, and write JSON and Markdown beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Example: python benchmarks/bench_gate.py --runs 10")
    parser.add_argument("--runs", type=int, default=30, help="pairs of measurements for each row")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="batch sizes")
    parser.add_argument("--experts", nargs="+", help="addresses of other experts")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {"asked for": options.experts} if options.experts else EXPERTS
    rows = [
        {"kind": kind, **row}
        for kind, addresses in chosen.items()
        for address in addresses
        for row in measure(load_expert(address), options.batches, options.runs)
    ]
    table = to_markdown(rows)
    print(table)
    about = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__, "threads": 1}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gate.json").write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    head = f"# What a ranking gate costs\n\n{' '.join((__doc__ or '').split())}"
    (options.out / "gate.md").write_text(f"{head}\n\n{table}\n\n{legend(options.runs)}\n")


@torch.inference_mode()
def measure(expert: Expert, batch_sizes: list[int], runs: int) -> list[dict[str, Any]]:
    """One row for each batch size."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (480, 640, 3), dtype=np.uint8) for _ in range(max(batch_sizes))]
    gmacs = expert.measure_cost()
    gate, plain = trained_gate(expert, images, gmacs), Constant()
    rows = []
    for size in batch_sizes:
        part = images[:size]
        expert.confidence = plain
        raw, outputs = raw_features(expert, part)
        ratios, seconds = [], []
        for _ in range(runs):
            alone = processor_time(lambda part=part: expert.run(part), 1)
            own = processor_time(lambda raw=raw, outputs=outputs: gate_work(expert, gate, raw, outputs), REPEATS)
            ratios.append(own / alone)
            seconds.append(alone)
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        rows.append({"expert": expert.name, "batch": size, "gmacs": gmacs, "macs_share": gate.gmacs / gmacs,
                     "expert_ms": 1000 * statistics.median(seconds), "time_share": middle,
                     "time_share_quartiles": [low, high]})  # fmt: skip
    return rows


def raw_features(expert: Expert, images: list[np.ndarray]) -> tuple[list[Any], Any]:
    """What passes the layer that the gate looks at, call by call, and the expert's outputs."""
    layer, passed = expert.feature_layer, []
    assert layer is not None
    part = expert.module.get_submodule(layer.path)
    if layer.side == "input":
        hook = part.register_forward_pre_hook(lambda _, inputs: passed.append(inputs[0]))
    else:
        hook = part.register_forward_hook(lambda _, __, output: passed.append(output))
    outputs = expert.run(images).outputs
    hook.remove()
    return passed, outputs


def gate_work(expert: Expert, gate: RankingGate, raw: list[Any], outputs: Any) -> None:
    """All that a run with a gate does beside a run without."""
    with expert.tap_features(BatchContext(len(outputs)), always=True):
        gate(outputs, torch.cat([pool(value) for value in raw]))


def processor_time(work: Callable[[], object], repeats: int) -> float:
    """Seconds of processor time for one call; the first one is not counted."""
    work()
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats


def trained_gate(expert: Expert, images: list[np.ndarray], gmacs: float) -> RankingGate:
    """A gate of the width that training gives it; what it says does not matter here."""
    summary = "boxes" if isinstance(expert, DetectorExpert) else "logits"
    context = BatchContext.of(images)
    with expert.tap_features(context, always=True) as tap:
        outputs = expert.run(images, context).outputs
        assert tap is not None
        width = gate_inputs(outputs, tap.features(len(images)), summary).shape[1]
    rng = np.random.default_rng(0)
    with torch.inference_mode(False), torch.enable_grad(), tempfile.TemporaryDirectory() as folder:
        net = fit_gate(rng.normal(size=(40, width)), rng.random(40), gmacs, GateSettings(epochs=1))
        file = Path(folder) / "gate.safetensors"
        save_gate(net, summary, file)
        return RankingGate(file)


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| | expert | GMACs | batch | expert alone (ms) | gate: MACs % | gate: time % (quartiles) |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for row in rows:
        low, high = row["time_share_quartiles"]
        name = row["expert"].partition("?")[0]
        lines.append(
            f"| {row['kind']} | {name} | {row['gmacs']:.3g} | {row['batch']} | {row['expert_ms']:.1f} | "
            f"{plain(100 * row['macs_share'], 2)} | {100 * row['time_share']:.2f} "
            f"({100 * low:.2f} to {100 * high:.2f}) |"
        )
    return "\n".join(lines)


def legend(runs: int) -> str:
    """How to read the table."""
    return (
        f"Median and quartiles of {runs} pairs of measurements on images of 640 x 480 pixels, preparation included; "
        'one thread, random weights. "in use": models that people use, at their own size; "in tests": the smallest '
        'expert of each adapter that the tests put a gate on; "toy": so small that fixed costs show.'
    )


if __name__ == "__main__":
    main()
