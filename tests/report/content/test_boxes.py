from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import Policy, Records
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.detections import Detections
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report import Evidence
from orxe_plugins.report.content.boxes import box_parts, has_boxes, mean_precision
from orxe_plugins.tasks.detection import Detection, evaluator

NAMES = ("cat", "dog")


def some_boxes(seed: int, images: int = 12) -> tuple[dict[str, np.ndarray], list[GroundTruth]]:
    """Objects, and what two experts find of them, the second one more exactly."""
    rng = np.random.default_rng(seed)
    targets, columns = [], []
    for _ in range(images):
        count = int(rng.integers(0, 4))
        corners, sides = rng.uniform(0, 60, (count, 2)), rng.uniform(10, 40, (count, 2))
        targets.append(GroundTruth(np.hstack([corners, sides]), rng.integers(0, 2, count), NAMES))
    for blur in (6.0, 2.0):
        outputs = []
        for target in targets:
            corners = target.xywh[:, :2] + rng.normal(0, blur, (len(target.labels), 2))
            boxes = np.hstack([corners, corners + target.xywh[:, 2:]])
            labels = torch.from_numpy(target.labels)
            scores = torch.from_numpy(rng.random(len(labels)).astype(np.float32))
            outputs.append(Detections(torch.from_numpy(boxes.astype(np.float32)), scores, labels, NAMES))
        columns.append(Detection().predictions(outputs, "all"))
    return {name: np.stack([each[name] for each in columns]) for name in columns[0]}, targets


@given(seed=st.integers(0, 2**32 - 1), routing=st.lists(st.integers(0, 1), min_size=12, max_size=12))
def test_the_mean_of_a_curve_is_cocos_figure(seed: int, routing: list[int]) -> None:
    found = evaluator(*some_boxes(seed))
    figures = found(np.array(routing))
    for place, expected in ((0, figures.ap50), (5, figures.ap75)):
        curve = mean_precision(found.every_size, np.array(routing), place)
        if curve is None:
            assert np.isnan(expected)
        else:
            assert (np.diff(curve) <= 1e-12).all()
            assert curve.mean() == pytest.approx(expected)


class Targets:
    """A data set of which only the targets are asked for."""

    def __init__(self, targets: list[GroundTruth]) -> None:
        self.targets = targets


def test_boxes_are_reported_by_size(evaluation: Callable[..., Evaluation]) -> None:
    predictions, targets = some_boxes(0)
    confidence, score = np.full((2, 12), 0.5), np.zeros((2, 12))
    records = Records.from_arrays(["small", "large"], [1, 9], confidence, score, predictions=predictions)
    rows = ((0.5, Policy((0.4,)), 1.0, 0.5, (1.0, 0.0)),)
    reported = evaluation(names=("small", "large"), costs=(1.0, 9.0), scores=(0.5, 0.9), policies=rows, chosen=0)
    evidence = Evidence(records, dataset=Targets(targets))  # type: ignore[arg-type]
    assert has_boxes(evidence) and not has_boxes(Evidence(records))
    table, curves = box_parts(reported, evidence)
    figures = evaluator(predictions, targets)
    alone = [figures(np.full(12, i)) for i in range(2)]
    wanted = [["-" if np.isnan(value) else f"{100 * value:.1f}" for value in each.to_dict().values()] for each in alone]
    assert [list(row[1:]) for row in table.rows] == [wanted[0], *wanted]
    assert [chart.title for chart in curves.charts] == ["IoU 0.50", "IoU 0.75"]
