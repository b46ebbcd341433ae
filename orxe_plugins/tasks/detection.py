"""Object detection: a score per image for the search, COCO's AP of a data set for the reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.confidence.boxes import MeanBoxScore
from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.detection.coco.average_precision import RoutedAP
from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.dataset import CocoDataset
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.image_score import pooled_ap
from orxe_plugins.detection.coco.matching import Matches, match_boxes, match_detections
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.tasks.task import Task, register_task


@register_task("detection")
class Detection(Task):
    """Boxes of an image; outputs are :class:`Detections`, targets :class:`orxe_plugins.detection.GroundTruth`.

    The score of an image is :func:`orxe_plugins.detection.coco.image_score.pooled_ap`, the metric of a data
    set COCO's AP (mAP50-95).
    """

    metric_name = "mAP50-95"
    score_name = "image AP"
    gate_summary = "boxes"
    default_keep = "all"

    def dataset(self, root: Path, class_map: str | None = None) -> CocoDataset:
        if class_map is not None:
            raise OrxeError(f"class_map is {class_map!r}: a COCO data set has its labels in its annotation file")
        return CocoDataset(root)

    def default_confidence(self) -> ConfidenceProvider:
        return MeanBoxScore()

    def prepare(self, expert: Expert, dataset: Dataset) -> None:
        """Let the expert answer in the data set's labels.

        Raises:
            OrxeError: it is no detector, or has other labels and no ``remap`` that explains them.
        """
        if not isinstance(expert, DetectorExpert):
            raise OrxeError(f"expert {expert.name!r} is a {type(expert).__name__}: detection needs detectors")
        if len(dataset):
            expert.remap_to(dataset.targets[0].names)

    def score(self, outputs: Sequence[Detections], targets: Sequence[GroundTruth]) -> np.ndarray:
        return pooled_ap(match_detections(outputs, targets))

    def valid(self, outputs: Sequence[Detections]) -> np.ndarray:
        """True throughout: :class:`Detections` takes no NaN."""
        return np.ones(len(outputs), dtype=bool)

    def predictions(self, outputs: Sequence[Detections], keep: str) -> dict[str, Any]:
        """``boxes`` float32 (K, 4), ``scores`` float32 (K,) and ``labels`` int32 (K,): B arrays of each.

        Args:
            outputs: detections of B images.
            keep: "all", "none", or "top100" for the 100 boxes with the highest scores; any number
                may stand there. COCO's AP looks at 100 boxes of each label.
        """
        limit = _limit(keep)
        if limit == 0:
            return {}
        kept = [
            found if limit is None or len(found) <= limit else found.best_first().take(slice(limit))
            for found in outputs
        ]
        return {
            "boxes": _rows([found.boxes.cpu().numpy() for found in kept]),
            "scores": _rows([found.scores.cpu().numpy() for found in kept]),
            "labels": _rows([found.labels.cpu().numpy().astype(np.int32) for found in kept]),
        }

    def describe(self, outputs: Sequence[Detections]) -> list[str]:
        """The boxes of an image: label, score and corners, best first."""
        return [_boxes_text(found.best_first()) for found in outputs]

    def values(self, outputs: Sequence[Detections]) -> list[dict[str, Any]]:
        """The boxes of an image under ``objects``, best first: ``name``, ``label``, ``score`` and ``box`` (corners)."""
        return [{"objects": _objects(found.best_first())} for found in outputs]

    def metric(self, score: np.ndarray, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]) -> float:
        """COCO's AP of M images.

        Args:
            score: not used.
            predictions: columns as :meth:`predictions` gives them, M rows, in the data set's labels.
            targets: ground truth of the M images.
        """
        matches = match_boxes(BoxTable.from_columns(predictions), targets)
        return RoutedAP([matches])(np.zeros(len(targets), dtype=np.int64)).ap

    def routed_metric(
        self, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        return evaluator(predictions, targets).of_draw


def _objects(found: Detections) -> list[dict[str, Any]]:
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return [
        {"name": found.names[label], "label": label, "score": round(score, 4), "box": [round(side, 1) for side in box]}
        for label, score, box in rows
    ]


def _boxes_text(found: Detections) -> str:
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return "; ".join(
        f"{found.names[label]} {score:.3f} [{', '.join(f'{side:.1f}' for side in box)}]" for label, score, box in rows
    )


def evaluator(predictions: Mapping[str, Any], targets: Sequence[GroundTruth]) -> RoutedAP:
    """COCO's AP of any routing of recorded images; no model runs.

    Args:
        predictions: ``Records.predictions`` of N experts on M images.
        targets: ground truth of the same M images, such as ``dataset.targets`` for the records' sample ids.
    """
    return RoutedAP(recorded_matches(predictions, targets))


def recorded_matches(predictions: Mapping[str, Any], targets: Sequence[GroundTruth]) -> list[Matches]:
    """What COCO's rules make of each of N experts' recorded boxes; see :func:`evaluator`."""
    needed = {"boxes", "scores", "labels"} & set(predictions)
    if len(needed) < 3:
        raise OrxeError("the records hold no boxes: record detections with keep 'all', or 'top100' to save space")
    count = len(predictions["scores"])
    return [
        match_boxes(BoxTable.from_columns({name: predictions[name][i] for name in needed}), targets)
        for i in range(count)
    ]


def _limit(keep: str) -> int | None:
    """How many boxes of an image are kept; None keeps all."""
    if keep in ("all", "none"):
        return None if keep == "all" else 0
    number = re.fullmatch(r"top([1-9]\d*)", keep)
    if number is None:
        raise OrxeError(f"keep is {keep!r}: expected all, none, or top100 for the 100 boxes with the highest scores")
    return int(number[1])


def _rows(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """B arrays of different lengths as an object array (B,)."""
    rows = np.empty(len(arrays), dtype=object)
    rows[:] = arrays
    return rows
