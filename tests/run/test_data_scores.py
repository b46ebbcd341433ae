"""Detectors are searched on what their boxes do to the AP, and the search ends on the AP itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from orxe_plugins.data.datasets import Subset
from orxe_plugins.detection import GroundTruth
from orxe_plugins.detection.coco.contribution import contributions
from orxe_plugins.detection.detections import Detections
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records import Records, record
from orxe_plugins.run.fit import fit_table
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.recording import Recorded
from orxe_plugins.run.splits import Splits, _scored_in_data
from orxe_plugins.search.replay import replay
from orxe_plugins.tasks import recorded_matches, task_named

TASK = task_named("detection")
NAMES = ("cat", "dog")
RNG = np.random.default_rng(0)
OBJECTS = [np.array([[5.0, 5.0, 12.0, 12.0], [30.0, 20.0, 15.0, 10.0]])[: 1 + i % 2] for i in range(40)]
HARD = RNG.random(40)


class Scenes:
    """Forty images whose number is their colour."""

    name, fingerprint = "scenes", "1"
    sample_ids = tuple(f"{i:02d}.png" for i in range(40))
    targets = tuple(GroundTruth(boxes, np.arange(len(boxes)), NAMES) for boxes in OBJECTS)

    def __len__(self) -> int:
        return 40

    def load(self, index: int) -> Image.Image:
        return Image.new("RGB", (64, 64), (6 * index, 0, 0))

    def select(self, indices: Any) -> Subset:
        return Subset(self, indices)


class Finder(DetectorExpert):
    """Boxes that are off the more, the harder the image is; its scores know that."""

    def __init__(self, name: str, skill: float, cost: float) -> None:
        super().__init__(name, nn.Identity(), names=NAMES, cost=cost)
        self.skill = skill

    def forward(self, batch: Any) -> list[Detections]:
        return [self._find(int(np.asarray(image)[0, 0, 0]) // 6) for image in batch]

    def _find(self, i: int) -> Detections:
        xywh, miss = OBJECTS[i], max(0.0, HARD[i] - self.skill)
        boxes = np.hstack([xywh[:, :2] + 12 * miss, xywh[:, :2] + xywh[:, 2:] + 12 * miss])
        scores = np.full(len(boxes), 1 - 0.9 * miss)
        return Detections(torch.tensor(boxes), torch.tensor(scores), torch.arange(len(boxes)), NAMES)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    experts = [Finder("small", 0.1, 1.0), Finder("large", 0.7, 8.0)]
    return record(experts, Scenes(), tmp_path_factory.mktemp("records"), task=TASK)


def stub(**data: Any) -> Any:
    """As much of a run as the splits need."""
    recipe = Recipe(name="scenes", data={"root": "x", **data}, experts=["a:b"], preferences=[0.2, 0.5, 0.8, 0.95],
                    folder=Path())  # type: ignore[arg-type]  # fmt: skip
    return SimpleNamespace(recipe=recipe, task=TASK, dataset=lambda root: Scenes())


def test_splits_are_scored_as_data_sets_of_their_own(records: Records) -> None:
    fit, report = records.split(0.5)
    choose = report.samples(slice(0, 5))
    found = _scored_in_data(stub(), Recorded(records, records), Splits(fit, report, False, choose=choose))
    place = {sample: i for i, sample in enumerate(Scenes.sample_ids)}
    for before, after in ((fit, found.fit), (report, found.report)):
        targets = [Scenes.targets[place[str(sample)]] for sample in before.sample_ids]
        assert after.score == pytest.approx(contributions(recorded_matches(before.predictions, targets)))
    assert found.choose is choose and len(found.targets) == len(fit)


def test_records_without_boxes_keep_their_scores(records: Records) -> None:
    bare = replace(records, predictions={})
    splits = Splits(bare, bare, True)
    found = _scored_in_data(stub(), Recorded(bare, bare), splits)
    assert found.fit is bare and not found.targets


def test_a_table_of_detectors_holds_aps(records: Records) -> None:
    fit, report = records.split(0.5)
    run = stub()
    splits = _scored_in_data(run, Recorded(records, records), Splits(fit, report, False))
    table = fit_table(run.recipe, splits, task=TASK)
    metric = Metric.of_task(TASK, splits.targets)
    assert metric.function is not None and table.details["polished"]["evaluations"] >= 2
    everything = np.arange(len(splits.fit))
    for row in table.offered:
        assert row.score == pytest.approx(metric.function(replay(splits.fit, row), everything))
    alone = replay(splits.fit, Policy.only(1, 2))
    assert table.reference_score == pytest.approx(metric.function(alone, everything))
