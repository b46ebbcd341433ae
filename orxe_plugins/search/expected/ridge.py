"""Logistic ridge regression by Newton's method, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: the gradient per sample at which Newton's method stops
_AT_REST = 1e-10
_STEPS = 100
#: dispersion is not taken to be smaller than this
_LEAST_DISPERSION = 1e-6


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A fitted regression of one target on K features.

    Attributes:
        weights: float64 (K,).
        inverse: inverse of the penalised information matrix at ``weights``, float64 (K, K).
        mean: fitted means of the target, float64 (M,).
    """

    weights: np.ndarray
    inverse: np.ndarray
    mean: np.ndarray


def logistic_ridge(features: np.ndarray, target: np.ndarray, penalty: np.ndarray) -> RidgeFit:
    """Minimise the log-loss summed over samples plus ``penalty @ weights ** 2 / 2``.

    This is scikit-learn's ``LogisticRegression(C=1 / penalty)`` where the penalty of the intercept's column is 0.
    Targets between 0 and 1 that are not whole are allowed (a quasi-likelihood).

    Args:
        features: float64 (M, K); a column of ones is the intercept.
        target: float64 (M,), in [0, 1], not all 0 and not all 1.
        penalty: float64 (K,), at least 0; above 0 for all columns but the intercept's, so that a finite
            solution exists.
    """
    weights = np.zeros(features.shape[1])
    loss = _loss(features, target, penalty, weights)
    for _ in range(_STEPS):
        mean = logistic(features @ weights)
        gradient = features.T @ (mean - target) + penalty * weights
        if np.abs(gradient).max() <= _AT_REST * len(target):
            break
        step = np.linalg.solve(_information(features, mean, penalty), gradient)
        # Halve the step until it helps: far from the solution, Newton's step may be too long.
        for halving in range(40):
            tried = weights - step * 0.5**halving
            tried_loss = _loss(features, target, penalty, tried)
            if tried_loss <= loss:
                break
        else:
            break  # nothing but rounding is left to gain
        weights, loss = tried, tried_loss
    mean = logistic(features @ weights)
    return RidgeFit(weights, np.linalg.inv(_information(features, mean, penalty)), mean)


def dispersion(features: np.ndarray, target: np.ndarray, fit: RidgeFit) -> float:
    """Variance of the target about its fitted means, over that of a 0/1 target with the same means; at most 1.

    A target in [0, 1] that varies less than a coin says more of its mean, so that it needs less of a penalty.
    """
    spread = fit.mean * (1 - fit.mean)
    used = float(((features @ fit.inverse) * features).sum(axis=1) @ spread)  # effective number of weights
    ratio = float(((target - fit.mean) ** 2).sum() / spread.sum())
    return float(np.clip(ratio * len(target) / max(1.0, len(target) - used), _LEAST_DISPERSION, 1.0))


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), in the precision of ``x``; it does not overflow."""
    half: np.ndarray = np.tanh(x * 0.5) * 0.5 + 0.5
    return half


def _loss(features: np.ndarray, target: np.ndarray, penalty: np.ndarray, weights: np.ndarray) -> float:
    x = features @ weights
    return float((np.logaddexp(0, x) - target * x).sum() + penalty @ weights**2 / 2)


def _information(features: np.ndarray, mean: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    matrix: np.ndarray = features.T @ (features * (mean * (1 - mean))[:, None]) + np.diag(penalty)
    return matrix
