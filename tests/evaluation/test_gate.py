"""Gates beside native confidence: the figures against known values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu

from orxe_plugins import OrxeError, Records
from orxe_plugins.evaluation.gate import (
    GateEvaluation,
    GateSplits,
    auroc,
    evaluate_gates,
    kendall_tau,
    oracle_confidence,
)
from orxe_plugins.evaluation.results import Estimate, IntervalSettings

FEW = IntervalSettings(resamples=200)
NAMES = ["small", "medium", "large"]
PREFERENCES = np.linspace(0, 1, 11).tolist()


def test_tau_and_auroc_of_known_rankings() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4])
    assert kendall_tau(score, score) == 1
    assert kendall_tau(-score, score) == -1
    # Of the six pairs one is the wrong way round: (5 - 1) / 6.
    assert kendall_tau(np.array([1, 2, 4, 3]), score) == pytest.approx(4 / 6)
    assert kendall_tau(np.ones(4), score) == 0
    # Two answers are right; of the four pairs of a right one and a wrong one, three are in order.
    assert auroc(np.array([0.9, 0.4, 0.5, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(3 / 4)
    assert auroc(np.array([0.5, 0.5, 0.5]), np.array([1, 0, 0])) == pytest.approx(1 / 2)
    assert np.isnan(auroc(np.array([0.5, 0.7]), np.array([1.0, 1.0])))


@given(hnp.arrays(np.float64, 30, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.integers(1, 29))
def test_auroc_is_the_mann_whitney_statistic(confidence: np.ndarray, right: int) -> None:
    score = (np.arange(30) < right).astype(float)
    expected = mannwhitneyu(confidence[:right], confidence[right:]).statistic / (right * (30 - right))
    assert auroc(confidence, score) == pytest.approx(expected)


def test_auroc_of_scores_on_a_scale_splits_at_the_median() -> None:
    score = np.arange(10.0)
    assert auroc(score, score) == 1
    assert auroc(np.where(score > 4.5, 1.0, 0.0), score) == 1


@given(hnp.arrays(np.float64, (2, 12), elements=st.floats(-5, 5)))
def test_the_oracle_keeps_the_order_of_every_experts_scores(score: np.ndarray) -> None:
    confidence = oracle_confidence(score)
    assert ((confidence > 0) & (confidence < 1)).all()
    for row, of in zip(confidence, score, strict=True):
        assert (np.sign(row[:, None] - row) == np.sign(of[:, None] - of)).all()


def made_up(m: int, seed: int, noise: float | None, salt: int = 0) -> Records:
    """Three regressors; the confidence is their score with so much noise, or a constant; ``salt`` is the noise's."""
    rng = np.random.default_rng(seed)
    hardness = rng.exponential(1, m)
    error = np.array([1.0, 0.6, 0.3])[:, None] * hardness * rng.uniform(0.2, 1.8, (3, m))
    sure = (
        np.full((3, m), 0.5)
        if noise is None
        else 1 / (1 + np.exp(error + np.random.default_rng([seed, salt]).normal(0, noise, (3, m))))
    )
    ids = [f"{seed}-{i}" for i in range(m)]
    return Records.from_arrays(NAMES, [1.0, 3.0, 10.0], sure.astype(np.float32), -error, ids)


def with_cost(records: Records) -> Records:
    """The cost of gates is added."""
    return replace(records, cost=records.cost + np.array([0.01, 0.03, 0.0]))


def evaluate(gate_noise: float | None, native_noise: float | None, m: int = 500) -> GateEvaluation:
    splits = GateSplits(
        native_fit=made_up(m, 1, native_noise),
        gated_fit=with_cost(made_up(m, 1, gate_noise, salt=1)),
        native_report=made_up(m, 2, native_noise),
        gated_report=with_cost(made_up(m, 2, gate_noise, salt=1)),
        trained_on=made_up(60, 3, None),
    )
    return evaluate_gates(splits, NAMES[:2], PREFERENCES, percent=False, intervals=FEW)


@pytest.fixture(scope="module")
def good() -> GateEvaluation:
    return evaluate(0.1, None)


def test_good_gates_lie_between_random_exit_and_the_oracle(good: GateEvaluation) -> None:
    area = {curve.name: curve.area.value for curve in good.curves}
    assert list(area) == ["ranking gates", "native confidence", "random exit", "oracle (perfect ranking)"]
    assert area["random exit"] < area["ranking gates"] < area["oracle (perfect ranking)"]
    assert good.gain.low > 0
    assert good.over_random.low > 0
    for ranking in good.rankings:
        assert ranking.native_tau == Estimate(0, 0, 0)
        assert ranking.native_auroc.value == 0.5
        assert ranking.tau_gain.low > 0
        assert ranking.gate_share == pytest.approx(0.01)
    assert [ranking.expert for ranking in good.rankings] == NAMES[:2]
    assert (good.reported_on.count, good.trained_on.count) == (500, 60)


def test_without_a_confidence_nothing_is_gained_over_random_exit() -> None:
    """The hull of the experts is what a constant confidence can reach."""
    evaluation = evaluate(None, None)
    assert abs(evaluation.over_random.value) < 0.01
    assert evaluation.gain.low <= 0


def test_the_gain_is_paired(good: GateEvaluation) -> None:
    """The interval of a difference on the same samples is narrower than those of the two areas."""
    gates, native = good.curves[0].area, good.curves[1].area
    assert good.gain.value == pytest.approx(gates.value - native.value)
    assert good.gain.high - good.gain.low < (gates.high - gates.low) + (native.high - native.low)


def test_areas_are_means_of_the_curves_height() -> None:
    evaluation = evaluate(0.1, None)
    random = next(curve for curve in evaluation.curves if curve.name == "random exit")
    low, high = evaluation.span
    assert high == 10
    fine = np.linspace(low, high, 20_001)
    assert random.area.value == pytest.approx(np.interp(fine, random.cost, random.score).mean(), rel=1e-3)


def test_gates_that_know_nothing_are_worse_than_a_confidence_that_does() -> None:
    evaluation = evaluate(None, 0.1)
    assert evaluation.gain.side == -1
    assert evaluation.over_random.side <= 0
    assert [ranking.tau_gain.side for ranking in evaluation.rankings] == [-1, -1]


def test_gates_as_noisy_as_the_confidence_are_not_told_apart_from_it() -> None:
    assert evaluate(0.5, 0.5).gain.side == 0


def test_gates_that_change_no_policy_gain_exactly_nothing() -> None:
    """Sums in another order differ in the last digit, which is no difference."""
    splits = made_up(100, 1, 0.3)
    twice = evaluate_gates(GateSplits(*[splits] * 5), NAMES[:2], PREFERENCES, intervals=FEW)
    assert (twice.gain.value, twice.gain.low, twice.gain.high) == (0, 0, 0)


def test_one_seed_gives_one_report(good: GateEvaluation) -> None:
    assert evaluate(0.1, None).to_dict() == good.to_dict()


def test_records_of_different_samples_are_refused() -> None:
    native, gated = made_up(50, 1, None), made_up(50, 2, 0.1)
    with pytest.raises(OrxeError, match="records with gates and without are of different samples"):
        evaluate_gates(GateSplits(native, native, native, gated, native), NAMES[:1], [0, 1])
