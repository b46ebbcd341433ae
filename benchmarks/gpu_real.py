"""Two real classifiers on real images: from inputs on the device, from decoded images, and from files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch
from gpu_rows import in_turn, spread
from recorded_data import DATA

from orxe_plugins import Cascade, Policy
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.experts.measure import DTYPES
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records.prefetch import prefetch
from orxe_plugins.run.experts_file import read_experts_file

#: the first and the last expert
NAMES = ("mobilenetv2_100_224", "tf_efficientnet_lite2")
#: confidences from which on images exit after the first one
THRESHOLDS = (0.5, 0.7)
#: images of a batch, and of a stream by who makes the views: one core of the host takes long
_BATCH, _STREAM = 64, {"host": 128, "device": 512}
_SIZES = (1, 16, 32, 64)
_WORKERS = os.cpu_count() or 1

Run = Callable[[], Any]


def available() -> bool:
    """Whether the weights and images are there."""
    return all((DATA / "imagenet_experts" / f"{name}.safetensors").is_file() for name in NAMES)


def measure(device: torch.device, dtype: str, rounds: int) -> dict[str, Any]:
    """Images/s of a cascade at each threshold beside both experts alone, all under the same backend."""
    specs = {spec.name: spec for spec in read_experts_file(DATA / "imagenet_experts" / "experts.yaml", trust=True)}
    experts = [load_expert(specs[name]).eval().to(device) for name in NAMES]
    data = ImageFolder(DATA / "imagenet_sample")
    images = list(prefetch(data.load, range(len(data)), workers=_WORKERS, ahead=_BATCH))
    cascades = {name: Cascade([expert], Policy(())) for name, expert in zip(NAMES, experts, strict=True)}
    cascades |= {f"cascade at {t}": Cascade(experts, Policy((t,))) for t in THRESHOLDS}
    backend = "graphs" if device.type == "cuda" else "eager"
    for cascade in cascades.values():
        cascade.optimize(device, None if dtype == "fp32" else DTYPES[dtype], _SIZES, backend)
    rows, top1 = [], {}
    for where in ("host", "device"):
        for expert in experts:
            expert.device_views = where == "device"  # type: ignore[assignment]
        kinds = {"decoded images": _decoded, "files": _files}
        kinds |= {"inputs on the device": _inputs} if where == "host" else {}
        with torch.inference_mode():
            top1[where] = {name: _top1(cascade, data, images) for name, cascade in cascades.items()}
            for kind, prepare in kinds.items():
                count = _STREAM["device" if kind.startswith("inputs") else where]
                runs = {name: prepare(cascade, data, images, count) for name, cascade in cascades.items()}
                seconds = in_turn(runs, rounds if count > 128 else 3, device)
                found = _figures({name: times / count for name, times in seconds.items()})
                rows.append({"what": kind, "views": "" if kind.startswith("inputs") else where, **found})
    return {"experts": list(NAMES), "images": len(images), "dtype": dtype, "backend": backend, "workers": _WORKERS,
            "batch": _BATCH, "top1": top1, "rows": rows}  # fmt: skip


def _inputs(cascade: Cascade, data: ImageFolder, images: Sequence[Any], count: int) -> Run:
    """Batches of the last expert's view, which lie on the device."""
    view = cascade.setup.input_view
    assert view is not None
    batches = [
        view.from_images(images[start : start + _BATCH]).to(cascade.members[-1].device)
        for start in range(0, min(len(images), count) - _BATCH + 1, _BATCH)
    ]
    several = [batches[i % len(batches)] for i in range(count // _BATCH)]
    return lambda: [cascade.route(batch) for batch in several]


def _decoded(cascade: Cascade, data: ImageFolder, images: Sequence[Any], count: int) -> Run:
    """A stream of decoded images that lie in memory."""
    several = [images[i % len(images)] for i in range(count)]
    return lambda: list(cascade.stream(several, batch_size=_BATCH))


def _files(cascade: Cascade, data: ImageFolder, images: Sequence[Any], count: int) -> Run:
    """A stream of files, which are decoded in threads while those before them are answered."""
    return partial(_through_files, cascade, data, [i % len(data) for i in range(count)])


def _through_files(cascade: Cascade, data: ImageFolder, numbers: Sequence[int]) -> list[Any]:
    with closing(prefetch(data.load, numbers, workers=_WORKERS, ahead=4 * _BATCH)) as loaded:
        return list(cascade.stream(loaded, batch_size=_BATCH))


def _top1(cascade: Cascade, data: ImageFolder, images: Sequence[Any]) -> float:
    answers = cascade.stream(images, batch_size=_BATCH)
    return float(np.mean([int(a.output.argmax()) == label for a, label in zip(answers, data.targets, strict=True)]))


def _figures(seconds: dict[str, np.ndarray]) -> dict[str, Any]:
    """Given seconds per image."""
    last = seconds[NAMES[-1]]
    return {
        "images_per_second": {name: 1 / float(np.median(times)) for name, times in seconds.items()},
        "against_last": {name: spread(last / times) for name, times in seconds.items() if name not in NAMES},
    }
