"""How far each expert's score moves when its view is derived from the cascade's one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.intervals import bootstrap
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.tasks.task import Task
from orxe_plugins.util.progress import Progress, Silent


@dataclass(frozen=True)
class ViewShift:
    """One expert's scores in both input modes, on the same samples.

    Attributes:
        name: the expert.
        view: what it was trained to see.
        originals: mean score with views prepared from the original images.
        tensor: mean score with views derived from the cascade's one tensor.
        low, high: ends of the paired 95 % interval of ``tensor - originals``.
        same: share of the samples with the same answer in both input modes.
    """

    name: str
    view: ImageView
    originals: float
    tensor: float
    low: float
    high: float
    same: float

    @property
    def shift(self) -> float:
        """Mean score with the shared tensor minus that with originals."""
        return self.tensor - self.originals


@torch.inference_mode()
def measure_shift(
    experts: Sequence[ClassifierExpert],
    input_view: ImageView,
    dataset: Dataset,
    task: Task,
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[ViewShift]:
    """Run every expert in both input modes.

    Args:
        experts: classifiers of one cascade.
        input_view: the one tensor that they share in it.
        dataset: labelled samples; unreadable ones are an error here, leave them out by ``select``.
        task: says what a sample's score is.
        batch_size: samples per call.
        progress: draws progress; silent by default.
    """
    if not experts:
        raise OrxeError("no classifier to measure the shift of: expected at least one")
    bar = progress or Silent()
    bar.start(len(dataset), "both input modes")
    setup = CascadeSetup(input_view=input_view)
    scores: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in experts]
    for start in range(0, len(dataset), batch_size):
        index = range(start, min(start + batch_size, len(dataset)))
        images, targets = [dataset.load(i) for i in index], [dataset.targets[i] for i in index]
        tensor = input_view.from_images(images)  # (B, C, H, W)
        for expert, parts in zip(experts, scores, strict=True):
            direct = expert.outputs_for(images, BatchContext.of(images))
            derived = expert.outputs_for(tensor.to(expert.device), BatchContext.of(images, setup))
            same = np.array([a == b for a, b in zip(task.describe(direct), task.describe(derived), strict=True)])
            parts.append((task.score(direct, targets), task.score(derived, targets), same))
        bar.advance(len(index))
    return [_shift(expert, parts) for expert, parts in zip(experts, scores, strict=True)]


def _shift(expert: ClassifierExpert, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> ViewShift:
    originals, tensor, same = (np.concatenate([part[k] for part in parts]).astype(np.float64) for k in range(3))
    draws = bootstrap([tensor, originals])
    _, low, high = draws.difference(0, 1)
    return ViewShift(expert.name, expert.view, originals.mean(), tensor.mean(), low, high, same.mean())
