"""A few labels beside many unlabelled samples: intervals hold as often as they say, and are shorter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orxe_plugins import OrxeError, Records, evaluate, fit_policies
from orxe_plugins.evaluation import IntervalSettings, Metric, clopper_pearson, prediction_powered


@pytest.mark.parametrize("wrong", [0.0, 0.3])
@pytest.mark.parametrize("n", [25, 100])
def test_intervals_hold_as_often_as_they_say(n: int, wrong: float) -> None:
    rng = np.random.default_rng(n)
    chance = lambda size: rng.beta(2, 0.7, size)  # noqa: E731
    truth, held, width, plain = 2 / 2.7, 0, 0.0, 0.0
    for _ in range(1000):
        p, other = chance(n), chance(1000)
        score = (rng.random(n) < p).astype(float)
        # A regression that expects too much everywhere is no harm.
        found = prediction_powered(score, np.clip(p + wrong, 0, 1), np.clip(other + wrong, 0, 1), 0.9)
        held += found.low <= truth <= found.high
        width += found.high - found.low
        alone = prediction_powered(score, p, np.zeros(0), 0.9)
        plain += alone.high - alone.low
    assert 0.865 <= held / 1000 <= 0.935  # four standard errors of a share of 0.9
    assert width < 0.97 * plain


def test_what_is_expected_of_nothing_changes_nothing() -> None:
    score = np.array([1.0, 0, 1, 1, 0])
    found = prediction_powered(score, np.full(5, 0.3), np.full(50, 0.3))
    assert found.value == pytest.approx(score.mean())
    with pytest.raises(OrxeError, match="two labelled samples or more"):
        prediction_powered(score[:1], score[:1], score)


@pytest.mark.parametrize("n", [8, 40])
def test_few_samples_that_all_show_the_same_do_not_make_sure(n: int) -> None:
    fit, more = _records(300, 1), _records(2000, 3)
    table = fit_policies(fit, [0.5])
    right = replace(_records(n, 2), score=np.ones((2, n), dtype=np.uint8))
    found = evaluate(table, right, fitted_on=fit, unlabelled=more, intervals=IntervalSettings(resamples=100))
    small, large = (one.result for one in found.experts)
    low, high = clopper_pearson(n, n)
    for result in (small, large):
        assert (result.score.value, result.score.high) == (1, high)
        assert result.score.low == pytest.approx(low)
    assert small.score_difference.value == 0 > small.score_difference.low == pytest.approx(low - 1)
    assert small.score_difference.high == pytest.approx(1 - low)
    assert (large.score_difference.low, large.score_difference.high) == (0, 0)


def _records(m: int, seed: int) -> Records:
    rng = np.random.default_rng(seed)
    hard = rng.beta(0.3, 0.3, m)
    confidence = np.clip(1 - hard * rng.uniform(0.5, 1, (2, m)), 0.01, 0.99)
    score = (rng.random((2, m)) < confidence ** np.array([[1.0], [0.3]])).astype(np.uint8)
    return Records.from_arrays(["small", "large"], [1, 9], confidence, score, [f"{seed}/{i}" for i in range(m)])


def test_a_report_takes_unlabelled_samples() -> None:
    fit, report, more = _records(300, 1), _records(60, 2), _records(3000, 3)
    table = fit_policies(fit, [0.5, 0.9])
    quick = IntervalSettings(resamples=1000)
    plain = evaluate(table, report, fitted_on=fit, intervals=quick)
    powered = evaluate(table, report, fitted_on=fit, intervals=quick, unlabelled=more)
    truth = _records(100_000, 4).mean_score
    for before, after, mean in zip(plain.experts, powered.experts, truth, strict=True):
        assert after.result.score.high - after.result.score.low < before.result.score.high - before.result.score.low
        assert after.result.score.low <= mean <= after.result.score.high
    assert powered.experts[-1].result.score_difference.value == 0
    with pytest.raises(OrxeError, match="fitted_on is not given"):
        evaluate(table, report, unlabelled=more, intervals=quick)
    with pytest.raises(OrxeError, match="mAP is no mean of scores"):
        evaluate(table, report, fitted_on=fit, metric=Metric("mAP", lambda *_: 0.5), unlabelled=more, intervals=quick)
    with pytest.raises(OrxeError, match="record both with the same ones"):
        evaluate(table, report, fitted_on=fit, unlabelled=more.experts(["small"]), intervals=quick)
