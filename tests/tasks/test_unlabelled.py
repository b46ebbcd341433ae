"""Images without labels: any folder will do, and scores are relative to the last expert."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from orxe_plugins import OrxeError, Records
from orxe_plugins.data import UnlabelledImages
from orxe_plugins.detection.detections import Detections
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records import answers_as_targets, load_records, record
from orxe_plugins.search.replay import replay
from orxe_plugins.tasks import Unlabelled, task_named

NAMES = ("cat", "dog")
BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 40.0, 15.0], [50.0, 50.0, 60.0, 60.0]])


class Finder(DetectorExpert):
    """Finds as many boxes as an image's number says, wrong ones from ``skill`` on, and one of score 0.1 beside them."""

    def __init__(self, name: str, skill: int, cost: float, names: Sequence[str] = NAMES) -> None:
        super().__init__(name, nn.Identity(), names=names, cost=cost)
        self.skill = skill

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        return [self._find(int(np.asarray(image)[0, 0, 0]) // 10) for image in batch]

    def _find(self, number: int) -> Detections:
        right = BOXES[: number % 3] if number < self.skill else BOXES[2:]
        found = torch.cat([right, torch.tensor([[5.0, 40.0, 9.0, 44.0]])])
        scores = torch.tensor([0.9] * len(right) + [0.1])
        labels = torch.tensor([self.names.index(NAMES[k % 2]) for k in range(len(found))], dtype=torch.int64)
        return Detections(found, scores, labels, self.names)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    for i in range(9):
        Image.new("RGB", (64, 64), (10 * i, 0, 0)).save(folder / ("deeper" if i % 2 else "") / f"{i}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_of_images_is_a_data_set_without_labels(images: Path) -> None:
    data = UnlabelledImages(images)
    assert len(data) == 9 and set(data.targets) == {None} and "deeper/1.png" in data.sample_ids
    assert "notes.txt" in " ".join(data.notes) and data.load(0).size == (64, 64)
    (images / "9.png").write_bytes((images / "0.png").read_bytes())
    assert UnlabelledImages(images).fingerprint != data.fingerprint
    with pytest.raises(OrxeError, match="is no folder"):
        UnlabelledImages(images / "0.png")


def test_detectors_score_as_their_boxes_agree_with_the_last_ones(images: Path, tmp_path: Path) -> None:
    task = Unlabelled(task_named("detection"))
    experts = [Finder("small", 6, 1.0), Finder("large", 9, 3.0, NAMES[::-1])]
    records = record(experts, UnlabelledImages(images), tmp_path / "out", task=task)
    number = [int(Path(sample).stem) for sample in records.sample_ids]
    expected = [1.0 if i < 6 else 0.0 if i % 3 else 1 - 0.9 for i in number]
    assert records.score[0].tolist() == pytest.approx(expected)
    assert records.score[1].tolist() == [1.0] * 9 and records.details["relative_to"] == "large"
    assert load_records(tmp_path / "out").score.tolist() == records.score.tolist()
    metric = Metric.of_task(task, answers_as_targets(records))
    assert metric.function is not None and metric.name == "relative mAP50-95"
    whole, small = (replay(records, Policy.only(i, 2)) for i in (1, 0))
    assert metric.function(whole, np.arange(9)) == pytest.approx(1.0)
    assert metric.function(small, np.arange(9)) < 0.9


def test_other_labels_are_refused(images: Path, tmp_path: Path) -> None:
    task = Unlabelled(task_named("detection"))
    with pytest.raises(OrxeError, match="bird"):
        record([Finder("small", 6, 1.0), Finder("large", 9, 3.0, (*NAMES, "bird"))], UnlabelledImages(images),
               tmp_path / "out", task=task)  # fmt: skip


def test_what_has_no_agreement_is_refused() -> None:
    with pytest.raises(OrxeError, match="task 'regression' cannot do without labels"):
        Unlabelled(task_named("regression"))
    with pytest.raises(OrxeError, match="keep nothing of the predictions"):
        Records.from_arrays(["small", "large"], [1, 9], np.ones((2, 4)), None)


def test_arrays_may_come_without_scores() -> None:
    classes = np.array([[[3], [5], [1]], [[3], [4], [1]]])
    records = Records.from_arrays(["large", "small"], [9, 1], np.ones((2, 3)), None,
                                  predictions={"classes": classes}, order="sort")  # fmt: skip
    assert records.names == ("small", "large") and records.score.tolist() == [[1, 0, 1], [1, 1, 1]]
