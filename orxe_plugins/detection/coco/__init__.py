"""COCO: data sets in its format, and its average precision of any routing."""

from orxe_plugins.detection.coco.average_precision import AveragePrecision, RoutedAP, routed_ap
from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.calibrated import CalibrationEffect, calibrated, calibration_effect, fit_calibrations
from orxe_plugins.detection.coco.dataset import CocoDataset
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.matching import Matches, match_boxes, match_detections

__all__ = [
    "AveragePrecision",
    "BoxTable",
    "CalibrationEffect",
    "CocoDataset",
    "GroundTruth",
    "Matches",
    "RoutedAP",
    "calibrated",
    "calibration_effect",
    "fit_calibrations",
    "match_boxes",
    "match_detections",
    "routed_ap",
]
