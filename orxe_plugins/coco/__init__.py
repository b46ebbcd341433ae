"""COCO: data sets in its format, and its average precision of any routing."""

from orxe_plugins.coco.average_precision import AveragePrecision, RoutedAP, routed_ap
from orxe_plugins.coco.boxes import BoxTable
from orxe_plugins.coco.calibrated import CalibrationEffect, calibrated, calibration_effect, fit_calibrations
from orxe_plugins.coco.dataset import CocoDataset
from orxe_plugins.coco.ground_truth import GroundTruth
from orxe_plugins.coco.matching import Matches, match_boxes, match_detections

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
