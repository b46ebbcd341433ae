"""The detection task: what records keep, and the AP of any routing out of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from orxe_plugins import Cascade, Expert, Policy, fit_policies, replay
from orxe_plugins.data.datasets import Subset
from orxe_plugins.detection import GroundTruth, match_detections, routed_ap
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.records.recorder import record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.detection import evaluator, recorded_matches

TASK = task_named("detection")
NAMES = ("cat", "dog")
BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 40.0, 15.0], [50.0, 50.0, 60.0, 60.0]])
XYWH = torch.cat([BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]], dim=1).numpy()


class Scenes:
    """Twelve images whose number is their colour, each with up to two objects."""

    name, fingerprint = "scenes", "1"
    sample_ids = tuple(f"{i}.png" for i in range(12))
    targets = tuple(GroundTruth(XYWH[: i % 3], np.arange(i % 3) % 2, NAMES) for i in range(12))

    def __len__(self) -> int:
        return 12

    def load(self, index: int) -> Image.Image:
        return Image.new("RGB", (64, 64), (index, 0, 0))

    def select(self, indices: Any) -> Subset:
        return Subset(self, indices)


class Finder(DetectorExpert):
    """Finds the objects of images whose number is below ``skill``, and is the surer the lower the number is."""

    def __init__(self, name: str, skill: int, cost: float, names: Sequence[str] = NAMES) -> None:
        super().__init__(name, nn.Identity(), names=names, cost=cost)
        self.skill = skill

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        return [self._find(np.asarray(image)[0, 0, 0]) for image in batch]

    def _find(self, number: int) -> Detections:
        right = BOXES[: int(number) % 3] if number < self.skill else BOXES[2:]
        scores = torch.full((len(right),), 0.95 - 0.05 * float(number))
        labels = torch.tensor([self.names.index(NAMES[k % 2]) for k in range(len(right))], dtype=torch.int64)
        return Detections(right, scores, labels, self.names)


@pytest.fixture
def records(tmp_path: Path) -> Any:
    return record([Finder("small", 6, 1.0), Finder("large", 12, 3.0, NAMES[::-1])], Scenes(), tmp_path, task=TASK)


def test_the_ap_of_every_routing_comes_out_of_records(records: Any) -> None:
    data = Scenes()
    experts = [Finder("small", 6, 1.0), Finder("large", 12, 3.0)]
    answers = [expert([data.load(i) for i in range(12)]) for expert in experts]
    routed = evaluator(records.predictions, data.targets)
    rng = np.random.default_rng(0)
    for _ in range(20):
        routing = rng.integers(0, 2, 12)
        merged = [answers[e][i] for i, e in enumerate(routing)]
        expected = routed_ap([match_detections(merged, data.targets)], np.zeros(12, dtype=int)).to_dict()
        assert routed(routing).to_dict() == pytest.approx(expected, nan_ok=True)
        predictions = {
            key: [columns[e][i] for i, e in enumerate(routing)] for key, columns in records.predictions.items()
        }
        assert TASK.metric(np.zeros(12), predictions, data.targets) == routed(routing).ap
    metric = TASK.routed_metric(records.predictions, data.targets)
    assert metric is not None
    assert metric(np.ones(12, dtype=int), np.arange(12)) == pytest.approx(1.0)


def test_a_search_on_image_scores_finds_who_needs_the_large_one(records: Any) -> None:
    cascade = Cascade([Finder("small", 6, 1.0), Finder("large", 12, 3.0)], Policy((0.5,)))
    table = fit_policies(records, [0.0, 0.9, 1.0])
    best = replay(records, table.at(1.0).policy)
    assert best.score == 1.0
    assert evaluator(records.predictions, Scenes().targets)(best.expert).ap == pytest.approx(1.0)
    assert best.cost < 1 + 3
    cascade.policy = table.at(1.0).policy
    _, route = cascade.route([Scenes().load(i) for i in range(12)])
    assert route.expert.tolist() == best.expert.tolist()


def test_columns_keep_as_many_boxes_as_asked_for() -> None:
    found = [Detections(BOXES, torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0, 1, 0]), NAMES), Detections.empty(NAMES)]
    everything = TASK.predictions(found, "all")
    assert [len(row) for row in everything["scores"]] == [3, 0]
    np.testing.assert_array_equal(everything["boxes"][0], BOXES.numpy())
    top = TASK.predictions(found, "top2")
    assert top["scores"][0].tolist() == pytest.approx([0.9, 0.5])
    assert top["labels"][0].tolist() == [1, 0]
    assert TASK.predictions(found, "none") == {}
    for keep in ("top0", "top", "some"):
        with pytest.raises(OrxeError, match=f"keep is '{keep}'"):
            TASK.predictions(found, keep)


def test_answers_are_described_in_words() -> None:
    found = Detections(BOXES[:1], torch.tensor([0.5]), torch.tensor([1]), NAMES)
    assert TASK.describe([found, Detections.empty(NAMES)]) == ["dog 0.500 [0.0, 0.0, 10.0, 10.0]", ""]


def test_what_does_not_fit_is_named(records: Any, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="hold no boxes"):
        recorded_matches({}, Scenes().targets)
    with pytest.raises(OrxeError, match="only the labels of expert 'other' have 'cow'"):
        record([Finder("other", 1, 1.0, ("cat", "dog", "cow"))], Scenes(), tmp_path / "other", task=TASK)
    with pytest.raises(OrxeError, match="detection needs detectors"):
        record([Expert("plain", nn.Identity())], Scenes(), tmp_path / "plain", task=TASK)
    with pytest.raises(OrxeError, match="class_map is"):
        TASK.dataset(tmp_path, "classes.txt")
