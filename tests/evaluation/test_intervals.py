"""Intervals: what they cover, that they are paired, and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from orxe_plugins import OrxeError
from orxe_plugins.evaluation import intervals as intervals_module
from orxe_plugins.evaluation.intervals import bootstrap, clopper_pearson


def test_the_spread_is_that_of_a_mean() -> None:
    series = np.random.default_rng(0).normal(3, 2, (1, 400))
    found = bootstrap(series, n=4000)
    assert found.mean[0] == pytest.approx(series.mean())
    assert found.draws[:, 0].std() == pytest.approx(series.std() / 20, rel=0.06)
    assert found.low[0] < series.mean() < found.high[0]
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.96 * series.std() / 20, rel=0.08)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    series = (rng.random((300, 200)) < 0.3).astype(float)  # 300 experiments of 200 samples
    hits = 0
    for one in series:
        found = bootstrap(one[None], n=400, level=0.9, seed=1)
        hits += found.low[0] <= 0.3 <= found.high[0]
    assert 0.84 <= hits / 300 <= 0.95


def test_differences_are_paired() -> None:
    first = np.random.default_rng(2).normal(0, 10, 500)
    found = bootstrap([first, first + 0.25])
    assert found.difference(1, 0) == pytest.approx((0.25, 0.25, 0.25))


def test_groups_of_samples_stand_for_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    series = np.random.default_rng(3).normal(5, 1, (2, 5000))
    single = bootstrap(series, n=1500)
    monkeypatch.setattr(intervals_module, "MAX_UNITS", 500)
    grouped = bootstrap(series, n=1500)
    assert grouped.mean == pytest.approx(single.mean)
    assert grouped.draws.std(axis=0) == pytest.approx(single.draws.std(axis=0), rel=0.15)


def test_a_seed_gives_the_same_draws_and_another_one_others() -> None:
    series = np.random.default_rng(4).random((1, 50))
    assert (bootstrap(series, seed=7).draws == bootstrap(list(series), seed=7).draws).all()
    assert (bootstrap(series, seed=7).draws != bootstrap(series, seed=8).draws).any()


def test_one_sample_has_no_spread() -> None:
    found = bootstrap(np.array([[0.5]]), n=10)
    assert (found.low[0], found.high[0]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("series", "more", "message"),
    [
        (np.ones((1, 3)), {"level": 1.0}, "level is 1.0"),
        (np.ones((1, 3)), {"n": 0}, "n is 0"),
        ([], {}, "no series"),
        (np.ones((1, 0)), {}, "at least one sample"),
        ([np.ones(3), np.ones(4)], {}, r"shape \(4,\)"),
    ],
)
def test_what_makes_no_sense_is_an_error(series: list[np.ndarray], more: dict[str, float], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        bootstrap(series, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1), (480, 500)])
def test_clopper_pearson_ends_where_the_tails_are_as_small_as_they_may_be(successes: int, trials: int) -> None:
    low, high = clopper_pearson(successes, trials, 0.9)
    assert 0 <= low <= successes / trials <= high <= 1
    if successes:
        assert binom.sf(successes - 1, trials, low) == pytest.approx(0.05)
    if successes < trials:
        assert binom.cdf(successes, trials, high) == pytest.approx(0.05)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, 0)])
def test_clopper_pearson_needs_a_share(successes: int, trials: int) -> None:
    with pytest.raises(OrxeError, match="expected 0 <= successes <= trials"):
        clopper_pearson(successes, trials)
