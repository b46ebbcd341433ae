"""Write scikit-learn's digits as image files and train the recipe's experts, and their exits, on a part of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from orxe_plugins import Expert
from orxe_plugins.esn import ExitSettings, make_exits
from orxe_plugins.run import Recipe
from orxe_plugins.training import Schedule, make_expert, train
from orxe_plugins.util import Progress

#: how long each expert is trained; the small one is stopped early, so that a cascade has something to gain
SCHEDULES = {"small": Schedule(epochs=4), "medium": Schedule(epochs=12), "large": Schedule(epochs=12)}
#: exits see every image so many times, each time turned and shifted differently
EXIT_COPIES = 20
EXITS = ExitSettings(epochs=20, warmup_epochs=5, lr=2e-3)


def prepare(recipe: Recipe, out: Path, progress: Progress, train_share: float, seed: int) -> None:
    """Make ``out/digits`` and the checkpoints that the recipe names; what exists already is kept.

    Args:
        recipe: the recipe; its experts are trained.
        out: the run's folder.
        progress: receives every training step.
        train_share: share of the digits to train on; no image of them is written.
        seed: of the split.
    """
    pixels, digits = load_digits(return_X_y=True)
    images = [Image.fromarray(np.round(row * 255 / 16).astype(np.uint8)) for row in pixels.reshape(-1, 8, 8)]
    order = np.random.default_rng(seed).permutation(len(images))
    n_train = round(train_share * len(images))
    write_images(out / "digits", images, digits, order[n_train:])
    targets = torch.from_numpy(digits[order[:n_train]])

    def fit(expert: Expert) -> None:
        views = expert.prepare([images[i] for i in order[:n_train]])  # (M, 1, h, w)
        named = replace(SCHEDULES[expert.name], label=f"training {expert.name}")
        train(expert.module, views, targets, loss, named, augment=nudge, progress=progress)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        torch.manual_seed(seed)
        views = torch.stack([torch.from_numpy(np.array(enlarged(images[i]))) for i in order[:n_train]])
        copies = torch.arange(n_train).repeat(EXIT_COPIES)
        for rows in copies.split(256):
            seen = nudge(views[rows, None].float())  # (B, 1, h, w)
            yield seen.round().clamp(0, 255).to(torch.uint8), targets[rows]

    for spec in recipe.experts:
        if "esn" not in spec.options:
            make_expert(spec, fit)
    make_exits(recipe.experts, batches, EXITS, progress, n_train * EXIT_COPIES)


def enlarged(image: Image.Image, side: int = 32) -> Image.Image:
    """The image with enough pixels to be turned by a few degrees."""
    return image.resize((side, side), Image.Resampling.BILINEAR)


def write_images(folder: Path, images: list[Image.Image], digits: np.ndarray, chosen: np.ndarray) -> None:
    """Write some images as ``folder/DIGIT/NUMBER.png``, all or none."""
    if folder.exists():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for i in chosen:
        path = unfinished / str(digits[i]) / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        images[i].save(path)
    unfinished.rename(folder)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with smoothed labels, so that 600 images do not make an expert certain of everything."""
    return F.cross_entropy(logits, targets, label_smoothing=0.05)


def nudge(views: Tensor, strength: float = 0.3) -> Tensor:
    """Turn, stretch and shift every view (B, C, h, w) a little at random."""
    turn, grow = (strength * (torch.rand(2, len(views)) - 0.5)).unbind()  # (B,) each
    matrix = torch.zeros(len(views), 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = (1 + grow) * turn.cos(), -turn.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin(), (1 + grow) * turn.cos()
    matrix[:, :, 2] = strength * 0.6 * (torch.rand(len(views), 2) - 0.5)
    grid = F.affine_grid(matrix, list(views.shape), align_corners=False)
    return F.grid_sample(views, grid, padding_mode="border", align_corners=False)
