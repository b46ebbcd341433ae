"""Score calibration: from a score to the share of boxes with that score that are right.

Scores of detectors of different families are not on one scale. Within one expert that does not matter, since
average precision depends on ranks alone; it matters where boxes of several experts are ranked together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError, shortened, unknown

#: Share of the raw score in a calibrated one: boxes on a flat step keep the expert's own order.
_RAW_SHARE = 1e-3
#: Least number of boxes in a step of an isotonic fit: fewer give no reliable share.
_MIN_BOXES = 10
_EPSILON = 1e-6


class Calibration:
    """A rising function from an expert's scores to shares of right boxes. Saved as JSON values."""

    kind: ClassVar[str]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated scores, float32 in [0, 1], of any shape; they rank as the raw ones do, or tie."""
        values = self._calibrated(np.asarray(scores, dtype=np.float64))
        return np.clip(values, 0.0, 1.0).astype(np.float32)

    def _calibrated(self, scores: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def of_detections(self, detections: Detections) -> Detections:
        """The same boxes with calibrated scores, best first, so that ties keep the order of the raw scores."""
        ordered = detections.best_first()
        scores = torch.from_numpy(self(ordered.scores.cpu().numpy())).to(ordered.scores.device)
        return Detections(ordered.boxes, scores, ordered.labels, ordered.names)

    def to_dict(self) -> dict[str, Any]:
        """Kind and fitted numbers, as JSON values."""
        raise NotImplementedError


@dataclass(frozen=True)
class IsotonicCalibration(Calibration):
    """Straight lines between the centres of an isotonic regression's steps.

    Attributes:
        scores: raw scores, rising.
        values: the share of right boxes at each, not falling.
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]

    kind: ClassVar[str] = "isotonic"

    def __post_init__(self) -> None:
        knots, values = np.array(self.scores, dtype=np.float64), np.array(self.values, dtype=np.float64)
        if not len(knots) or knots.shape != values.shape or not (np.diff(knots) > 0).all():
            raise OrxeError(f"an isotonic calibration has scores {self.scores!r:.100}: expected rising ones, each once")
        if not ((values >= 0) & (values <= 1)).all() or (np.diff(values) < 0).any():
            raise OrxeError(f"an isotonic calibration has values {self.values!r:.100}: expected none to fall in [0, 1]")

    def _calibrated(self, scores: np.ndarray) -> np.ndarray:
        return (1 - _RAW_SHARE) * np.interp(scores, self.scores, self.values) + _RAW_SHARE * scores

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "scores": list(self.scores), "values": list(self.values)}


@dataclass(frozen=True)
class PlattCalibration(Calibration):
    """A logistic function of the raw score's logit (Platt 1999).

    Attributes:
        slope: above 0.
        intercept: any number.
    """

    slope: float
    intercept: float

    kind: ClassVar[str] = "platt"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0 and np.isfinite(self.intercept)):
            raise OrxeError(
                f"a Platt calibration has slope {self.slope!r} and intercept {self.intercept!r}: "
                "expected finite numbers and a slope above 0"
            )

    def _calibrated(self, scores: np.ndarray) -> np.ndarray:
        return expit(self.slope * _logit(scores) + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}


CALIBRATIONS = ("isotonic", "platt")


def fit_calibration(scores: np.ndarray, right: np.ndarray, kind: str = "isotonic") -> Calibration:
    """Fit one expert's calibration.

    Args:
        scores: of D boxes, (D,), in [0, 1].
        right: whether each box found an object, bool of shape (D,).
        kind: "isotonic" or "platt".

    Raises:
        OrxeError: there are no right or no wrong boxes, or higher scores are not better.
    """
    raw, truth = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool)
    if raw.shape != truth.shape or raw.ndim != 1:
        raise OrxeError(f"scores have shape {raw.shape}, right {truth.shape}: expected (D,) both")
    n_right = int(truth.sum())
    if not 0 < n_right < len(truth):
        raise OrxeError(
            f"{n_right} of {len(truth)} boxes are right: a calibration needs right and wrong ones, record more images"
        )
    if kind == "isotonic":
        return _fit_isotonic(raw, truth)
    if kind == "platt":
        return _fit_platt(raw, truth)
    raise unknown("calibration", kind, CALIBRATIONS)


def calibration_from_dict(data: Mapping[str, Any]) -> Calibration:
    """The calibration out of JSON values, the inverse of ``to_dict``."""
    kind = data.get("kind", "")
    try:
        if kind == "isotonic":
            return IsotonicCalibration(_floats(data["scores"]), _floats(data["values"]))
        if kind == "platt":
            return PlattCalibration(_real(data["slope"]), _real(data["intercept"]))
    except OrxeError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise OrxeError(f"calibration {shortened(dict(data))} lacks a key or has a wrong value: {error}") from error
    raise unknown("calibration", str(kind), CALIBRATIONS)


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(_real(value) for value in values)


def _real(value: Any) -> float:
    """A finite number; a text that looks like one is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{shortened(value)} is no finite number")
    return float(value)


def _logit(scores: np.ndarray) -> np.ndarray:
    return logit(np.clip(scores, _EPSILON, 1 - _EPSILON))


def _fit_isotonic(scores: np.ndarray, right: np.ndarray) -> IsotonicCalibration:
    """Isotonic regression; a step's share stands at the mean score of its boxes.

    Lines between the centres rank boxes that a step would tie (centred isotonic regression, Oron and
    Flournoy 2017).
    """
    distinct, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    share = np.bincount(index, weights=right) / counts
    starts = isotonic_regression(share, weights=counts).blocks[:-1]
    starts = _without_small_steps(starts, counts)
    boxes = np.add.reduceat(counts, starts)
    centres = np.add.reduceat(distinct * counts, starts) / boxes
    values = np.add.reduceat(share * counts, starts) / boxes
    return IsotonicCalibration(tuple(centres.tolist()), tuple(np.clip(values, 0.0, 1.0).tolist()))


def _without_small_steps(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Join steps of few boxes with those above them, the last one with the one below."""
    before = np.concatenate([[0], np.cumsum(counts)])  # boxes before each distinct score
    kept = [0]
    for start in starts[1:]:
        if before[start] - before[kept[-1]] >= _MIN_BOXES:
            kept.append(int(start))
    if len(kept) > 1 and before[-1] - before[kept[-1]] < _MIN_BOXES:
        kept.pop()
    return np.array(kept)


def _fit_platt(scores: np.ndarray, right: np.ndarray) -> PlattCalibration:
    x = _logit(scores)
    n_right, n_wrong = right.sum(), (~right).sum()
    # Platt's targets: a fit on few boxes must not be certain.
    target = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * x + parameters[1]
        error = expit(z) - target
        value = np.logaddexp(0, z) - target * z
        return float(value.mean()), np.array([(error * x).mean(), error.mean()])

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    if slope <= 0:
        raise OrxeError(
            "boxes with higher scores are right less often on these records: "
            "check that boxes and ground truth belong together, or record more images"
        )
    return PlattCalibration(float(slope), float(intercept))
