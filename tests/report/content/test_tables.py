from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orxe_plugins import Policy
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.content.tables import expert_table, policy_table, threshold_table, thresholds_text
from orxe_plugins.report.tables import Table


def column(table: Table, title: str) -> list[str]:
    (place,) = (i for i, each in enumerate(table.columns) if each.title == title)
    return [row[place] for row in table.rows]


def test_adjacent_preferences_with_the_same_policy_share_a_row(evaluation: Callable[..., Evaluation]) -> None:
    table = policy_table(evaluation())
    assert column(table, "Preference") == ["0.00-0.25", "0.50", "1.00"]
    assert table.marked == {1}
    assert policy_table(evaluation(chosen=1)).marked == {0}


def test_figures_stand_in_their_columns(evaluation: Callable[..., Evaluation]) -> None:
    table = policy_table(evaluation())
    assert column(table, "Cost change") == ["-90 %", "-60 %", "-30 %"]
    assert column(table.for_files(), "top1 %")[1] == "90.0 (88.0 to 92.0)"
    assert column(table, "Paired difference")[2] == "0.0 (0.0 to 0.0)"
    assert column(table, "Optimism") == ["+1.0"] * 3
    assert column(table, "Exit share %") == ["#1 100.0", "#1 50.0, #2 30.0, #3 20.0", "#1 30.0, #3 70.0"]


def test_files_have_the_score_beside_the_preference(evaluation: Callable[..., Evaluation]) -> None:
    assert [each.title for each in policy_table(evaluation()).for_files().columns][:3] == [
        "Preference", "top1 %", "GMACs"
    ]  # fmt: skip
    shown = [each.title for each in policy_table(evaluation()).columns if each.in_terminal]
    assert shown.count("top1 %") == 1


def test_an_expert_that_answers_nothing_has_no_column(evaluation: Callable[..., Evaluation]) -> None:
    rows = ((0.5, Policy((None, 0.5)), 5.0, 0.9, (0.0, 0.5, 0.5)),)
    titles = [each.title for each in policy_table(evaluation(policies=rows, chosen=0)).columns]
    assert "#1 %" not in titles
    assert "#2 %" in titles and "#3 %" in titles


def test_more_figures_of_the_search_have_a_column_each(evaluation: Callable[..., Evaluation]) -> None:
    plain = evaluation()
    first = replace(plain.policies[0], extras={"Gap": 0.00123456, "Other": 2.0})
    table = policy_table(replace(plain, policies=(first, *plain.policies[1:])))
    assert column(table, "Gap") == ["0.001235", "", ""]
    assert column(table, "Other") == ["2", "", ""]


def test_parameters_are_shown_where_they_are_known(evaluation: Callable[..., Evaluation]) -> None:
    plain = evaluation()
    assert "Params (M)" not in [each.title for each in expert_table(plain).columns]
    some = replace(plain, experts=(replace(plain.experts[0], params=1_230_000), *plain.experts[1:]))
    assert column(expert_table(some), "Params (M)") == ["1.2", "", ""]
    assert column(expert_table(some), "Expert") == ["small", "medium", "large"]


def test_the_cost_of_a_single_expert_has_no_interval(evaluation: Callable[..., Evaluation]) -> None:
    table = expert_table(evaluation())
    assert column(table, "Interval") == ["", "", ""]
    assert column(table.for_files(), "GMACs") == ["1.00", "3.00", "10.0"]


def test_thresholds_are_for_files_alone(evaluation: Callable[..., Evaluation]) -> None:
    table = threshold_table(evaluation())
    assert not table.in_terminal
    words = column(table, "Experts and thresholds")[1]
    assert words == "#1 exits at 0.600, #2 exits at 0.700 and is skipped below 0.200, #3 answers the rest"


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            Policy((0.6, None, 0.8), (0.5, 0.1, 0.2)),
            "#1 exits at 0.600, #3 exits at 0.800 and is skipped below 0.200, #4 answers the rest",
        ),
        (Policy.never(3), "#3 answers all"),
        (Policy.only(1, 3), "#2 answers all"),
        (Policy((0.4, 0.0, 0.3)), "#1 exits at 0.400, #2 answers the rest"),
        (
            Policy((0.4, 0.0), (0.0, 0.2)),
            "#1 exits at 0.400, #2 exits at 0.000 and is skipped below 0.200, #3 answers the rest",
        ),
        (Policy((None, 0.5), (0.0, 0.9)), "#2 exits at 0.500, #3 answers the rest"),
    ],
)
def test_thresholds_in_words_name_what_has_an_effect(policy: Policy, text: str) -> None:
    assert thresholds_text(policy) == text
