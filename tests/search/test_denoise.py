"""Denoised scores: what holds for all records, and that a search on few samples gets better by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, PolicyTable, Records, evaluate, fit_policies, replay
from orxe_plugins.evaluation import IntervalSettings
from orxe_plugins.search.denoise import denoised
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.pareto import with_choices

Make = Callable[..., Records]
SEEDS = st.integers(0, 2**32 - 1)
EXPERTS, SAMPLES = st.integers(1, 5), st.integers(1, 60)


@st.composite
def records_of_all_kinds(draw: st.DrawFn, make: Make) -> Records:
    """Scores in {0, 1}, in [0, 1] or in any range, with ties and NaN among the confidences."""
    rng = np.random.default_rng(draw(SEEDS))
    made = make(rng, draw(EXPERTS), draw(SAMPLES), real=draw(st.booleans()))
    return made if draw(st.booleans()) else replace(made, score=np.clip(made.score.astype(float), 0, 1))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_expected_scores_are_finite_within_the_range_of_the_recorded_ones_and_of_their_mean(
    random_records: Make, data: st.DataObject
) -> None:
    made = data.draw(records_of_all_kinds(random_records))
    before = made.score.copy()
    found = denoised(made)
    low, high = made.score.min(axis=1, keepdims=True), made.score.max(axis=1, keepdims=True)
    slack = 1e-5 * max(1.0, float(np.abs(made.score).max()))
    assert found.score.dtype == np.float32
    assert found.score.shape == made.score.shape
    assert np.isfinite(found.score).all()
    assert (found.score >= low - slack).all()
    assert (found.score <= high + slack).all()
    assert found.mean_score == pytest.approx(made.mean_score, abs=10 * slack)
    assert (made.score == before).all()
    assert found.confidence is made.confidence
    assert found.details["scores"]["kind"] == "denoised"
    assert found.details["scores"]["samples"] == len(made)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_order_of_samples_and_the_scale_of_scores_do_not_matter(random_records: Make, data: st.DataObject) -> None:
    made = data.draw(records_of_all_kinds(random_records))
    expected = denoised(made).score
    size = max(1.0, float(np.abs(made.score).max()))
    order = np.random.default_rng(data.draw(SEEDS)).permutation(len(made))
    assert denoised(made.samples(order)).score == pytest.approx(expected[:, order], abs=1e-4 * size)
    scaled = replace(made, score=3 * made.score.astype(float) - 7)
    assert denoised(scaled).score == pytest.approx(3 * expected - 7, abs=1e-3 * size)


@pytest.mark.parametrize("score", [0, 1, 0.3, -4.5])
def test_scores_that_are_all_equal_stay_as_they_are(score: float) -> None:
    rng = np.random.default_rng(0)
    other = (rng.random(20) < 0.5).astype(float)
    made = Records.from_arrays(["a", "b"], [1, 2], rng.random((2, 20)), [[score] * 20, other])
    assert denoised(made).score[0] == pytest.approx(np.full(20, score))


def test_confidences_that_say_nothing_leave_the_mean() -> None:
    score = (np.arange(30) % 3 == 0).astype(np.uint8)
    made = Records.from_arrays(["a", "b"], [1, 2], [[0.7] * 30, [0.0] * 30], [score, 1 - score])
    expected = denoised(made).score
    assert expected[0] == pytest.approx(np.full(30, 1 / 3))
    assert expected[1] == pytest.approx(np.full(30, 2 / 3))


def test_a_confidence_that_is_not_a_number_counts_as_0() -> None:
    rng = np.random.default_rng(1)
    model = ExpectedScores.fit(population(60, rng))
    confidence = rng.random((3, 5)).astype(np.float32)
    confidence[1, 2] = np.nan
    assert (model(confidence) == model(np.nan_to_num(confidence, nan=0.0))).all()


def test_a_sub_sample_fits_the_regression_and_the_means_stay_those_of_all_samples() -> None:
    made = population(4000, np.random.default_rng(2))
    found = denoised(made, max_samples=300)
    assert found.details["scores"]["samples"] == 300
    assert found.mean_score == pytest.approx(made.mean_score, abs=1e-3)
    assert np.abs(found.score - denoised(made).score).mean() < 0.05
    assert (found.score == denoised(made, max_samples=300).score).all()
    assert not (found.score == denoised(made, max_samples=300, seed=1).score).all()


def test_samples_without_scores_get_expected_ones() -> None:
    everyone = population(3000, np.random.default_rng(3))
    model = ExpectedScores.fit(everyone.samples(np.arange(200)))
    new = everyone.samples(np.arange(200, 3000))
    expected, recorded = model(new.confidence).astype(float), new.score.astype(float)
    assert ((expected - recorded) ** 2).mean() < 0.8 * recorded.var()
    with pytest.raises(OrxeError, match="confidences of 2 experts: expected 3"):
        model(new.confidence[:2])


def test_a_search_on_few_samples_finds_better_policies_for_new_ones() -> None:
    everyone = population(20_000, np.random.default_rng(4))
    preferences = np.linspace(0.5, 1, 6)
    gain = []
    for seed in range(8):
        part = everyone.samples(np.random.default_rng(seed).permutation(len(everyone))[:60])
        raw, expected = (
            objective(fit_policies(part, preferences, scores=scores), everyone) for scores in ("raw", "denoised")
        )
        gain.append(raw - expected)
    assert np.mean(gain) > 2 * np.std(gain) / len(gain) ** 0.5


def test_a_table_says_what_it_was_searched_on_and_its_rows_are_replays_of_that() -> None:
    made = population(150, np.random.default_rng(5))
    for scores, searched in (("raw", made), ("denoised", denoised(made)), ("auto", denoised(made))):
        table = with_choices(fit_policies(made, [0.5, 0.8, 0.95], scores=scores), made)
        assert table.details["scores"]["kind"] == ("raw" if scores == "raw" else "denoised")
        assert table.reference_score == pytest.approx(made.mean_score[-1])
        for row in (*table.offered, *table.compact):
            outcome = replay(searched, row)
            assert row.cost == pytest.approx(outcome.cost)
            assert row.score == pytest.approx(outcome.score, abs=1e-6)
            assert (row.drop_error > 0) == (row.policy.reachable != (2,))
            assert row.score_error > 0


def test_many_samples_are_searched_on_recorded_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orxe_plugins.search.scores.MAX_SAMPLES", 100)
    made = population(101, np.random.default_rng(6))
    assert fit_policies(made, [0.5]).details["scores"] == {"kind": "raw"}
    assert fit_policies(made.samples(slice(0, 100)), [0.5]).details["scores"]["kind"] == "denoised"


def test_one_regression_serves_a_search_its_choices_and_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = ExpectedScores.fit

    def counted(records: Records, **options: Any) -> ExpectedScores:
        fits.append(len(records))
        return fit(records, **options)

    monkeypatch.setattr(ExpectedScores, "fit", counted)
    records = population(60, np.random.default_rng(5))
    table = with_choices(fit_policies(records, [0.3, 0.8]), records)
    evaluate(
        table, population(40, np.random.default_rng(6)), fitted_on=records, intervals=IntervalSettings(resamples=20)
    )
    assert fits == [60]
    records.score[0] = 1 - records.score[0]  # arrays that were changed in place are other ones
    fit_policies(records, [0.3])
    assert fits == [60, 60]


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(OrxeError, match="unknown kind of scores 'denoise'"):
        fit_policies(population(10, np.random.default_rng(0)), [0.5], scores="denoise")  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0, -1, float("nan"), float("inf")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(OrxeError, match=r"strength is .*: expected a number above 0"):
        denoised(population(10, np.random.default_rng(0)), strength=strength)


def test_no_samples_are_refused() -> None:
    made = population(10, np.random.default_rng(0))
    with pytest.raises(OrxeError, match="the records hold no sample"):
        denoised(made.samples(np.arange(0)))
    with pytest.raises(OrxeError, match="max_samples is 0: expected at least 1"):
        denoised(made, max_samples=0)


def objective(table: PolicyTable, everyone: Records) -> float:
    """Mean objective of a table's policies on all samples."""
    outcomes = [(row.preference, replay(everyone, row)) for row in table]
    reference = float(everyone.standalone_cost[-1])
    return float(np.mean([(1 - p) * o.cost / reference + p * (1 - o.score) for p, o in outcomes]))


def population(m: int, rng: np.random.Generator) -> Records:
    """Three experts of rising quality whose confidence tells how likely they are right."""
    hardness = rng.random(m)
    chance = np.clip(np.array([1.1, 1.25, 1.45])[:, None] - hardness, 0.05, 0.98)
    score = (rng.random((3, m)) < chance).astype(np.uint8)
    confidence = np.clip(chance + rng.normal(0, 0.1, (3, m)), 0, 1)
    return Records.from_arrays(["s", "m", "l"], [1, 3, 10], confidence, score)
