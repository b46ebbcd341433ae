from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.content.policy_rows import policy_rows


def test_policies_come_first_then_experts_with_the_same_columns(evaluation: Callable[..., Evaluation]) -> None:
    reported = evaluation()
    rows = policy_rows(reported)
    assert [row["kind"] for row in rows] == ["policy"] * 4 + ["expert"] * 3
    assert [row["preference"] for row in rows[:4]] == [0.0, 0.25, 0.5, 1.0]
    assert [row["expert"] for row in rows[4:]] == list(reported.names)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


def test_figures_are_exact_and_scores_are_fractions(evaluation: Callable[..., Evaluation]) -> None:
    reported = evaluation()
    row, result = policy_rows(reported)[2], reported.policies[2].result
    for name in ("cost", "score", "score_difference", "cost_ratio"):
        estimate = getattr(result, name)
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (estimate.value, estimate.low, estimate.high)
    assert row["optimism"] == reported.policies[2].optimism
    assert [row[f"exit_share[{name}]"] for name in reported.names] == [0.5, 0.3, 0.2]


def test_the_thresholds_of_a_disabled_expert_are_empty(evaluation: Callable[..., Evaluation]) -> None:
    row = policy_rows(evaluation())[3]
    assert row["exit_threshold[timm:small]"] == 0.9
    assert row["exit_threshold[timm:medium]"] is None
    assert row["skip_threshold[timm:medium]"] == 0.0
    assert "exit_threshold[timm:large]" not in row


def test_more_figures_of_the_search_are_columns(evaluation: Callable[..., Evaluation]) -> None:
    plain = evaluation()
    rows = policy_rows(replace(plain, policies=(replace(plain.policies[0], extras={"Gap": 0.1}), *plain.policies[1:])))
    assert [row["Gap"] for row in rows] == [0.1, None, None, None, None, None, None]
