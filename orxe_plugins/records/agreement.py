"""Agreement: scores without labels, by what the last expert answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.image_score import pooled_ap
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.tasks.detection import recorded_matches

#: boxes of the last expert with at least this score stand for objects
SURE_BOX = 0.3


def agreement_records(records: Records) -> Records:
    """The records with scores relative to the last expert, whose answers stand for labels.

    Classification: 1 where an expert gives the class that the last expert gives, else 0. Detection: the average
    precision of an image's boxes against those boxes of the last expert that it gives a score of at least 0.3; on an
    image where it gives none, 1 less the highest score of the expert's boxes, or 1 if they are all below 0.3.

    No label is looked at. The last expert scores 1 everywhere, so that what is lost to it is the share of samples that
    are answered otherwise. Its own mistakes are copied: where it scores r and a cascade disagrees with it on a share d,
    the cascade scores between r - d and r + d.

    Args:
        records: of classification experts, recorded with ``keep`` "top5" or "all", or of detectors with boxes kept.

    Returns:
        Records without labels; ``details["relative_to"]`` is the name of the last expert.

    Raises:
        OrxeError: the records keep no classes and no boxes.

    >>> import numpy as np
    >>> classes = np.array([[[3], [5]], [[3], [4]]])  # (experts, samples, most probable classes)
    >>> records = Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.4], [0.9, 0.8]], np.zeros((2, 2)),
    ...     predictions={"classes": classes})
    >>> agreement_records(records).score.tolist()
    [[1, 0], [1, 1]]
    """
    if "boxes" in records.predictions:
        score = _box_scores(records)
    else:
        answer = recorded_answers(records)
        score = (answer == answer[-1]).astype(np.uint8)
    details = {**records.details, "relative_to": records.names[-1]}
    return replace(records, score=score, labels=None, details=details)


def answers_as_targets(records: Records) -> list[Any]:
    """What the last expert answers, as a data set would say it: M classes, or M images' objects.

    Raises:
        OrxeError: the records keep no classes and no boxes.
    """
    if "boxes" in records.predictions:
        return list(sure_boxes(records))
    return [int(answer) for answer in recorded_answers(records)[-1]]


def recorded_answers(records: Records) -> np.ndarray:
    """The most probable class of each expert on each sample, (N, M).

    Raises:
        OrxeError: the records keep no classes.
    """
    if "classes" not in records.predictions:
        kept = ", ".join(records.predictions) or "nothing"
        raise OrxeError(
            f"agreement with the last expert needs the classes or the boxes that experts give, but these records keep "
            f"{kept} of the predictions: record classification with keep: top5, detection with keep: all"
        )
    classes = np.asarray(records.predictions["classes"])
    if "log_probs" not in records.predictions:
        return classes[:, :, 0]
    best = np.asarray(records.predictions["log_probs"]).argmax(axis=2)
    return np.take_along_axis(classes, best[:, :, None], axis=2)[:, :, 0]


def sure_boxes(records: Records) -> Sequence[GroundTruth]:
    """The last expert's boxes with a score of at least 0.3, as the objects of M images."""
    columns = {name: records.predictions[name][-1] for name in ("boxes", "scores", "labels")}
    table = BoxTable.from_columns(columns)
    names = _label_names(records)
    sure = np.flatnonzero(table.scores >= SURE_BOX)
    cut = np.searchsorted(table.image[sure], np.arange(1, table.n_images))
    xywh, labels = table.xywh[sure], table.labels[sure]
    pairs = zip(np.split(xywh, cut), np.split(labels, cut), strict=True)
    return [GroundTruth(boxes, found, names) for boxes, found in pairs]


def _box_scores(records: Records) -> np.ndarray:
    """Score of each expert's boxes on each image against the last expert's, float64 (N, M)."""
    targets = sure_boxes(records)
    matches = recorded_matches(records.predictions, targets)
    return np.stack([_against(each) for each in matches])


def _against(matches: Matches) -> np.ndarray:
    score = pooled_ap(matches)
    objects = np.bincount(matches.object_image, minlength=matches.n_images)
    # Where nothing is sure, boxes below the same score are no mistake.
    quiet = (objects == 0) & (score > 1 - SURE_BOX)
    # A sum of ten overlaps' parts may miss 1 by rounding.
    return np.where(quiet | (score > 1 - 1e-9), 1.0, score)


def _label_names(records: Records) -> tuple[str, ...]:
    names = records.details.get("labels")
    if names:
        return tuple(map(str, names))
    most = max((int(np.max(row, initial=-1)) for expert in records.predictions["labels"] for row in expert), default=-1)
    return tuple(map(str, range(most + 1)))
