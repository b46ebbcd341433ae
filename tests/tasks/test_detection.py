"""What the detection task says beside its metric, which tests/coco/test_task.py looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from orxe_plugins import Expert, OrxeError
from orxe_plugins.confidence import MeanBoxScore
from orxe_plugins.detection.detections import Detections
from orxe_plugins.tasks import task_named

TASK = task_named("detection")
FOUND = Detections(
    torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]]), torch.tensor([0.2, 0.9]), torch.tensor([0, 1]),
    ("cat", "dog"),
)  # fmt: skip


def test_an_image_is_described_best_box_first() -> None:
    assert TASK.describe([FOUND]) == ["dog 0.900 [1.0, 2.0, 3.0, 4.0]; cat 0.200 [0.0, 0.0, 1.0, 1.0]"]
    assert TASK.describe([Detections.empty(("cat",))]) == [""]


def test_as_many_boxes_are_kept_as_asked_for() -> None:
    assert TASK.predictions([FOUND], "none") == {}
    assert len(TASK.predictions([FOUND], "all")["scores"][0]) == 2
    best = TASK.predictions([FOUND], "top1")
    assert best["scores"][0].tolist() == pytest.approx([0.9])
    assert best["labels"][0].tolist() == [1]
    for wrong in ("top0", "top", "five"):
        with pytest.raises(OrxeError, match=f"keep is '{wrong}': expected all, none, or top100"):
            TASK.predictions([FOUND], wrong)


def test_gates_see_boxes_and_the_default_confidence_is_their_mean_score() -> None:
    assert TASK.gate_summary == "boxes"
    assert isinstance(TASK.default_confidence(), MeanBoxScore)
    assert TASK.valid([FOUND, FOUND]).tolist() == [True, True]


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="expert 'net' is a Expert: detection needs detectors"):
        TASK.prepare(Expert("net", nn.Identity()), [])  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match="has its labels in its annotation file"):
        TASK.dataset(tmp_path, class_map="classes.txt")
