"""Features of the regression: the logits of all experts' confidences, on scales that can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: logits of confidences are kept within +-: a float32 confidence parts no more next to 1
_FARTHEST = 16.0
#: logits further from the median than so many median absolute deviations are pulled in (2.5 standard deviations of a
#: normal distribution): confidences of 0, where there was nothing to answer, would bend the whole line
_WIDEST = 2.5 * 1.4826
#: standard deviations outside of this are stretched and shrunk to its ends: the strength of the ridge suits the logits
#: of probabilities, and some confidences are on another scale
_LEAST_SPREAD, _GREATEST_SPREAD = 1.0, 2.0


@dataclass(frozen=True, eq=False)
class Features:
    """How confidences become features; learnt from the samples that the regression is fitted on.

    Attributes:
        low, high: what the logit of each expert's confidence is kept within, float64 (N,).
        centre, scale: what is taken from it then, and what it is multiplied by, float64 (N,).
    """

    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, confidence: np.ndarray) -> Features:
        """Learn from confidences (N, M), M at least 1."""
        x = logits(confidence.astype(np.float64))
        middle = np.median(x, axis=1)
        reach = _WIDEST * np.median(np.abs(x - middle[:, None]), axis=1)
        reach[reach == 0] = np.inf  # most confidences are equal: the others are all that can be learnt from
        low, high = middle - reach, middle + reach
        x = np.clip(x, low[:, None], high[:, None])
        spread = x.std(axis=1)
        wanted = np.clip(spread, _LEAST_SPREAD, _GREATEST_SPREAD)
        varies = spread > 1e-6  # else nothing but rounding would be stretched
        return cls(low, high, x.mean(axis=1), np.divide(wanted, spread, out=np.zeros_like(spread), where=varies))

    def __call__(self, confidence: np.ndarray) -> np.ndarray:
        """Confidences (N, M) as features (M, 1 + N) in their precision; the first column is 1."""
        kind = confidence.dtype
        low, high, centre, scale = (a.astype(kind)[:, None] for a in (self.low, self.high, self.centre, self.scale))
        features = np.ones((confidence.shape[1], 1 + len(confidence)), dtype=kind)
        features[:, 1:] = ((np.clip(logits(confidence), low, high) - centre) * scale).T
        return features


def logits(confidence: np.ndarray) -> np.ndarray:
    """log(c / (1 - c)), kept finite; NaN counts as 0."""
    c = np.nan_to_num(confidence, nan=0.0)
    with np.errstate(divide="ignore"):
        x: np.ndarray = np.log(c) - np.log1p(-c)
    return np.clip(x, -_FARTHEST, _FARTHEST)
