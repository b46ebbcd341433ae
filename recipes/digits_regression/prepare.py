"""Turn scikit-learn's digits by known angles, far and near, and train the recipe's regressors on a part of them."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn.functional import smooth_l1_loss

from orxe_plugins import Expert
from orxe_plugins.run import Recipe
from orxe_plugins.training import Schedule, make_expert, train
from orxe_plugins.util import Progress

#: greatest angle in radians, 60 degrees
GREATEST = np.pi / 3
#: side of the canvas and of the digits on it, far and near ones, in pixels: few pixels show too little of the far ones
CANVAS, FAR, NEAR = 64, (5, 10), (28, 62)
FAR_SHARE = 0.4
SCHEDULES = {
    "small": Schedule(epochs=10, batch_size=64),
    "medium": Schedule(epochs=8, batch_size=64),
    "large": Schedule(epochs=4, batch_size=64),
}


def prepare(
    recipe: Recipe,
    out: Path,
    progress: Progress,
    train_share: float,
    train_turns: int,
    tune_share: float,
    tune_turns: int,
    seed: int,
) -> None:
    """Make ``out/turned`` (images with their ``targets.csv``) and the checkpoints; what exists already is kept.

    Args:
        recipe: the recipe; its experts are trained.
        out: the run's folder.
        progress: receives every training step.
        train_share: share of the digits to train on; no image of them is written.
        train_turns: angles at which each of those is seen.
        tune_share: share of the digits for gates and thresholds; the rest is for the report.
        tune_turns: angles at which each of those is seen; a digit of the report is seen once.
        seed: of the split and the angles.
    """
    pixels, _ = load_digits(return_X_y=True)
    digits = [Image.fromarray(np.round(row * 255 / 16).astype(np.uint8)) for row in pixels.reshape(-1, 8, 8)]
    chance = np.random.default_rng(seed)
    ends = [round(train_share * len(digits)), round((train_share + tune_share) * len(digits))]
    training, tuning, report = np.split(chance.permutation(len(digits)), ends)
    write_images(out / "turned" / "tuning", turned(digits, tuning, tune_turns, chance))
    write_images(out / "turned" / "report", turned(digits, report, 1, chance))

    seen = list(turned(digits, training, train_turns, chance).values())
    targets = torch.tensor([[angle] for _, angle in seen])  # (M, 1)

    def fit(expert: Expert) -> None:
        views = expert.prepare([image for image, _ in seen])  # (M, 1, h, w)
        named = replace(SCHEDULES[expert.name], label=f"training {expert.name}")
        train(expert.module, views, targets, smooth_l1_loss, named, progress=progress)

    for spec in recipe.experts:
        make_expert(spec, fit)


def turned(
    digits: list[Image.Image], chosen: np.ndarray, turns: int, chance: np.random.Generator
) -> dict[str, tuple[Image.Image, float]]:
    """Some of the digits at so many angles each: file name -> image and angle."""
    images = {}
    for i in chosen:
        for k in range(turns):
            angle = float(chance.uniform(-GREATEST, GREATEST))
            images[f"{i:04d}-{k}.png"] = (turn(digits[i], angle, chance), angle)
    return images


def turn(digit: Image.Image, angle: float, chance: np.random.Generator) -> Image.Image:
    """A far or a near digit at a random place on a canvas, turned anticlockwise by so many radians."""
    side = int(chance.integers(*(FAR if chance.random() < FAR_SHARE else NEAR), endpoint=True))
    resized = digit.resize((side, side), Image.Resampling.BICUBIC)
    turned = resized.rotate(float(np.degrees(angle)), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (CANVAS, CANVAS))
    left, top = chance.integers(0, CANVAS - side, size=2, endpoint=True)
    canvas.paste(turned, (int(left), int(top)))
    return canvas


def write_images(folder: Path, images: dict[str, tuple[Image.Image, float]]) -> None:
    """Write images and their table of angles, all or none."""
    if folder.exists():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with (unfinished / "targets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "angle"])
        for name, (image, angle) in images.items():
            image.save(unfinished / name)
            writer.writerow([name, f"{angle:.6f}"])
    unfinished.rename(folder)
