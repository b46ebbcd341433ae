"""Random objects and the matches of made-up experts."""

from __future__ import annotations

import numpy as np

from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.matching import Matches, match_boxes

NAMES = ("cat", "dog", "never")


def scenes(rng: np.random.Generator, n_experts: int, n_images: int, crowds: float = 0.0) -> list[Matches]:
    """Random objects, and experts that find them the better the later they come; scores are tied now and then.

    So large a share of the objects are crowds, whose boxes do not count.
    """
    targets, tables = [], []
    for _ in range(n_images):
        k = int(rng.integers(0, 4))
        corner = rng.uniform(0, 80, (k, 2))
        boxes, labels = np.hstack([corner, rng.uniform(8, 20, (k, 2))]), rng.integers(0, 2, k)
        crowd = rng.random(k) < crowds if crowds else None
        targets.append(GroundTruth(boxes, labels, NAMES, iscrowd=crowd))
    for skill in np.linspace(0.4, 0.9, n_experts):
        boxes, scores, labels, image = [], [], [], []
        for m, target in enumerate(targets):
            for box, label in zip(target.boxes, target.labels, strict=True):
                if rng.random() < skill:
                    boxes.append(box + rng.normal(0, 3 * (1 - skill), 4))
                    labels.append(int(label))
                else:
                    boxes.append(rng.uniform(0, 40, 4) + np.array([0, 0, 41, 41]))
                    labels.append(int(rng.integers(0, 3)))
                scores.append(round(float(rng.random()), 1))
                image.append(m)
        table = BoxTable(
            np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64),
            np.array(image, np.int64), n_images,
        )  # fmt: skip
        tables.append(match_boxes(table, targets))
    return tables
