"""Resamples, and intervals out of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.util.bootstrap import draw_counts, draw_positions, percentile_interval


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_every_resample_is_as_large_as_the_data(n_samples: int, n_resamples: int, seed: int) -> None:
    drawn = list(draw_positions(n_samples, n_resamples, seed))
    assert len(drawn) == n_resamples
    for positions in drawn:
        assert positions.shape == (n_samples,) and 0 <= positions.min() <= positions.max() < n_samples
    counts = draw_counts(n_samples, n_resamples, seed)
    assert counts.shape == (n_resamples, n_samples) and counts.sum(axis=1).tolist() == [n_samples] * n_resamples


def test_one_seed_gives_one_set_of_resamples() -> None:
    first, again, other = (np.stack(list(draw_positions(50, 3, seed))) for seed in (7, 7, 8))
    assert (first == again).all() and (first != other).any()
    assert (draw_counts(50, 3, 7) == draw_counts(50, 3, 7)).all()


def test_positions_and_counts_spread_alike() -> None:
    values = np.random.default_rng(0).normal(size=200)
    by_positions = np.array([values[drawn].mean() for drawn in draw_positions(200, 4000)])
    by_counts = draw_counts(200, 4000) @ values / 200
    assert by_positions.std() == pytest.approx(by_counts.std(), rel=0.06)
    assert by_positions.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.06)


def test_an_interval_leaves_the_tails_and_missing_values_out() -> None:
    draws = np.append(np.arange(1001.0), np.nan)
    assert percentile_interval(draws, 0.9) == pytest.approx((50, 950))
    assert percentile_interval(draws) == pytest.approx((25, 975))


def test_a_figure_without_a_value_has_no_interval_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(percentile_interval(np.full(5, np.nan))).all()
