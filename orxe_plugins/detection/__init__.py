"""Detections, their labels, score calibration, and COCO average precision of any routing."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.detection.calibration import Calibration, calibration_from_dict, fit_calibration
    from orxe_plugins.detection.coco.average_precision import AveragePrecision, RoutedAP, routed_ap
    from orxe_plugins.detection.coco.boxes import BoxTable
    from orxe_plugins.detection.coco.calibrated import (
        CalibrationEffect,
        calibrated,
        calibration_effect,
        fit_calibrations,
    )
    from orxe_plugins.detection.coco.dataset import CocoDataset
    from orxe_plugins.detection.coco.ground_truth import GroundTruth
    from orxe_plugins.detection.coco.matching import Matches, match_boxes, match_detections
    from orxe_plugins.detection.detections import Detections
    from orxe_plugins.detection.labels import match_labels, normalise_label
    from orxe_plugins.detection.yolo.dataset import YoloFiles
else:
    _PLACES = {
        "AveragePrecision": "orxe_plugins.detection.coco.average_precision",
        "BoxTable": "orxe_plugins.detection.coco.boxes",
        "Calibration": "orxe_plugins.detection.calibration",
        "CalibrationEffect": "orxe_plugins.detection.coco.calibrated",
        "CocoDataset": "orxe_plugins.detection.coco.dataset",
        "Detections": "orxe_plugins.detection.detections",
        "GroundTruth": "orxe_plugins.detection.coco.ground_truth",
        "Matches": "orxe_plugins.detection.coco.matching",
        "RoutedAP": "orxe_plugins.detection.coco.average_precision",
        "YoloFiles": "orxe_plugins.detection.yolo.dataset",
        "calibrated": "orxe_plugins.detection.coco.calibrated",
        "calibration_effect": "orxe_plugins.detection.coco.calibrated",
        "calibration_from_dict": "orxe_plugins.detection.calibration",
        "fit_calibration": "orxe_plugins.detection.calibration",
        "fit_calibrations": "orxe_plugins.detection.coco.calibrated",
        "match_boxes": "orxe_plugins.detection.coco.matching",
        "match_detections": "orxe_plugins.detection.coco.matching",
        "match_labels": "orxe_plugins.detection.labels",
        "normalise_label": "orxe_plugins.detection.labels",
        "routed_ap": "orxe_plugins.detection.coco.average_precision",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "AveragePrecision",
    "BoxTable",
    "Calibration",
    "CalibrationEffect",
    "CocoDataset",
    "Detections",
    "GroundTruth",
    "Matches",
    "RoutedAP",
    "YoloFiles",
    "calibrated",
    "calibration_effect",
    "calibration_from_dict",
    "fit_calibration",
    "fit_calibrations",
    "match_boxes",
    "match_detections",
    "match_labels",
    "normalise_label",
    "routed_ap",
]
