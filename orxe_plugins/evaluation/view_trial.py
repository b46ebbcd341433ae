"""Whether a classifier was probably trained with another normalisation than the one it is given here.

Files of weights seldom say by which mean and standard deviation their images were normalised. A forgotten one makes
no error, only wrong answers: real weights of a mobilenet lose 24 points of top-1 by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.tasks.task import Task

#: samples that are tried, as many as are there
SAMPLES = 64
#: the usual normalisations of colour images: ImageNet's own, to [-1, 1], and none
USUAL: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
)
#: by chance alone, one expert in a hundred is named in error
_LEVEL = 0.01
_BATCH = 8


@dataclass(frozen=True)
class LikelierView:
    """A normalisation with which an expert answers better than with its own.

    Attributes:
        name: the expert.
        samples: how many were tried.
        right: how many it answers right as it sees them here.
        right_there: how many with the other normalisation.
        mean, std: that normalisation.
    """

    name: str
    samples: int
    right: int
    right_there: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def sentence(self) -> str:
        """In words, with the way out."""
        values = f"mean: {list(self.mean)}, std: {list(self.std)}"
        return (
            f"{self.name} answers {self.right} of {self.samples} samples right as it sees them, but "
            f"{self.right_there} with {values}: if it was trained so, give it options: {{{values}}}"
        )


@torch.inference_mode()
def likelier_view(
    expert: ClassifierExpert, images: Sequence[Any], targets: Sequence[Any], task: Task
) -> LikelierView | None:
    """The usual normalisation with which an expert is right on significantly more samples than with its own.

    One-sided exact sign test on the samples that change, at one percent for all that are tried together.

    Args:
        expert: a classifier of colour images.
        images: B original images.
        targets: their labels.
        task: says which answers are right.

    Returns:
        The best such normalisation; None if its own is as good, or for images that are not of three channels.
    """
    if expert.view.channels != 3 or not images:
        return None
    own = _right(expert, images, targets, task)
    others = [pair for pair in USUAL if pair != (tuple(expert.view.mean), tuple(expert.view.std))]
    best: LikelierView | None = None
    for mean, std in others:
        there = _right(expert, images, targets, task, (mean, std))
        better, worse = int((there & ~own).sum()), int((own & ~there).sum())
        if better <= worse or binomtest(better, better + worse, alternative="greater").pvalue >= _LEVEL / len(others):
            continue
        if best is None or there.sum() > best.right_there:
            best = LikelierView(expert.name, len(images), int(own.sum()), int(there.sum()), mean, std)
    return best


def _right(
    expert: ClassifierExpert,
    images: Sequence[Any],
    targets: Sequence[Any],
    task: Task,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> np.ndarray:
    """Which of B samples are answered right, bool (B,)."""
    mean, std = normalisation or (expert.view.mean, expert.view.std)
    view = replace(expert.view, mean=mean, std=std)
    parts = []
    for start in range(0, len(images), _BATCH):
        rows = slice(start, start + _BATCH)
        batch = view.from_images(images[rows]).to(expert.device, expert.dtype)  # (b, 3, h, w)
        parts.append(task.score(expert.run(batch).outputs, targets[rows]) == 1)
    return np.concatenate(parts)
