"""The merged AP against pycocotools on the merged detections, on random ground truth and detections."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.detection import GroundTruth, RoutedAP, match_detections
from orxe_plugins.detection.detections import Detections

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def pycocotools_figures(
    detections: list[Detections], targets: list[GroundTruth], image_ids: list[int] | None = None
) -> list[float]:
    """The oracle: pycocotools' own first six figures."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    ids = image_ids or list(range(1, len(targets) + 1))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i} for i in ids],
            "categories": [{"id": c + 1, "name": name} for c, name in enumerate(targets[0].names)],
            "annotations": [
                {
                    "image_id": image,
                    "category_id": int(target.labels[k]) + 1,
                    "bbox": target.xywh[k].tolist(),
                    "area": float(target.area[k]),
                    "iscrowd": int(target.iscrowd[k]),
                }
                for image, target in zip(ids, targets, strict=True)
                for k in range(len(target))
            ],
        }
        for i, annotation in enumerate(truth.dataset["annotations"], start=1):
            annotation["id"] = i
        truth.createIndex()
        results = []
        for image, found in zip(ids, detections, strict=True):
            for box, score, label in zip(
                found.boxes.double().tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
            ):
                x1, y1, x2, y2 = box
                results.append(
                    {"image_id": image, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
                )
        answers = truth.loadRes(results) if results else coco.COCO()
        if not results:
            answers.dataset = {**truth.dataset, "annotations": []}
            answers.createIndex()
        evaluation = cocoeval.COCOeval(truth, answers, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float("nan") if value == -1 else float(value) for value in evaluation.stats[:6]]


def random_targets(rng: np.random.Generator, n_images: int, n_labels: int, most: int = 6) -> list[GroundTruth]:
    """Objects on whole pixels, some of them crowds, with areas near the limits between sizes."""
    names = tuple(f"label {i}" for i in range(n_labels))
    targets = []
    for _ in range(n_images):
        g = int(rng.integers(0, most + 1))
        xywh = np.hstack([rng.integers(0, 60, (g, 2)), rng.integers(0, 130, (g, 2))]).astype(float)
        area = xywh[:, 2] * xywh[:, 3] * rng.choice([1.0, 0.7], g)
        area[rng.random(g) < 0.1] = 1024.0
        # The last label has no object at all where there are several.
        labels = rng.integers(0, max(n_labels - 1, 1), g)
        targets.append(GroundTruth(xywh, labels, names, rng.random(g) < 0.2, area))
    return targets


def random_detections(rng: np.random.Generator, targets: list[GroundTruth], most: int = 12) -> list[Detections]:
    """Objects moved a little, copies of them, and boxes of nothing; scores with many ties."""
    names = targets[0].names
    answers = []
    for target in targets:
        k = int(rng.integers(0, most + 1))
        boxes = np.hstack([rng.integers(0, 60, (k, 2)), rng.integers(60, 190, (k, 2))]).astype(float)
        labels = rng.integers(0, len(names), k)
        near = rng.random(k) < 0.7
        if len(target) and near.any():
            of = rng.integers(0, len(target), k)
            moved = target.boxes[of] + rng.integers(-6, 7, (k, 4)) * rng.choice([0, 1, 0.5], (k, 1))
            boxes[near] = np.hstack([moved[:, :2], np.maximum(moved[:, :2], moved[:, 2:])])[near]
            labels[near] = target.labels[of][near]
        scores = rng.choice([0.0, 0.1, 0.25, 0.5, 0.9, 1.0], k) if rng.random() < 0.5 else rng.random(k)
        answers.append(Detections(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), names))
    return answers


def assert_same(found: Any, oracle: list[float]) -> None:
    np.testing.assert_allclose([getattr(found, name) for name in FIGURES], oracle, rtol=0, atol=1e-9)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_images=st.integers(1, 8),
    n_labels=st.integers(1, 4),
    n_experts=st.integers(1, 3),
    most=st.sampled_from([0, 3, 12]),
)
def test_equals_pycocotools_on_the_merged_detections(
    seed: int, n_images: int, n_labels: int, n_experts: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    targets = random_targets(rng, n_images, n_labels)
    experts = [random_detections(rng, targets, most) for _ in range(n_experts)]
    evaluate = RoutedAP([match_detections(detections, targets) for detections in experts])
    for _ in range(3):
        routing = rng.integers(0, n_experts, n_images)
        merged = [experts[e][i] for i, e in enumerate(routing)]
        assert_same(evaluate(routing), pycocotools_figures(merged, targets))
