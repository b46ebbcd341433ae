"""A budget guard and a drift alarm on a stream that turns from natural images to noise and to adversarial ones.

tf_efficientnet_lite0 -> tf_efficientnet_lite2 on imagenet_sample of the data folder (ORXE_DATA, or ../shared/data
beside the repository): one half of the images fits the thresholds, the other half is the stream. The adversarial
images are images of it, changed by gradient steps that make the first expert unsure. Writes guard.json, guard.md and
guard.png beside this file.

    python benchmarks/bench_guard.py
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from guard_report import draw, to_markdown
from recorded_data import DATA
from torch import Tensor

from orxe_plugins import BudgetGuard, Cascade, OrxeError, PolicyTable, Records, Route, fit_policies
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.views import ImageView
from orxe_plugins.evaluation import DriftAlarm
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import record
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.search.pareto import with_choices
from orxe_plugins.tasks import Classification

EXPERTS = ("tf_efficientnet_lite0", "tf_efficientnet_lite2")
PHASES = ("natural", "noise", "adversarial")


def main() -> None:
    """Measure, print the tables, and write them and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=0.6, help="GMACs an image")
    parser.add_argument("--window", type=int, default=100, help="images that the budget is kept over")
    parser.add_argument("--phase", type=int, default=400, help="images of each kind")
    parser.add_argument("--batch", type=int, default=16, help="images in a batch")
    parser.add_argument("--streams", type=int, default=1000, help="held-out streams for the rate of false alarms")
    parser.add_argument("--length", type=int, default=1000, help="images of each of these")
    parser.add_argument("--rate", type=float, default=0.01, help="the alarm's stated rate of false alarms")
    parser.add_argument("--records", type=Path, default=None, help="folder of the records; a temporary one by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cascade, images, records = _recorded(options.records or Path(folder))
    order = np.random.default_rng(0).permutation(len(records))
    fit, held_out = (records.samples(sorted(half)) for half in np.split(order, [len(order) // 2]))
    cascade.table = with_choices(fit_policies(fit, np.linspace(0, 1, 51)), fit)
    cascade.set_preference(budget=options.budget)
    stream, targets = _stream(cascade, images, held_out, options)
    result = {
        "settings": _settings(options, cascade, len(fit)),
        "ways": _both_ways(cascade, fit, stream, targets, options),
    }
    result["alarm"] = _alarms(cascade, fit, held_out, result, options)
    (options.out / "guard.json").write_text(json.dumps(result, indent=2) + "\n")
    text = to_markdown(result)
    (options.out / "guard.md").write_text(text)
    draw(result, options.out / "guard.png")
    print(text)


def _recorded(folder: Path) -> tuple[Cascade, ImageFolder, Records]:
    """The two experts as a cascade, the images, and what was recorded of them in the cascade's one tensor."""
    specs = {spec.name: spec for spec in read_experts_file(DATA / "imagenet_experts" / "experts.yaml", trust=True)}
    cascade = Cascade([load_expert(specs[name]) for name in EXPERTS], table=None, preference=1.0)
    images = ImageFolder(DATA / "imagenet_sample")
    how = RecordOptions(input_mode="tensor", input_view=cascade.input_view)
    return cascade, images, record(cascade.members, images, folder, task=Classification(), options=how)


def _stream(
    cascade: Cascade, images: ImageFolder, held_out: Records, options: argparse.Namespace
) -> tuple[list[Tensor], np.ndarray]:
    """Batches of the stream, and the right class of each image; -1 for noise."""
    view = cascade.input_view
    assert view is not None
    rng = np.random.default_rng(1)
    place = {sample: i for i, sample in enumerate(images.sample_ids)}
    drawn = [place[str(held_out.sample_ids[i])] for i in rng.integers(0, len(held_out), 2 * options.phase)]
    targets = np.array([images.targets[i] for i in drawn])
    natural, adversarial = drawn[: options.phase], drawn[options.phase :]
    generator = torch.Generator().manual_seed(2)
    batches: list[Tensor] = []
    for phase, chosen in zip(PHASES, (natural, [None] * options.phase, adversarial), strict=True):
        for start in range(0, options.phase, options.batch):
            part = chosen[start : start + options.batch]
            if phase == "noise":
                pixels = torch.rand((len(part), view.channels, *view.size), generator=generator)
                batches.append(_normalised(pixels, view))
                continue
            batch = view.from_images([images.load(i) for i in part])
            batches.append(batch if phase == "natural" else _attacked(cascade, batch, view))
    right = np.concatenate([targets[: options.phase], np.full(options.phase, -1), targets[options.phase :]])
    return batches, right


def _attacked(cascade: Cascade, batch: Tensor, view: ImageView, steps: int = 3, size: float = 2 / 255) -> Tensor:
    """Images after gradient steps of ``size`` on each pixel that lower the first expert's confidence."""
    first = cascade.members[0]
    step = size / torch.tensor(view.std).view(-1, 1, 1)
    for _ in range(steps):
        images = batch.clone().requires_grad_(True)
        logits = first.module(first.prepare(first.as_if_alone(images, cascade.context(images))))
        (gradient,) = torch.autograd.grad(logits.softmax(1).amax(1).log().sum(), images)
        batch = batch - step * gradient.sign()
    return batch.detach()


def _normalised(pixels: Tensor, view: ImageView) -> Tensor:
    return (pixels - torch.tensor(view.mean).view(-1, 1, 1)) / torch.tensor(view.std).view(-1, 1, 1)


@torch.inference_mode()
def _both_ways(
    cascade: Cascade, fit: Records, stream: list[Tensor], targets: np.ndarray, options: argparse.Namespace
) -> dict[str, Any]:
    """The stream without and with a guard: cost, correctness and alarm."""
    ways: dict[str, Any] = {}
    for way in ("without", "with"):
        guard = BudgetGuard(cascade, per_sample=options.budget, window=options.window) if way == "with" else None
        alarm = DriftAlarm(fit, cascade.policy, rate=options.rate)
        cost, answer, rows = [], [], []
        for batch in stream:
            outputs, route = cascade.route(batch) if guard is None else guard.route(batch)
            alarm.update(route)
            cost += route.cost.tolist()
            answer += outputs.argmax(1).tolist()
            rows.append(None if guard is None else guard.state.row.policy.to_dict()["exit_thresholds"])
        right = (np.array(answer) == targets).reshape(len(PHASES), -1).mean(axis=1)
        ways[way] = {
            "cost": [round(value, 5) for value in cost],
            "score": {phase: None if phase == "noise" else float(s) for phase, s in zip(PHASES, right, strict=True)},
            "thresholds": rows,
            "alarm_at": alarm.state.at,
            "alarm_reason": alarm.state.reason,
            "changes": 0 if guard is None else guard.state.changes,
            "held_back": 0 if guard is None else guard.state.held_back,
        }
    return ways


def _alarms(
    cascade: Cascade, fit: Records, held_out: Records, result: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """How many of many streams that are resampled from held-out records raise the alarm."""
    raised, length = 0, options.length
    for seed in range(options.streams):
        drawn = np.random.default_rng(seed).integers(0, len(held_out), length)
        alarm = DriftAlarm(fit, cascade.policy, rate=options.rate)
        raised += alarm.update(_as_route(held_out, drawn)).raised
    at = result["ways"]["without"]["alarm_at"]
    after = None if at is None else at - options.phase
    return {"rate": options.rate, "streams": options.streams, "length": length, "false": raised, "noticed_after": after}


def _as_route(records: Records, drawn: np.ndarray) -> Route:
    """A route that shows the confidences of these samples."""
    seen = torch.from_numpy(records.confidence[:, drawn].T.copy())
    zeros = torch.zeros(len(drawn), dtype=torch.int64)
    return Route(zeros, seen[:, 0], torch.zeros(len(drawn), dtype=torch.float64), seen > 2, confidences=seen)


def _settings(options: argparse.Namespace, cascade: Cascade, fit: int) -> dict[str, Any]:
    table = cascade.table
    if not isinstance(table, PolicyTable):
        raise OrxeError("the cascade has no table")
    return {
        "experts": list(EXPERTS), "gmacs": [round(expert.measure_cost(), 4) for expert in cascade.members],
        "budget": options.budget, "window": options.window, "phase": options.phase, "batch": options.batch,
        "phases": list(PHASES), "fit_samples": fit, "thresholds": list(cascade.policy.exit_thresholds),
    }  # fmt: skip


if __name__ == "__main__":
    main()
