"""A forgotten normalisation is noticed, and a right one is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.evaluation.view_trial import USUAL, likelier_view
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.tasks.task import task_named

SHOWN = ImageView((4, 4), 4, *USUAL[1])


class Brightness(nn.Module):
    """Says 1 for images that are brighter than 0.5, if they come as it was trained: (x - mean) / std."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.threshold = (0.5 - mean) / std

    def forward(self, x: Tensor) -> Tensor:
        level = x.mean(dim=(1, 2, 3)) - self.threshold  # (B,)
        return torch.stack([-level, level], dim=1)


def grey(levels: Sequence[float]) -> list[Image.Image]:
    return [Image.fromarray(np.full((4, 4, 3), round(255 * level), np.uint8)) for level in levels]


@pytest.mark.parametrize("given", range(len(USUAL)))
@pytest.mark.parametrize("trained", range(len(USUAL)))
def test_the_normalisation_of_the_training_is_named(given: int, trained: int) -> None:
    mean, std = USUAL[trained]
    view = replace(SHOWN, mean=USUAL[given][0], std=USUAL[given][1])
    expert = ClassifierExpert("own", Brightness(mean[1], std[1]), view=view, num_classes=2)
    levels = np.linspace(0.2, 0.8, 200)
    found = likelier_view(expert, grey(levels), (levels > 0.5).astype(int).tolist(), task_named("classification"))
    if given == trained:
        assert found is None
        return
    assert found is not None
    assert found.right_there > found.right
    # ImageNet's own values and 0.5 differ so little in the threshold here that either may stand for the other.
    assert abs((0.5 - found.mean[1]) / found.std[1] - (0.5 - mean[1]) / std[1]) < 0.2
    assert f"options: {{mean: {list(found.mean)}, std: {list(found.std)}}}" in found.sentence()


def test_chance_is_no_reason_to_doubt() -> None:
    """With random labels no view is better: at most one pool in a hundred is doubted."""
    rng = np.random.default_rng(0)
    expert = ClassifierExpert("own", Brightness(0.456, 0.224), view=SHOWN, num_classes=2)
    images = grey(rng.uniform(size=64).tolist())
    task = task_named("classification")
    named = [likelier_view(expert, images, rng.integers(0, 2, 64).tolist(), task) for _ in range(100)]
    assert sum(found is not None for found in named) <= 4


def test_grey_images_and_no_images_are_not_tried() -> None:
    expert = ClassifierExpert("own", Brightness(0.5, 0.5), view=ImageView((4, 4), 4, (0.5,), (0.5,)), num_classes=2)
    assert likelier_view(expert, grey([0.1]), [0], task_named("classification")) is None
    colour = ClassifierExpert("own", Brightness(0.5, 0.5), view=SHOWN, num_classes=2)
    assert likelier_view(colour, [], [], task_named("classification")) is None
