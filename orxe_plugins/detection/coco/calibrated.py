"""Score calibration of several experts on their matches, and how it changes the AP of a routing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orxe_plugins.detection.calibration import Calibration, fit_calibration
from orxe_plugins.detection.coco.average_precision import RoutedAP
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.bootstrap import percentile_interval


def fit_calibrations(matches: Sequence[Matches], kind: str = "isotonic") -> tuple[Calibration, ...]:
    """A calibration for each of N experts: from scores to shares of boxes that are right at IoU 0.5.

    Boxes that COCO ignores, such as those in crowds, are left out.

    Args:
        matches: of each expert, on images that no figure is reported on.
        kind: "isotonic" or "platt".

    Raises:
        OrxeError: an expert has no right or no wrong boxes there.
    """
    fitted = []
    for expert in matches:
        counts = (expert.ignored[:, 0] & 1) == 0
        fitted.append(fit_calibration(expert.score[counts], (expert.true_positive[counts, 0] & 1) == 1, kind))
    return tuple(fitted)


def calibrated(matches: Sequence[Matches], calibrations: Sequence[Calibration | None]) -> list[Matches]:
    """The same matches with each expert's scores calibrated; None leaves an expert's scores as they are.

    A calibration rises, so that every box is matched as before: only the ranking of different experts'
    boxes changes.
    """
    if len(matches) != len(calibrations):
        raise OrxeError(f"{len(calibrations)} calibrations for {len(matches)} experts: expected one for each, or None")
    pairs = zip(matches, calibrations, strict=True)
    return [expert if fitted is None else expert.with_scores(fitted(expert.score)) for expert, fitted in pairs]


@dataclass(frozen=True)
class CalibrationEffect:
    """AP of one routing with the experts' own scores and with calibrated ones.

    Attributes:
        raw, calibrated: AP (mAP50-95) on the reported images.
        interval: 95 % interval of ``calibrated - raw``, paired bootstrap over the images.
        n_fit, n_reported: how many images the calibrations were fitted on, and AP is of.
    """

    raw: float
    calibrated: float
    interval: tuple[float, float]
    n_fit: int
    n_reported: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"AP {100 * self.raw:.2f} with raw and {100 * self.calibrated:.2f} with calibrated scores, a difference of "
            f"{100 * (self.calibrated - self.raw):+.2f} (95 % interval {100 * low:+.2f} to {100 * high:+.2f}) on "
            f"{self.n_reported} images; fitted on {self.n_fit} others"
        )


def calibration_effect(
    matches: Sequence[Matches],
    expert_of_image: Any,
    fit_images: Any,
    kind: str = "isotonic",
    n_resamples: int = 500,
    seed: int = 0,
) -> CalibrationEffect:
    """How calibration changes a routing: fitted on some of the images, reported on the others.

    Args:
        matches: one for each of N experts, on the same M images.
        expert_of_image: which expert answers each image, integers of shape (M,).
        fit_images: which images the calibrations are fitted on, bool of shape (M,).
        kind: "isotonic" or "platt".
        n_resamples, seed: of the bootstrap.
    """
    fit, routing = np.asarray(fit_images), np.asarray(expert_of_image)
    if fit.shape != routing.shape or fit.dtype != bool or not 0 < fit.sum() < len(fit):
        raise OrxeError(
            f"fit_images has shape {fit.shape}: expected a bool for each of {len(routing)} images, both values"
        )
    fitted = fit_calibrations([expert.select(fit) for expert in matches], kind)
    reported = [expert.select(~fit) for expert in matches]
    before, after = RoutedAP(reported), RoutedAP(calibrated(reported, fitted))
    rest = routing[~fit]
    # One seed draws the same images for both.
    gain = after.resampled(rest, n_resamples, seed)[0] - before.resampled(rest, n_resamples, seed)[0]
    return CalibrationEffect(before(rest).ap, after(rest).ap, percentile_interval(gain), int(fit.sum()), len(rest))
