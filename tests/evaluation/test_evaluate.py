"""Evaluations: every figure is a replay on the reporting split, and the choice is that of the fitting split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Records, fit_policies, replay
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Choice, Estimate
from orxe_plugins.evaluation.saver import evaluate_saver
from orxe_plugins.policies.selection import Selection

TOP1 = Metric("top1", percent=True)


def made_up(m: int = 400, seed: int = 0, **details: object) -> Records:
    """Three experts of rising quality whose confidence tells how likely they are right."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(m)
    skill = np.array([0.6, 0.8, 0.95])[:, None]
    chance = np.clip(1.2 * skill - 0.7 * hardness * (1 - skill) - 0.2, 0.02, 0.98)
    confidence = np.clip(chance + rng.normal(0, 0.1, (3, m)), 0, 1)
    score = (rng.random((3, m)) < chance).astype(np.uint8)
    ids = [f"{seed}-{i}" for i in range(m)]
    return Records.from_arrays(["small", "medium", "large"], [1, 3, 10], confidence, score, ids, details=details)


@pytest.fixture(scope="module")
def splits() -> tuple[Records, Records]:
    return made_up(seed=0), made_up(seed=1)


def test_every_figure_is_a_replay_on_the_reporting_split(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    table = fit_policies(fit, [0, 0.3, 0.6, 0.9, 1])
    evaluation = evaluate(table, report, fitted_on=fit, metric=TOP1)
    for row, result in zip(table, evaluation.policies, strict=True):
        outcome = replay(report, row.policy)
        assert result.result.cost.value == pytest.approx(outcome.cost)
        assert result.result.score.value == pytest.approx(outcome.score)
        assert result.result.score.low <= outcome.score <= result.result.score.high
        assert result.result.exit_share == pytest.approx(tuple(outcome.exit_share))
        assert result.optimism == pytest.approx(row.score - outcome.score)
    for i, expert in enumerate(evaluation.experts):
        assert expert.result.score.value == pytest.approx(report.score[i].mean())
        assert expert.result.cost.value == report.cost[i]
    assert evaluation.shared_samples == 0


def test_the_chosen_policy_does_not_depend_on_the_reporting_split(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    table = fit_policies(fit, np.linspace(0, 1, 11))
    flipped = Records.from_arrays(report.names, report.cost, report.confidence, 1 - report.score)
    one, other = (evaluate(table, records, fitted_on=fit).choice for records in (report, flipped))
    assert (one.chosen.policy, one.kind, one.reason) == (other.chosen.policy, other.kind, other.reason)


def test_the_summary_is_about_the_policy_that_is_asked_for(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    table = fit_policies(fit, np.linspace(0, 1, 11))
    cases = [
        (Selection(0.41), "the one of preference 0.4"),
        (Selection(budget=4.0), "the one with the best score that costs at most 4.0 GMACs there"),
        (Selection(target=0.6), "the cheapest one that scores at least 0.6 there"),
        (Selection(max_drop=0.02), "the cheapest one that loses at most 2 points against the last expert there"),
    ]
    for selection, reason in cases:
        evaluation = evaluate(table, report, selection=selection)
        assert evaluation.choice.reason == reason
        assert evaluation.chosen.policy == table.choose(selection).policy
    with pytest.raises(OrxeError, match="no policy scores at least 2"):
        evaluate(table, report, selection=Selection(target=2.0))


def test_a_table_for_other_experts_is_refused(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    with pytest.raises(OrxeError, match="2 experts"):
        evaluate(fit_policies(fit, [0.5]), report.experts([0, 2]))
    with pytest.raises(OrxeError, match="holds no sample"):
        evaluate(fit_policies(fit, [0.5]), report.samples(slice(0, 0)))


def test_savers_are_ranked_by_delta_c_and_the_best_is_shown(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    evaluation = evaluate_saver(fit, report, "large", metric=TOP1)
    assert [row.delta_c for row in evaluation.candidates] == sorted(row.delta_c for row in evaluation.candidates)
    assert evaluation.saver == evaluation.candidates[0]
    assert evaluation.table.saver_score == pytest.approx(report.mean_score[report.index(evaluation.saver.saver)])


def test_samples_of_both_splits_are_counted(splits: tuple[Records, Records]) -> None:
    fit, _ = splits
    again = made_up(seed=0, augment="rand-m9", path="tensor")
    evaluation = evaluate(fit_policies(fit, [0.5]), again, fitted_on=fit)
    assert evaluation.shared_samples == 400
    assert (evaluation.reported_on.augment, evaluation.reported_on.path) == ("rand-m9", "tensor")


def test_the_rival_is_the_best_expert_that_costs_no_more_than_the_chosen_policy(
    splits: tuple[Records, Records],
) -> None:
    fit, report = splits
    table = fit_policies(fit, np.linspace(0, 1, 11))
    evaluation = evaluate(table, report)
    for row in evaluation.policies:
        chosen = replace(evaluation, choice=Choice(row, "fitted", "a test"))
        share, cost = row.result.exit_share, row.result.cost.value
        affordable = [i for i in (0, 1) if report.cost[i] <= cost and share[i] < 1]
        if not affordable:
            assert chosen.rival is None
        else:
            assert chosen.rival is not None
            assert chosen.rival.index == max(affordable, key=lambda i: report.mean_score[i])


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_an_estimate_lies_on_a_side_of_0_if_its_whole_interval_does(value: float, down: float, up: float) -> None:
    estimate = Estimate(value, value - down, value + up)
    assert estimate.side == (1 if estimate.low > 0 else -1 if estimate.high < 0 else 0)
