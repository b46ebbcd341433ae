"""ExpectedScores: a regression of each expert's score on the confidences of all experts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.features import Features
from orxe_plugins.search.expected.ridge import dispersion, logistic, logistic_ridge

#: strength of the ridge; scikit-learn's C is one over it
STRENGTH = 10.0
#: more samples than these tell the regression nothing that the search would notice
MAX_SAMPLES = 32_768
_CHUNK = 65_536
_CENTRING_STEPS = 2


@dataclass(frozen=True, eq=False)
class ExpectedScores:
    """What N experts are expected to score on a sample, given their confidences on it.

    Each expert's scores are mapped to [0, 1] by their range and regressed on the logits of all confidences by a
    logistic ridge. The mean of the expected scores is that of the recorded ones, as the intercept is free. An
    expert whose scores are all equal is expected to score just that.

    Attributes:
        features: how confidences become features.
        weights: float64 (N, 1 + N), the intercept first; zeros where all scores are equal.
        inverse: inverse of each information matrix, float64 (N, 1 + N, 1 + N).
        low, span: least score of each expert, and greatest one less the least, float64 (N,).
        fitted_on: positions of the samples that the regression was fitted on, int64, rising.
        strength: of the ridge.
    """

    features: Features
    weights: np.ndarray
    inverse: np.ndarray
    low: np.ndarray
    span: np.ndarray
    fitted_on: np.ndarray
    strength: float

    @classmethod
    def fit(
        cls, records: Records, *, strength: float = STRENGTH, max_samples: int = MAX_SAMPLES, seed: int = 0
    ) -> ExpectedScores:
        """Fit on records with scores.

        Args:
            records: N experts, at least one sample.
            strength: of the ridge, above 0.
            max_samples: fit on at most so many samples, drawn at random.
            seed: of that draw.

        Raises:
            OrxeError: there is no sample, or an argument is out of range.
        """
        if not (np.isfinite(strength) and strength > 0):
            raise OrxeError(f"strength is {strength!r}: expected a number above 0")
        if max_samples < 1:
            raise OrxeError(f"max_samples is {max_samples!r}: expected at least 1")
        if not len(records):
            raise OrxeError("the records hold no sample: there is nothing to learn expected scores from")
        part = fitting_samples(len(records), max_samples, seed)
        confidence = records.confidence[:, part]
        features = Features.of(confidence)
        x = features(confidence.astype(np.float64))
        n, k = len(confidence), x.shape[1]
        low = records.score.min(axis=1).astype(np.float64)
        span = records.score.max(axis=1) - low
        weights, inverse = np.zeros((n, k)), np.zeros((n, k, k))
        for i in np.flatnonzero(span > 0):
            target = (records.score[i, part] - low[i]) / span[i]
            if target.min() < target.max():
                weights[i], inverse[i] = _fit_one(x, target, strength)
            else:  # the draw missed the few samples that differ
                share = float((records.mean_score[i] - low[i]) / span[i])
                weights[i, 0] = np.log(share / (1 - share))
        model = cls(features, weights, inverse, low, span, part, strength)
        return model if len(part) == len(records) else replace(model, weights=model._centred(records))

    def __call__(self, confidence: np.ndarray) -> np.ndarray:
        """Expected scores float32 (N, M) for confidences (N, M), also of samples that were not fitted on.

        Raises:
            OrxeError: there are confidences of another number of experts.
        """
        if confidence.shape[0] != len(self.weights):
            raise OrxeError(f"confidences of {confidence.shape[0]} experts: expected {len(self.weights)}")
        low, span = (a.astype(np.float32)[:, None] for a in (self.low, self.span))
        expected = np.empty(confidence.shape, dtype=np.float32)
        for part, chance in self._chances(confidence, self.weights):
            expected[:, part] = low + span * chance
        return expected

    def _chances(self, confidence: np.ndarray, weights: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Expected scores mapped to [0, 1], float32 (N, m), of some samples after the other."""
        single = weights.astype(np.float32)
        for start in range(0, confidence.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            yield part, logistic(single @ self.features(confidence[:, part].astype(np.float32)).T)

    def _centred(self, records: Records) -> np.ndarray:
        """The weights with intercepts that make the means those of all samples, not of those fitted on alone."""
        weights = self.weights.copy()
        varied = self.span > 0
        wanted = (records.mean_score[varied] - self.low[varied]) / self.span[varied]
        for _ in range(_CENTRING_STEPS):
            mean, slope = np.zeros((2, len(weights)))
            for _, chance in self._chances(records.confidence, weights):
                mean += chance.sum(axis=1, dtype=np.float64)
                slope += (chance * (1 - chance)).sum(axis=1, dtype=np.float64)
            weights[varied, 0] += (wanted * len(records) - mean[varied]) / np.maximum(slope[varied], 1e-9)
        return weights


def fitting_samples(n_samples: int, max_samples: int, seed: int) -> np.ndarray:
    """Positions of the samples that a regression is fitted on, rising: all, or a random draw of so many."""
    if n_samples <= max_samples:
        return np.arange(n_samples)
    return np.sort(np.random.default_rng(seed).choice(n_samples, max_samples, replace=False))


def _fit_one(features: np.ndarray, target: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and inverse information of one expert's scores, mapped to [0, 1]."""
    penalty = np.full(features.shape[1], strength)
    penalty[0] = 0
    fit = logistic_ridge(features, target, penalty)
    if not np.isin(target, (0, 1)).all():
        fit = logistic_ridge(features, target, penalty * dispersion(features, target, fit))
    return fit.weights, fit.inverse
