"""Estimates of policies: their values are replays, their intervals are paired and hold at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from orxe_plugins import Policy, PolicyRow, Records, replay
from orxe_plugins.evaluation.estimates import estimate_policies
from orxe_plugins.evaluation.intervals import clopper_pearson
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Estimate, IntervalSettings

SETTINGS = IntervalSettings(resamples=400)
BOTH, FIRST, LAST = Policy((0.5,)), Policy.only(0, 2), Policy.never(2)


def made_up(m: int = 300, seed: int = 0) -> Records:
    """A small and a large expert; the small one's confidence tells how likely it is right."""
    rng = np.random.default_rng(seed)
    confidence = rng.random((2, m))
    right = rng.random((2, m)) < np.stack([0.3 + 0.6 * confidence[0], np.full(m, 0.9)])
    return Records.from_arrays(["small", "large"], [1, 10], confidence, right.astype(np.uint8))


def test_values_are_those_of_replay_and_differences_are_to_the_last_policy() -> None:
    records = made_up()
    found = estimate_policies([BOTH, FIRST, LAST], records, Metric(), SETTINGS)
    assert list(found) == [BOTH, FIRST, LAST]
    last = replay(records, LAST)
    for policy, result in found.items():
        outcome = replay(records, policy)
        assert result.score.value == outcome.score == result.mean_score
        assert result.cost.value == outcome.cost
        assert result.score_difference.value == pytest.approx(outcome.score - last.score)
        assert result.cost_ratio.value == pytest.approx(outcome.cost / last.cost)
        assert result.exit_share == tuple(outcome.exit_share.tolist())
        for estimate in (result.score, result.cost, result.score_difference, result.cost_ratio):
            assert estimate.low <= estimate.value <= estimate.high
    assert found[LAST].score_difference == Estimate(0, 0, 0)
    assert found[LAST].cost_ratio == Estimate(1, 1, 1)


def test_a_row_is_a_policy_and_equal_policies_are_estimated_once() -> None:
    row = PolicyRow(0.5, BOTH, 1.0, 1.0)
    found = estimate_policies([row, BOTH, LAST], made_up(), Metric(), SETTINGS)
    assert list(found) == [BOTH, LAST]


def test_a_difference_is_paired() -> None:
    """The large expert answers nearly all samples under both: most of the spread cancels."""
    records = made_up()
    nearly = Policy((0.98,))
    result = estimate_policies([nearly, LAST], records, Metric(), SETTINGS)[nearly]
    assert result.score_difference.high - result.score_difference.low < 0.5 * (result.score.high - result.score.low)


def test_where_all_answers_are_right_the_exact_interval_takes_the_place_of_an_empty_one() -> None:
    records = Records.from_arrays(["a", "b"], [1, 2], np.full((2, 50), 0.7), np.ones((2, 50), np.uint8))
    found = estimate_policies([FIRST, LAST], records, Metric(), SETTINGS)
    low, _ = clopper_pearson(50, 50)
    assert found[FIRST].score == Estimate(1.0, low, 1.0)
    # No sample tells the two apart: so many samples cannot rule out a small difference either way.
    _, share = clopper_pearson(0, 50)
    assert found[FIRST].score_difference == Estimate(0.0, -share, share)
    assert found[FIRST].cost == Estimate(1.0, 1.0, 1.0)


def test_a_metric_is_computed_once_for_policies_that_route_all_samples_alike() -> None:
    asked: list[tuple[int, ...]] = []

    def median(outcome: object, samples: np.ndarray) -> float:
        asked.append(tuple(samples.tolist()))
        return float(np.median(outcome.sample_score[samples]))  # type: ignore[attr-defined]

    records = made_up(40)
    # Two thresholds between the same two confidences.
    below, above = np.sort(records.confidence[0])[[20, 21]].astype(float)
    alike = [Policy((below + (above - below) * share,)) for share in (0.4, 0.6)]
    found = estimate_policies([*alike, LAST], records, Metric("median", median), IntervalSettings(resamples=10))
    assert len(asked) == 2 * (1 + 10)
    assert found[alike[0]].score == found[alike[1]].score
    assert asked[0] == tuple(range(40)) and asked[2] == asked[3], "both are asked on the same resample"


def test_a_resample_without_a_value_is_left_out() -> None:
    def some(outcome: object, samples: np.ndarray) -> float:
        return float("nan") if samples[0] % 2 else 0.5

    records = made_up(30)
    result = estimate_policies([BOTH, LAST], records, Metric("some", some), IntervalSettings(resamples=20))[BOTH]
    assert result.score == Estimate(0.5, 0.5, 0.5)


def test_a_last_expert_that_is_free_has_no_cost_ratio() -> None:
    records = Records.from_arrays(["a", "b"], [0, 0], np.full((2, 5), 0.7), np.ones((2, 5), np.uint8))
    ratio = estimate_policies([FIRST, LAST], records, Metric(), SETTINGS)[FIRST].cost_ratio
    assert np.isnan([ratio.value, ratio.low, ratio.high]).all()
