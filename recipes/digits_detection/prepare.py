"""Write scenes of handwritten digits as a COCO data set, and train the recipe's YOLOs on other scenes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from ultralytics.cfg import get_cfg

from orxe_plugins import ExpertSpec, load_expert
from orxe_plugins.experts import write_checkpoint
from orxe_plugins.run import Recipe
from orxe_plugins.training import Schedule, train
from orxe_plugins.util import Progress, write_json

#: side of a scene in pixels, and the most digits in one
SIDE, MOST = 96, 5


@dataclass(frozen=True, eq=False)
class Scene:
    """One image and its digits.

    Attributes:
        image: RGB, ``SIDE`` x ``SIDE`` pixels.
        boxes: float64 (K, 4), where each digit's ink is: x1, y1, x2, y2 in pixels.
        labels: int64 (K,), what each digit says.
    """

    image: Image.Image
    boxes: np.ndarray
    labels: np.ndarray


def prepare(
    recipe: Recipe,
    out: Path,
    progress: Progress,
    scenes: int,
    train_scenes: int,
    epochs: Mapping[str, int],
    batch_size: int,
    lr: float,
    seed: int,
) -> None:
    """Make ``out/scenes`` and the checkpoints that the recipe names; what exists already is kept.

    Args:
        recipe: the recipe; its experts are trained.
        out: the run's folder.
        progress: receives every training step.
        scenes: how many scenes are written, for fitting and reporting.
        train_scenes: how many others the experts are trained on; no scan is in both.
        epochs: of the training, for each expert.
        batch_size, lr: likewise, for all of them.
        seed: of the split and the scenes.
    """
    scans, digits = load_digits(return_X_y=True)
    scans = scans.reshape(-1, 8, 8) / 16
    order = np.random.default_rng(seed).permutation(len(scans))
    half = len(scans) // 2
    if not (out / "scenes").exists():
        write_coco(out / "scenes", compose_all(scans, digits, order[half:], scenes, seed + 1))
    missing = [spec for spec in recipe.experts if not Path(str(spec.checkpoint)).exists()]
    seen = compose_all(scans, digits, order[:half], train_scenes, seed + 2) if missing else []
    for spec in missing:
        train_yolo(spec, seen, Schedule(epochs[str(spec.name)], batch_size, lr, seed=seed), progress)


def compose_all(scans: np.ndarray, digits: np.ndarray, chosen: np.ndarray, count: int, seed: int) -> list[Scene]:
    """``count`` scenes of the chosen scans."""
    rng = np.random.default_rng(seed)
    return [compose(scans[chosen], digits[chosen], rng) for _ in range(count)]


def compose(scans: np.ndarray, digits: np.ndarray, rng: np.random.Generator) -> Scene:
    """A scene of random digits. Half of the scenes are clear, the others have small, pale digits in noise.

    Args:
        scans: (M, 8, 8), ink from 0 to 1.
        digits: (M,), what each scan says.
        rng: draws everything.
    """
    hard = rng.choice([0.0, rng.uniform(0.4, 1.0)])
    paper, ink = 200 - 60 * rng.random(3), 60 * rng.random(3)  # (3,) RGB
    ink = paper + (ink - paper) * (1 - 0.65 * hard)
    slope = np.linspace(-30, 30, SIDE)
    shade = slope[:, None] * rng.uniform(-1, 1) + slope * rng.uniform(-1, 1)  # (H, W)
    pixels = paper + shade[..., None]  # (H, W, 3)
    boxes: list[np.ndarray] = []
    labels: list[int] = []
    for _ in range(rng.integers(1, MOST + 1)):
        i = int(rng.integers(len(scans)))
        mask = ink_of(scans[i], round(rng.uniform(28, 40) - 16 * hard))
        height, width = mask.shape
        left, top = int(rng.integers(SIDE - width + 1)), int(rng.integers(SIDE - height + 1))
        box = np.array([left, top, left + width, top + height], dtype=np.float64)
        if any(overlap(box, other) > 0.1 for other in boxes):
            continue
        part = pixels[top : top + height, left : left + width]
        part += mask[..., None] * (ink - part)
        boxes.append(box)
        labels.append(int(digits[i]))
    pixels += rng.normal(0, 4 + 24 * hard, pixels.shape)
    image = Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))
    return Scene(image, np.stack(boxes), np.array(labels, dtype=np.int64))


def ink_of(scan: np.ndarray, side: int) -> np.ndarray:
    """Ink from 0 to 1 of a scan enlarged to ``side`` x ``side`` pixels and cut to where there is some: (h, w)."""
    large = Image.fromarray((scan * 255).round().astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    ink = np.asarray(large, dtype=np.float64) / 255
    rows, columns = np.flatnonzero((ink > 0.2).any(axis=1)), np.flatnonzero((ink > 0.2).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """What two boxes share, as a share of the smaller one."""
    common = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(common.clip(0).prod() / min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod()))


def write_coco(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes as ``images/*.png`` and ``instances.json``, all or none."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        name = f"{number:05d}.png"
        scene.image.save(unfinished / "images" / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        for (x1, y1, x2, y2), label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": label + 1}
            annotations.append({**ids, **box})
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    write_json(unfinished / "instances.json", {"images": images, "annotations": annotations, "categories": categories})
    unfinished.rename(folder)


def train_yolo(spec: ExpertSpec, scenes: Sequence[Scene], schedule: Schedule, progress: Progress) -> None:
    """Train a YOLO with Ultralytics' own loss and write it as a ``.pt`` that Ultralytics loads.

    Args:
        spec: an expert whose address names a model's ``.yaml``; its checkpoint is written.
        scenes: what it is trained on.
        schedule: how long and how fast.
        progress: receives every step.
    """
    torch.manual_seed(schedule.seed)
    expert: Any = load_expert(replace(spec, checkpoint=None, options={**spec.options, "fuse": False}))
    module = expert.module.requires_grad_(True)
    module.args = get_cfg()  # gains of the loss
    criterion = module.init_criterion()
    views = np.stack([view for view, _ in expert.prepare([scene.image for scene in scenes])])  # (M, h, w, 3)
    inputs = torch.from_numpy(views).permute(0, 3, 1, 2)  # (M, 3, h, w)

    def loss(outputs: Any, targets: Tensor) -> Tensor:
        image, slot = torch.nonzero(targets[..., 0] >= 0, as_tuple=True)
        rows = targets[image, slot]
        parts, _ = criterion(outputs, {"batch_idx": image, "cls": rows[:, 0], "bboxes": rows[:, 1:]})
        return parts.sum() / len(targets)

    named = replace(schedule, label=f"training {spec.name}")
    train(module, inputs, padded(scenes), loss, named, augment=as_seen, progress=progress)
    module.args = {"imgsz": expert.imgsz, "task": "detect"}
    checkpoint = {"model": module, "train_args": module.args}
    write_checkpoint(checkpoint, Path(str(spec.checkpoint)))


def padded(scenes: Sequence[Scene]) -> Tensor:
    """Labels and boxes of M scenes, (M, MOST, 5): label, centre and sides in shares of the image; label -1 is none."""
    targets = torch.full((len(scenes), MOST, 5), -1.0)
    for row, scene in zip(targets, scenes, strict=True):
        corners = torch.from_numpy(scene.boxes) / SIDE
        row[: len(corners), 0] = torch.from_numpy(scene.labels)
        row[: len(corners), 1:3] = (corners[:, :2] + corners[:, 2:]) / 2
        row[: len(corners), 3:] = corners[:, 2:] - corners[:, :2]
    return targets


def as_seen(views: Tensor) -> Tensor:
    """Views (B, 3, h, w) in [0, 1], each a little brighter or darker, with its colours mixed up."""
    light = 1 + 0.3 * (torch.rand(len(views), 1, 1, 1) - 0.5)
    return (views[:, torch.randperm(3)].float() / 255 * light).clamp(0, 1)
