"""Object detection: a score per image for the search, COCO's AP of a data set for the reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.confidence.boxes import MeanBoxScore
from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.datasets import Dataset, base_of
from orxe_plugins.detection.chosen_classes import ChosenClasses, whole_of
from orxe_plugins.detection.coco.average_precision import RoutedAP
from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.contribution import contributions
from orxe_plugins.detection.coco.dataset import CocoDataset
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.image_score import pooled_ap
from orxe_plugins.detection.coco.layouts import holds_annotations
from orxe_plugins.detection.coco.matching import Matches, match_boxes, match_detections
from orxe_plugins.detection.coco.running_ap import RunningAP
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.notes import some
from orxe_plugins.detection.yolo.data_file import find_data_file
from orxe_plugins.detection.yolo.dataset import YoloFiles
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.tasks.task import Task, register_task

_COLUMNS = frozenset({"boxes", "scores", "labels"})


@register_task("detection")
class Detection(Task):
    """Boxes of an image; outputs are :class:`Detections`, targets :class:`orxe_plugins.detection.GroundTruth`.

    The recorded score of an image is :func:`orxe_plugins.detection.coco.image_score.pooled_ap`, the metric of a data
    set COCO's AP (mAP50-95). A recipe searches on what each image's boxes do to that AP.
    """

    metric_name = "mAP50-95"
    score_name = "image AP"
    gate_summary = "boxes"
    turns_images = True
    default_keep = "all"

    def dataset(self, root: Path, class_map: str | None = None, images: Path | None = None) -> Dataset:
        """The labelled images in a user's folder, in COCO's format or in YOLO's.

        Args:
            root: see :class:`~orxe_plugins.detection.CocoDataset` and
                :meth:`YoloFiles.from_root <orxe_plugins.detection.YoloFiles.from_root>`.
            class_map: must be None.
            images: where the images of a COCO data set lie, if not in one of the usual places.
        """
        if class_map is not None:
            raise OrxeError(f"class_map is {class_map!r}: detection data has its labels in its annotation file")
        is_coco = root.suffix.lower() == ".json" or (root.is_dir() and holds_annotations(root))
        if is_coco or find_data_file(root) is None:
            return CocoDataset(root, images)
        if images is not None:
            raise OrxeError(f"data.images is {str(images)!r}: data in YOLO's format names its images itself")
        return YoloFiles.from_root(root)

    def check(self, dataset: Dataset, part: str = "") -> None:
        found = [len(target) - int(np.sum(target.iscrowd)) for target in dataset.targets]
        if not any(found):
            crowds = sum(len(target) for target in dataset.targets)
            of = f"{part} of data set" if part else "data set"
            why = f"its {crowds} objects are all crowds (iscrowd)" if crowds else "they hold no object"
            raise OrxeError(
                f"nothing to measure on: {of} {dataset.name!r} has {len(dataset)} images, and {why}. Add labelled "
                "images, or change the split or its seed"
            )

    def label_names(self, dataset: Dataset) -> tuple[str, ...]:
        return tuple(dataset.targets[0].names) if len(dataset) else ()

    def with_classes(self, dataset: Dataset, experts: Sequence[Expert]) -> Dataset:
        detectors = [_detector(expert) for expert in experts]
        names = self.label_names(dataset)
        common = [name for name in names if all(expert.knows(name) for expert in detectors)]
        if not common:
            raise OrxeError(
                f"data set {dataset.name!r} and the experts have no label in common: the data set has {_some(names)}, "
                f"expert {detectors[0].name!r} has {_some(detectors[0].names)}. Name those that mean the same by "
                "`remap`"
            )
        return dataset if len(common) == len(names) else ChosenClasses(dataset, common)

    def default_confidence(self) -> ConfidenceProvider:
        return MeanBoxScore()

    def prepare(self, expert: Expert, dataset: Dataset) -> None:
        """Let the expert answer in the data set's labels; it need not know those that no object of the data set has.

        Raises:
            OrxeError: it is no detector, or has other labels, which neither ``remap`` nor ``classes`` explains; or the
                folder of the images was not found.
        """
        detector, files = _detector(expert), whole_of(dataset)
        if isinstance(files, CocoDataset):
            files.check_images()
        if len(dataset):
            names = self.label_names(dataset)
            used = {int(label) for target in base_of(dataset).targets for label in np.unique(target.labels)}
            detector.remap_to(names, may_lack=[name for i, name in enumerate(names) if i not in used])

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

    def scores_in_data(self, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]) -> np.ndarray | None:
        """What each image's boxes do to the AP: :func:`orxe_plugins.detection.coco.contribution.contributions`."""
        if not set(predictions) >= _COLUMNS:
            return None
        return contributions(recorded_matches(predictions, targets))

    def metric_of_routing(
        self, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]
    ) -> Callable[[np.ndarray], float] | None:
        return RunningAP(evaluator(predictions, targets)) if set(predictions) >= _COLUMNS else None

    def routed_metric(
        self, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        return evaluator(predictions, targets).of_draw


def _detector(expert: Expert) -> DetectorExpert:
    if not isinstance(expert, DetectorExpert):
        raise OrxeError(f"expert {expert.name!r} is a {type(expert).__name__}: detection needs detectors")
    return expert


def _some(names: Sequence[str]) -> str:
    return some(map(repr, names), most=5)


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
    needed = _COLUMNS & set(predictions)
    if len(needed) < len(_COLUMNS):
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
