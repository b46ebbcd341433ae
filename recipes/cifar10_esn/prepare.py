"""Hold out a part of CIFAR-10's training images; train the saver, the base and its exits on the other images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orxe_plugins import ClassifierExpert, Expert, ImageView, OrxeError
from orxe_plugins.data import ImageFolder
from orxe_plugins.esn import ExitSettings, make_exits
from orxe_plugins.run import Recipe
from orxe_plugins.training import Schedule, make_expert, train
from orxe_plugins.util import Progress

SCHEDULES = {
    "saver": Schedule(epochs=6, batch_size=128, threads=2),
    "base": Schedule(epochs=9, batch_size=128, threads=2),
}
#: the schedule of TinySaver's Table 7 in larger steps, with a learning rate that grows as their root
EXITS = ExitSettings(batch_size=512, lr=1.25e-3)


def prepare(recipe: Recipe, out: Path, progress: Progress, data: str, every: int, copies: int, seed: int) -> None:
    """Make ``out/fit`` and the checkpoints that the recipe names; what exists already is kept.

    Args:
        recipe: the recipe; its experts are trained.
        out: the run's folder.
        progress: receives every step.
        data: folder with CIFAR-10's training images, one folder for each class.
        every: one of so many images is held out for thresholds; nothing is trained on those.
        copies: how many times exits see each image, each time mirrored and moved differently.
        seed: of those changes.
    """
    folder = ImageFolder(data)
    chosen = hold_out(folder, every, out / "fit")
    if all(
        Path(file).exists() for spec in recipe.experts for file in (spec.checkpoint, spec.options.get("esn")) if file
    ):
        return
    images, targets = load_images(folder, chosen, progress)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        torch.manual_seed(seed)
        for _ in range(copies):
            for rows in torch.arange(len(images)).split(256):
                yield jitter(images[rows]).to(torch.uint8), targets[rows]

    for spec in recipe.experts:
        if "esn" not in spec.options:
            make_expert(spec, lambda expert: fit(expert, images, targets, progress))
    make_exits(recipe.experts, batches, EXITS, progress, len(images) * copies)


def load_images(folder: ImageFolder, chosen: list[int], progress: Progress) -> tuple[Tensor, Tensor]:
    """Some images of one size, uint8 (M, 3, H, W), and their classes, int64 (M,)."""
    progress.start(len(chosen), "reading the images")
    pixels = []
    for i in chosen:
        pixels.append(np.asarray(folder.load(i)))
        progress.advance(1)
    if len({image.shape for image in pixels}) != 1:
        raise OrxeError(f"the images in {folder.folder} differ in size: expected CIFAR-10's, 32 x 32 pixels")
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), torch.tensor([folder.targets[i] for i in chosen])


def hold_out(folder: ImageFolder, every: int, target: Path) -> list[int]:
    """Copy one of ``every`` images to ``target``, all or none.

    Returns:
        Positions of the other images.
    """
    held = range(0, len(folder), every)
    if not target.exists():
        unfinished = target.with_name(target.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for i in held:
            name = Path(folder.sample_ids[i])
            # Test images have the same names: a report would take them for the same images.
            path = unfinished / name.parent / f"train-{name.name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.folder / folder.sample_ids[i], path)
        unfinished.rename(target)
    return sorted(set(range(len(folder))) - set(held))


def fit(expert: Expert, images: Tensor, targets: Tensor, progress: Progress) -> None:
    """Train one classifier on uint8 images (M, 3, H, W)."""
    assert isinstance(expert, ClassifierExpert)
    view = expert.view

    def seen(rows: Tensor) -> Tensor:
        return view_of(jitter(rows), view)

    expert.module.to(memory_format=torch.channels_last)
    named = replace(SCHEDULES[expert.name], label=f"training {expert.name}")
    train(expert.module, images, targets, loss, named, augment=seen, progress=progress)
    expert.module.to(memory_format=torch.contiguous_format)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with smoothed labels."""
    return F.cross_entropy(logits, targets, label_smoothing=0.05)


def jitter(images: Tensor, shift: int = 4) -> Tensor:
    """Mirror half of the images (B, 3, H, W) and move every one by up to ``shift`` pixels."""
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (shift,) * 4, mode="reflect")
    tops, lefts = torch.randint(0, 2 * shift + 1, (2, len(images))).tolist()
    return torch.stack(
        [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, tops, lefts, strict=True)]
    )


def view_of(images: Tensor, view: ImageView) -> Tensor:
    """What a model sees of images (B, 3, H, W) with values from 0 to 255, (B, 3, h, w)."""
    values = images.float() / 255
    if tuple(values.shape[2:]) != view.size:
        values = F.interpolate(values, view.size, mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(part).view(1, -1, 1, 1) for part in (view.mean, view.std))
    return ((values - mean) / std).contiguous(memory_format=torch.channels_last)
