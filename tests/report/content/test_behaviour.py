from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orxe_plugins import Policy, Records
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report import Evidence
from orxe_plugins.report.content.behaviour import behaviour_charts, class_table, exit_table, reliability


@pytest.fixture
def asked(evaluation: Callable[..., Evaluation]) -> tuple[Evaluation, Evidence]:
    """Four samples: the small expert answers two, of which it gets one wrong; the large one answers the rest."""
    records = Records.from_arrays(
        ["timm:small", "timm:medium", "timm:large"], [1, 3, 10],
        [[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4], [0.9, 0.9, 0.9, 0.7]],
        [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]], labels=np.array([0, 0, 1, 1]),
    )  # fmt: skip
    rows = ((0.5, Policy((0.5, None)), 4.0, 0.5, (0.5, 0.0, 0.5)),)
    return evaluation(policies=rows, chosen=0), Evidence(records)


def test_the_calibration_error_is_the_mean_distance_to_the_share_of_right_answers() -> None:
    rows, error = reliability(np.array([0.95, 0.95, 0.15, 1.0]), np.array([1, 0, 0, 1]))
    assert [(round(low, 1), round(high, 1), share, count) for low, high, share, count in rows] == [
        (0.1, 0.2, 0.0, 1), (0.9, 1.0, pytest.approx(2 / 3), 3)
    ]  # fmt: skip
    assert error == pytest.approx((1 * 0.15 + 3 * abs(2 / 3 - (0.95 + 0.95 + 1) / 3)) / 4)


def test_exits_are_compared_with_the_last_expert_on_the_same_samples(asked: tuple[Evaluation, Evidence]) -> None:
    table = exit_table(*asked)
    assert table.rows == (
        ("#1 small", "50.0", "50.0", "100.0", "0.85"),
        ("#3 large", "50.0", "50.0", "50.0", "0.80"),
    )
    assert not table.in_terminal


def test_classes_are_listed_from_loss_to_gain(asked: tuple[Evaluation, Evidence]) -> None:
    table = class_table(*asked)
    assert table is not None
    assert table.rows == (("0", "2", "50.0", "100.0", "-50.0"), ("1", "2", "50.0", "50.0", "0.0"))


def test_classes_need_labels_and_right_or_wrong_scores(asked: tuple[Evaluation, Evidence]) -> None:
    evaluation, evidence = asked
    assert class_table(evaluation, Evidence(replace(evidence.records, labels=None))) is None
    graded = Evidence(replace(evidence.records, score=evidence.records.score * 0.5))
    assert class_table(evaluation, graded) is None
    assert [group.title for group in behaviour_charts(evaluation, graded)] == ["How sure experts are"]


def test_histograms_hold_all_samples_that_reach_an_expert(asked: tuple[Evaluation, Evidence]) -> None:
    right, sure = behaviour_charts(*asked)
    assert [chart.title for chart in right.charts] == ["The cascade", "#1 small", "#3 large"]
    first, last = sure.charts
    assert first.caption == "4 samples reach it, 2 are answered by it."
    assert last.caption == "2 samples reach it, 2 are answered by it."
    for chart in sure.charts:
        heights = [top - bottom for series in chart.series for _, _, bottom, top in series.points]
        assert sum(heights) == pytest.approx(100)


def test_shares_of_classes_are_called_percent_only_where_they_are_written_so(
    asked: tuple[Evaluation, Evidence],
) -> None:
    for percent, heads, row in (
        (True, ["Cascade %", "Last expert %"], ("50.0", "100.0")),
        (False, ["Cascade", "Last expert"], ("0.500", "1.000")),
    ):
        table = class_table(replace(asked[0], percent=percent), asked[1])
        assert table is not None
        assert [column.title for column in table.columns[2:4]] == heads
        assert table.rows[0][2:4] == row
