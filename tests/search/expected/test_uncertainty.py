"""Standard errors beside textbook ones, and beside what repeated draws say."""

from __future__ import annotations

import numpy as np
import pytest

from orxe_plugins import Policy, Records, replay
from orxe_plugins.search.denoise import denoised
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.expected.uncertainty import Uncertainty


def population(m: int, seed: int, real: bool = False) -> Records:
    """Three experts that are often wrong on the same samples."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(m)
    chance = np.clip(np.array([1.1, 1.25, 1.45])[:, None] - hardness, 0.05, 0.98)
    coin = np.where(rng.random((3, m)) < 0.7, rng.random(m), rng.random((3, m)))
    score = (coin < chance).astype(np.uint8)
    confidence = np.clip(chance + rng.normal(0, 0.1, (3, m)), 0, 1)
    return Records.from_arrays(["s", "m", "l"], [1, 3, 10], confidence, 4 * score - 1.0 if real else score)


def test_confidences_that_say_nothing_give_the_textbook_errors() -> None:
    rng = np.random.default_rng(0)
    m = 400
    score = (rng.random((2, m)) < [[0.6], [0.8]]).astype(np.uint8)
    records = Records.from_arrays(["a", "b"], [1, 2], np.full((2, m), 0.5), score)
    found = Uncertainty(records, ExpectedScores.fit(records)).of(Policy.only(0, 2))
    assert found.cost == 0
    assert found.score == pytest.approx(score[0].std(ddof=1) / m**0.5, rel=0.01)
    paired = score[1].astype(float) - score[0]
    assert found.drop == pytest.approx(paired.std(ddof=1) / m**0.5, rel=0.01)


def test_the_last_expert_drops_by_nothing_and_that_surely() -> None:
    records = population(100, seed=1)
    found = Uncertainty(records, ExpectedScores.fit(records)).of(Policy.never(3))
    assert found.drop == 0
    assert found.cost == 0
    assert found.score > 0


def test_the_error_of_a_cost_is_that_of_its_mean() -> None:
    records = population(100, seed=1)
    policy = Policy((0.6, 0.8))
    cost = replay(records, policy).sample_cost
    found = Uncertainty(records, ExpectedScores.fit(records)).of(policy)
    assert found.cost == pytest.approx(cost.std() / 10)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("m", [60, 400])
def test_estimates_err_as_much_as_their_standard_errors_say(m: int, real: bool) -> None:
    policies = [Policy((0.7, None)), Policy((0.8, 0.6)), Policy((None, 0.7))]
    everyone = population(100_000, seed=2, real=real)
    truth = np.array([replay(everyone, policy).score for policy in policies])
    true_drop = everyone.mean_score[-1] - truth
    off_score, off_drop = [], []
    for seed in range(150):
        records = population(m, seed=100 + seed, real=real)
        expected = denoised(records)
        uncertainty = Uncertainty(records, ExpectedScores.fit(records))
        errors = [uncertainty.of(policy) for policy in policies]
        score = np.array([replay(expected, policy).score for policy in policies])
        off_score.append((score - truth) / [error.score for error in errors])
        off_drop.append((expected.mean_score[-1] - score - true_drop) / [error.drop for error in errors])
    for off in (off_score, off_drop):
        assert np.sqrt(np.square(off).mean(axis=0)) == pytest.approx(np.ones(3), abs=0.25)


@pytest.mark.parametrize("m", [200, 40_000])
def test_errors_of_recorded_scores_are_those_of_means(m: int) -> None:
    records = population(m, seed=3)
    policy = Policy((0.8, 0.6))
    outcome = replay(records, policy)
    found = Uncertainty(records, None).of(policy)
    assert found.cost == pytest.approx(outcome.sample_cost.std() / m**0.5, rel=0.02)
    assert found.score == pytest.approx(outcome.sample_score.std() / m**0.5, rel=0.02)
    drop = records.score[-1] - outcome.sample_score
    assert found.drop == pytest.approx(drop.std() / m**0.5, rel=0.02)
