"""What a report recommends is never worse than what the user had, and its first sentence follows the interval."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import Policy, PolicyRow, PolicyTable, Records, fit_policies, replay
from orxe_plugins.evaluation.candidates import ALLOWED_DROP, candidates_of, choose, mixture, negligible_drop
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.formats import Formats
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Estimate, Evaluation
from orxe_plugins.evaluation.samples import IntervalSettings
from orxe_plugins.evaluation.verdict import Words
from orxe_plugins.policies.selection import Selection
from orxe_plugins.report.content.evaluation import write_report
from orxe_plugins.search.pareto import with_choices
from orxe_plugins.search.scores import SearchScores

TOP1 = Metric("top1")
WORDS = Words.of(Formats(True, 1, "GMACs"), "top1", ["small", "large"], 0.95)


def made_up(
    skill: tuple[float, ...] = (0.6, 0.8, 0.95), cost: tuple[float, ...] = (1, 3, 10), m: int = 400, seed: int = 0
) -> Records:
    """Experts that fail on the same hard samples, and are less sure where they fail."""
    rng = np.random.default_rng(seed)
    n = len(skill)
    margin = 3 * (np.array(skill)[:, None] - rng.random(m)) + rng.normal(0, 0.3, (n, m))
    confidence = 1 / (1 + np.exp(-3 * margin - rng.normal(0, 0.3, (n, m))))
    score = (margin > 0).astype(np.uint8)
    return Records.from_arrays([f"e{i}" for i in range(n)], cost, confidence, score, [f"{seed}-{i}" for i in range(m)])


def judged(fit: Records, report: Records, preferences: Any = (0.0, 0.3, 0.6, 0.8, 1.0), **more: Any) -> Evaluation:
    table = with_choices(fit_policies(fit, preferences), fit)
    return evaluate(table, report, fitted_on=fit, metric=TOP1, **more)


def two_detectors(seed: int) -> Records:
    """A cheap expert that is as good as the costlier one, image for image, as two small detectors are."""
    rng = np.random.default_rng(seed)
    quality = rng.beta(2, 2, 66)
    score = np.clip([quality + rng.normal(0.01, 0.02, 66), quality + rng.normal(0.0, 0.02, 66)], 0, 1)
    score[1, :4] = score[0, :4] + 0.05  # where the second one is better, the first one is not sure
    confidence = np.clip(0.5 + 0.3 * rng.normal(0, 1, (2, 66)), 0, 1)
    confidence[0, :4] = 0.01
    return Records.from_arrays(["yolo-a", "yolo-b"], [3.17, 4.37], confidence, score)


def test_a_policy_that_costs_more_than_the_last_expert_and_gains_nothing_is_not_the_headline() -> None:
    """The fitted row of the highest preference costs 27 % more than the last expert; the first one alone is better."""
    fit, report = two_detectors(0), two_detectors(1)
    never = replay(fit, Policy.never(2))
    first = PolicyRow(0.0, Policy((0.0,)), 3.17, float(fit.mean_score[0]))
    costly = PolicyRow(1.0, Policy((0.55,)), 1.27 * never.cost, max(never.score, float(fit.mean_score[0])) + 0.001)
    table = PolicyTable((first, replace(first, preference=0.5), costly), "GMACs", never.cost, never.score, 66)

    def mean_ap(outcome: Any, samples: np.ndarray) -> float:
        """A figure of the data set that is no mean over images."""
        return float(np.median(outcome.sample_score[samples]))

    evaluation = evaluate(table, report, fitted_on=fit, metric=Metric("mAP50-95", mean_ap))
    assert evaluation.verdict.kind == "expert"
    assert evaluation.verdict.sentence.startswith("One expert alone is the answer: yolo-a. It saves 27 % of the GMACs")
    assert evaluation.chosen.policy == Policy.only(0, 2)
    assert evaluation.to_dict()["verdict"]["kind"] == "expert"
    asked = evaluate(table, report, fitted_on=fit, selection=Selection(1.0))
    assert any("costs 5.55 GMACs on the fitting split, more than yolo-b alone (4.37)" in note for note in asked.notes)


def test_a_cascade_that_pays_says_what_it_saves_and_how_sure_that_is() -> None:
    evaluation = judged(made_up(), made_up(seed=1))
    assert evaluation.verdict.kind == "cascade"
    result = evaluation.chosen.result
    saved = f"{100 * (1 - result.cost_ratio.value):.0f} %"
    assert evaluation.verdict.sentence.startswith(f"The cascade saves {saved} of the GMACs against e2 alone; the top1")
    assert evaluation.verdict.sentence.endswith(f": {evaluation.verdict.certainty}.")
    assert "random mixing of e1 and e2" in " ".join(evaluation.verdict.more)


def test_where_confidences_tell_nothing_no_cascade_pays() -> None:
    rng = np.random.default_rng(0)
    fit, report = made_up((0.5, 0.9), (5, 10)), made_up((0.5, 0.9), (5, 10), seed=1)
    fit, report = (replace(each, confidence=rng.random((2, 400)).astype(np.float32)) for each in (fit, report))
    evaluation = judged(fit, report)
    assert evaluation.verdict.kind == "none"
    assert evaluation.verdict.sentence.startswith("No cascade pays here: nothing that costs less than e1 alone")
    assert evaluation.chosen.policy == Policy.never(2)


def test_what_random_mixing_reaches_too_does_not_pay() -> None:
    """Fitted where the confidence was good, reported where it is worth nothing."""
    fit, report = made_up((0.5, 0.9), (1, 10), m=2000), made_up((0.5, 0.9), (1, 10), m=2000, seed=1)
    turned = replace(report, confidence=1 - report.confidence)
    evaluation = judged(fit, turned)
    assert evaluation.verdict.kind == "none"
    assert "random mixing of e0 and e1 costs as much and scores" in evaluation.verdict.sentence


def test_one_expert_that_answers_nearly_everything_is_named() -> None:
    fit, report = made_up((0.95, 0.8), m=400, cost=(1, 3)), made_up((0.95, 0.8), m=400, cost=(1, 3), seed=1)
    evaluation = judged(fit, report)
    assert evaluation.verdict.kind == "expert"
    assert "One expert alone is the answer: e0." in evaluation.verdict.sentence
    assert "a gain is certain" in evaluation.verdict.sentence


def test_a_last_expert_that_is_worse_than_a_cheaper_one_is_no_measure() -> None:
    evaluation = judged(made_up((0.05, 0.9, 0.5)), made_up((0.05, 0.9, 0.5), seed=1))
    assert "One expert alone is the answer: e1." in evaluation.verdict.sentence
    assert any(note.startswith("e2 scores 0.") and "e1, which costs less" in note for note in evaluation.notes)


def test_where_the_cheapest_expert_is_the_best_nothing_is_said_of_what_costs_less() -> None:
    evaluation = judged(made_up((0.9, 0.5, 0.6)), made_up((0.9, 0.5, 0.6), seed=1))
    assert "One expert alone is the answer: e0." in evaluation.verdict.sentence
    assert evaluation.choice.reason == "the best expert alone, as nothing there costs less"


def test_a_loss_is_not_called_nothing() -> None:
    """Chosen for losing nothing where it was fitted; on harder samples it loses, and the sentence says so."""
    fit, report = made_up(m=60), made_up((0.3, 0.5, 0.95), m=2000, seed=5)
    table = fit_policies(fit, np.linspace(0, 1, 21), scores="raw")
    evaluation = evaluate(table, report, fitted_on=fit, metric=TOP1)
    difference = evaluation.chosen.result.score_difference
    assert difference.high < 0
    assert "a loss is certain" in evaluation.verdict.certainty


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(-0.003, -0.011, 0.005), "no loss was shown"),
        (Estimate(-0.024, -0.052, 0.004), "a loss of 2.4 points is likely"),
        (Estimate(-0.02, -0.03, -0.01), "a loss is certain"),
        (Estimate(0.02, 0.01, 0.03), "a gain is certain"),
        (Estimate(0.024, -0.004, 0.052), "a gain of 2.4 points is likely"),
        (Estimate(0.0, 0.0, 0.0), "nothing is lost"),
        (Estimate(0.0, -0.05, 0.05), "no loss was shown"),
    ],
)
def test_the_certainty_follows_the_interval(estimate: Estimate, text: str) -> None:
    assert WORDS.certainty(estimate) == text


def test_the_change_carries_its_interval_and_its_unit() -> None:
    estimate = Estimate(-0.003, -0.011, 0.005)
    assert WORDS.change(estimate) == "the top1 changes by -0.3 points (-1.1 to +0.5)"
    plain = replace(WORDS, formats=Formats(False, 3, "ms"), metric="R2")
    assert plain.change(estimate) == "the R2 changes by -0.003 (-0.011 to +0.005)"
    assert (plain.saving(0.58), plain.saving(1.27)) == ("saves 42 % of the ms", "costs 27 % more ms")


@settings(deadline=None, max_examples=40)
@given(
    skill=st.lists(st.floats(0.2, 0.99), min_size=2, max_size=4),
    seed=st.integers(0, 10_000),
    m=st.sampled_from([5, 40, 150]),
    sharp=st.booleans(),
)
def test_the_choice_is_never_beaten_and_never_costs_more_than_the_last_expert(
    skill: list[float], seed: int, m: int, sharp: bool
) -> None:
    fit = made_up(tuple(skill), tuple(2.0**i for i in range(len(skill))), m, seed)
    if not sharp:
        fit = replace(fit, confidence=np.random.default_rng(seed).random(fit.confidence.shape).astype(np.float32))
    table = with_choices(fit_policies(fit, [0.0, 0.5, 0.9, 1.0]), fit, max_samples=200, expansions=8)
    candidates = candidates_of(table, fit)
    chosen = choose(candidates, fit).candidate
    (last,) = [each for each in candidates if each.policy == Policy.never(fit.n_experts)]
    assert chosen.cost <= last.cost + 1e-9
    assert not any(
        each.cost <= chosen.cost
        and each.score >= chosen.score
        and (each.cost, each.score) != (chosen.cost, chosen.score)
        for each in candidates
    )
    # What is compared are the scores that the search ran on.
    outcome = replay(SearchScores.of_table(table, fit).records, chosen.policy)
    assert (outcome.cost, outcome.score) == pytest.approx((chosen.cost, chosen.score))
    # A policy that asks one expert for 99 % of the samples gives way to it, which may lose what the others answer.
    assert chosen.score >= last.score - ALLOWED_DROP - 0.0101


def test_less_than_one_answer_counts_as_nothing_where_scores_are_expected_ones() -> None:
    last, near, far = (
        PolicyRow(p, Policy((t,)), cost, score)
        for p, t, cost, score in ((1.0, None, 10, 0.9), (0.9, 0.5, 4, 0.896), (0.8, 0.4, 2, 0.894))
    )
    raw, expected = (
        PolicyTable(
            (last, near, far),
            reference_cost=10,
            reference_score=0.9,
            n_samples=200,
            details={"scores": {"kind": kind}},
        )
        for kind in ("raw", "denoised")
    )
    assert negligible_drop(raw) == 0 and negligible_drop(expected) == 1 / 200
    assert negligible_drop(replace(expected, n_samples=20)) == ALLOWED_DROP, "one of 20 answers is no trifle"
    chosen = choose(candidates_of(expected, None), None, negligible_drop(expected))
    assert chosen.candidate.policy == near.policy and "at most 0.5 points" in chosen.reason


def test_the_reporting_split_has_no_part_in_the_choice() -> None:
    fit, report = made_up(), made_up(seed=1)
    one, other = judged(fit, report), judged(fit, replace(report, score=1 - report.score))
    assert (one.chosen.policy, one.choice.kind, one.choice.reason) == (
        other.chosen.policy, other.choice.kind, other.choice.reason,
    )  # fmt: skip


def test_without_the_fitting_records_the_last_expert_competes_by_the_tables_figures() -> None:
    fit, report = made_up(), made_up(seed=1)
    cheap = replace(fit_policies(fit, [0.0]), pareto=())
    assert evaluate(cheap, report).chosen.policy == Policy.never(3)
    unknown = replace(cheap, reference_score=float("nan"))
    assert evaluate(unknown, report).chosen.policy == cheap[0].policy


def test_what_was_asked_for_is_reported_with_a_warning_where_something_beats_it() -> None:
    fit, report = made_up((0.6, 0.95, 0.9)), made_up((0.6, 0.95, 0.9), seed=1)
    never = replay(fit, Policy.never(3))
    rows = (PolicyRow(0.5, Policy.never(3), never.cost, never.score),)
    table = PolicyTable(rows, "GMACs", never.cost, never.score, len(fit))
    evaluation = evaluate(table, report, fitted_on=fit, selection=Selection(0.5))
    assert evaluation.chosen.policy == Policy.never(3)
    assert any(note.startswith("on the fitting split e1 alone scores") for note in evaluation.notes)


def test_odd_samples_and_preferences_are_said() -> None:
    few = judged(made_up(), made_up(m=7, seed=1), [0.5])
    assert any("holds only 7 samples" in note for note in few.notes)
    alike = Records.from_arrays(["a", "b"], [1, 2], np.full((2, 50), 0.5), np.ones((2, 50), np.uint8))
    notes = judged(alike, alike, [0.1, 0.5, 0.9]).notes
    assert any("all experts score the same" in note for note in notes)
    assert any("confidence varies" in note for note in notes)
    assert any(note.startswith("all preferences give one policy") for note in notes)
    assert judged(made_up(), made_up(seed=1)).notes == ()


def test_a_random_mixture_takes_the_neighbours_on_the_upper_hull() -> None:
    cost, score = [1.0, 2.0, 4.0], [0.5, 0.4, 0.9]
    assert mixture(cost, score, 2.5) == ((0, 0.5), (2, 0.5))
    assert mixture(cost, score, 1.0) == ((0, 1.0),)
    assert mixture(cost, score, 9.0) == ((2, 1.0),)
    assert mixture(cost, score, 0.5) == ((0, 1.0),)


def test_a_metric_without_a_value_is_said_and_drawn(tmp_path: Path) -> None:
    """As where the reporting split holds no object."""
    metric = Metric("mAP50-95", lambda outcome, samples: float("nan"))
    fit, report = made_up(), made_up(m=60, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        evaluation = evaluate(fit_policies(fit, [0.5]), report, metric=metric, intervals=IntervalSettings(20))
    assert evaluation.verdict.kind == "none"
    assert "the mAP50-95 has no value on the reporting split" in evaluation.verdict.sentence
    assert write_report(evaluation, tmp_path).html.exists()
