"""The ridge regression beside scikit-learn's, and at its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.search.expected.ridge import dispersion, logistic, logistic_ridge


def made(seed: int, m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Features with an intercept's column, and a 0/1 target with both values."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(m), rng.normal(0, 2, (m, k))])
    slope = x[:, 1] if k else np.zeros(m)
    y = (rng.random(m) < logistic(slope + 0.5)).astype(float)
    y[:2] = 0, 1
    return x, y


@pytest.mark.parametrize("c", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(("m", "k"), [(8, 3), (50, 7), (400, 7)])
def test_weights_are_those_of_scikit_learn(m: int, k: int, c: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = made(m + k, m, k)
    fit = logistic_ridge(x, y, np.array([0.0, *[1 / c] * k]))
    oracle = linear_model.LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x[:, 1:], y)
    assert fit.weights[0] == pytest.approx(oracle.intercept_[0], abs=1e-5)
    assert fit.weights[1:] == pytest.approx(oracle.coef_[0], abs=1e-5)
    assert fit.mean == pytest.approx(oracle.predict_proba(x[:, 1:])[:, 1], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(0, 5), st.floats(1e-3, 1e3))
def test_the_gradient_vanishes(seed: int, m: int, k: int, strength: float) -> None:
    x, y = made(seed, m, k)
    penalty = np.array([0.0, *[strength] * k])
    fit = logistic_ridge(x, y, penalty)
    assert x.T @ (fit.mean - y) + penalty * fit.weights == pytest.approx(np.zeros(k + 1), abs=1e-6 * m)
    assert fit.mean.mean() == pytest.approx(y.mean())


def test_classes_that_a_line_separates_keep_the_weights_finite() -> None:
    x = np.column_stack([np.ones(40), np.linspace(-1000, 1000, 40)])
    fit = logistic_ridge(x, (x[:, 1] > 0).astype(float), np.array([0.0, 10.0]))
    assert np.isfinite(fit.weights).all()
    assert fit.weights[1] > 0


def test_a_target_that_varies_less_than_a_coin_has_a_small_dispersion() -> None:
    rng = np.random.default_rng(0)
    x, y = made(0, 500, 2)
    penalty = np.array([0.0, 1e-6, 1e-6])
    assert dispersion(x, y, logistic_ridge(x, y, penalty)) == pytest.approx(1, abs=0.15)
    chance = np.clip(logistic(x[:, 1]), 0.01, 0.99)
    shares = rng.beta(20 * chance, 20 * (1 - chance))  # variance of a coin over 21
    assert dispersion(x, shares, logistic_ridge(x, shares, penalty)) == pytest.approx(1 / 21, rel=0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logistic_function_does_not_overflow(dtype: type) -> None:
    with np.errstate(over="raise", invalid="raise"):
        found = logistic(np.array([-1e4, -2, 0, 2, 1e4], dtype=dtype))
    assert found.dtype == dtype
    assert found == pytest.approx([0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1])
