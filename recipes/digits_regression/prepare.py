"""Turn scikit-learn's digits by known angles, in many sizes, and train the recipe's regressors on a part of them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn.functional import smooth_l1_loss

from orxe_plugins.expert import Expert
from orxe_plugins.progress import Progress
from orxe_plugins.recipe import Recipe
from orxe_plugins.training import Schedule, make_expert, train

#: greatest angle in radians, 60 degrees
GREATEST = np.pi / 3
#: side of the canvas and of the digits on it, in pixels: a small digit is lost on an expert that sees few pixels
CANVAS, SIDES = 32, (8, 30)
SCHEDULES = {
    "small": Schedule(epochs=8, batch_size=64),
    "medium": Schedule(epochs=10, batch_size=64),
    "large": Schedule(epochs=8, batch_size=64),
}


def prepare(recipe: Recipe, out: Path, progress: Progress, train_share: float, turns: int, seed: int) -> None:
    """Make ``out/turned`` (images and ``targets.csv``) and the checkpoints; what is there already is kept.

    Args:
        recipe: the recipe; its experts are trained.
        out: the run's folder.
        progress: is told of every training step.
        train_share: share of the digits to train on; no image of them is written.
        turns: angles at which each of those is seen.
        seed: of the split and the angles.
    """
    pixels, _ = load_digits(return_X_y=True)
    digits = [Image.fromarray(np.round(row * 255 / 16).astype(np.uint8)) for row in pixels.reshape(-1, 8, 8)]
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(digits))
    n_train = round(train_share * len(digits))
    angles = chance.uniform(-GREATEST, GREATEST, len(digits))
    write_images(out / "turned", {int(i): turn(digits[i], angles[i], chance) for i in order[n_train:]}, angles)
    many = chance.uniform(-GREATEST, GREATEST, (n_train, turns))
    targets = torch.from_numpy(many.reshape(-1, 1).astype(np.float32))  # (M, 1)

    seen = [turn(digits[i], angle, chance) for i, row in zip(order[:n_train], many, strict=True) for angle in row]

    def fit(expert: Expert) -> None:
        views = expert.prepare(seen)  # (M, 1, h, w)
        train(expert.module, views, targets, smooth_l1_loss, SCHEDULES[expert.name], progress=progress,
              label=f"training {expert.name}")  # fmt: skip

    for entry in recipe.experts:
        make_expert(entry.spec(), fit)


def turn(digit: Image.Image, angle: float, chance: np.random.Generator) -> Image.Image:
    """A digit of random size at a random place on a canvas, turned anticlockwise by so many radians."""
    side = int(chance.integers(*SIDES, endpoint=True))
    resized = digit.resize((side, side), Image.Resampling.BICUBIC)
    turned = resized.rotate(float(np.degrees(angle)), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (CANVAS, CANVAS))
    left, top = chance.integers(0, CANVAS - side, size=2, endpoint=True)
    canvas.paste(turned, (int(left), int(top)))
    return canvas


def write_images(folder: Path, images: dict[int, Image.Image], angles: np.ndarray) -> None:
    """Write images and their table of angles, all or none."""
    if folder.exists():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with (unfinished / "targets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "angle"])
        for i, image in images.items():
            image.save(unfinished / f"{i:04d}.png")
            writer.writerow([f"{i:04d}.png", f"{angles[i]:.6f}"])
    unfinished.rename(folder)
