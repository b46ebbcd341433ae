"""Features: logits that outliers do not bend, on scales that can be compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orxe_plugins.search.expected.features import Features, logits

CONFIDENCES = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.floats(0, 1, width=32))


@given(CONFIDENCES)
def test_features_are_finite_and_of_a_bounded_spread(confidence: np.ndarray) -> None:
    found = Features.of(confidence)(confidence.astype(np.float64))
    assert found.shape == (confidence.shape[1], 1 + len(confidence))
    assert np.isfinite(found).all()
    assert (found[:, 0] == 1).all()
    assert found[:, 1:].mean(axis=0) == pytest.approx(np.zeros(len(confidence)), abs=1e-6)
    spread = found[:, 1:].std(axis=0)
    assert ((spread == 0) | ((spread > 0.999) & (spread < 2.001))).all()


def test_logits_of_the_ends_are_finite_and_a_missing_confidence_is_0() -> None:
    found = logits(np.array([0.0, 0.25, 0.5, 1.0, np.nan]))
    assert found == pytest.approx([-16, -np.log(3), 0, 16, -16])


def test_calibrated_confidences_keep_their_scale() -> None:
    x = np.random.default_rng(0).normal(0.5, 1.5, (1, 5000))
    assert Features.of(1 / (1 + np.exp(-x))).scale == pytest.approx([1.0])


@pytest.mark.parametrize(("slope", "spread"), [(0.05, 1.0), (4.0, 2.0)])
def test_other_scales_are_stretched_or_shrunk(slope: float, spread: float) -> None:
    x = np.random.default_rng(0).normal(0.5, 1.5, (1, 5000))
    confidence = 1 / (1 + np.exp(-slope * x))
    assert Features.of(confidence)(confidence)[:, 1].std() == pytest.approx(spread)


def test_confidences_of_0_are_pulled_in() -> None:
    x = np.random.default_rng(0).normal(0.5, 1.0, (1, 1000))
    confidence = 1 / (1 + np.exp(-x))
    confidence[0, :80] = 0
    found = Features.of(confidence)(confidence)[:, 1]
    assert found.min() > -5
    assert found[:80] == pytest.approx(np.full(80, found.min()))
