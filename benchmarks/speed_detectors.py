"""What a cascade of detectors takes beside the model that answers: where all exit at the first, and where none does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
from paired import ratios
from recorded_data import DATA
from ultralytics import YOLO

from orxe_ultralytics import CascadeYOLO

WEIGHTS = DATA / "coco_experts" / "yolo11n_dequantised.pt"
SIZES = (320, 640)
#: the threshold, and the size at which one model alone does the same
CASES = {"all exit at the first": (0.0, 320), '"never"': (None, 640)}


def measure(images: int, batch: int, rounds: int, clock: Callable[[], float], device: str = "cpu") -> dict[str, Any]:
    """Rows of ``CascadeYOLO.predict`` beside ``YOLO.predict`` on the same decoded images."""
    files = sorted((DATA / "coco_sample" / "images").rglob("*.jpg"))[:images]
    pixels = [cv2.imread(str(file)) for file in files]
    rows = []
    for what, (threshold, size) in CASES.items():
        experts = [f"{WEIGHTS}?imgsz={each}" for each in SIZES]
        cascade = CascadeYOLO(experts=experts, exit_thresholds=[threshold])
        model = YOLO(WEIGHTS)

        ours = partial(_predict, cascade, pixels, max(SIZES), batch, device)
        found = ratios(ours, partial(_predict, model, pixels, size, batch, device), rounds, clock)
        same = _same(cascade, model, pixels[:batch], size, device)
        rows.append({"what": what, "size": size, "same_boxes": same, **found})
    return {"images": len(pixels), "batch": batch, "weights": WEIGHTS.name, "rows": rows}


def _predict(model: Any, pixels: list[Any], imgsz: int, batch: int, device: str) -> None:
    for start in range(0, len(pixels), batch):
        model.predict(pixels[start : start + batch], imgsz=imgsz, batch=batch, device=device, verbose=False)


def _same(cascade: CascadeYOLO, model: YOLO, pixels: list[Any], size: int, device: str) -> bool:
    """Whether both find the same boxes."""
    ours = cascade.predict(pixels, verbose=False, device=device)
    theirs = model.predict(pixels, imgsz=size, verbose=False, device=device)
    return all(
        one.boxes.data.shape == other.boxes.data.shape
        and float((one.boxes.data - other.boxes.data).abs().max() if len(one.boxes) else 0) < 1e-2
        for one, other in zip(ours, theirs, strict=True)
    )


def available() -> bool:
    """Whether the weights and images are there."""
    return WEIGHTS.is_file() and Path(DATA / "coco_sample").is_dir()
