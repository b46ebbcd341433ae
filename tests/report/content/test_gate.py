from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.evaluation.results import Estimate
from orxe_plugins.report.content.gate import (
    area_table,
    curve_table,
    gate_document,
    gate_summary,
    ranking_table,
    write_gate_report,
)

BETTER, WORSE, EITHER = Estimate(0.04, 0.02, 0.06), Estimate(-0.04, -0.06, -0.02), Estimate(0.01, -0.01, 0.03)


@pytest.mark.parametrize(
    ("gain", "start"),
    [
        (BETTER, "The gates are better than the native confidence: the area under the curve differs by +4.00 points"),
        (WORSE, "The gates are worse than the native confidence: the area under the curve differs by -4.00 points"),
        (EITHER, "The gates are no better than the native confidence, as far as 1,000 samples can tell"),
        # A gain that is written as 0.00 is none, however small its interval is.
        (Estimate(2e-5, 1e-5, 3e-5), "The gates are no better"),
        (Estimate(-2e-5, -3e-5, -1e-5), "The gates are no better"),
    ],
)
def test_the_first_sentence_follows_the_interval(
    gate_evaluation: Callable[..., GateEvaluation], gain: Estimate, start: str
) -> None:
    assert gate_summary(gate_evaluation(gain, [BETTER]))[0].startswith(start)


@pytest.mark.parametrize(
    ("over", "words"),
    [(BETTER, "lies above that of"), (WORSE, "lies below that of"), (EITHER, "cannot be told apart from that of")],
)
def test_the_second_sentence_compares_with_random_exit(
    gate_evaluation: Callable[..., GateEvaluation], over: Estimate, words: str
) -> None:
    assert f"Their curve {words} random exit" in gate_summary(gate_evaluation(BETTER, [BETTER], over_random=over))[1]


def test_the_third_sentence_counts_experts(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    sentence = gate_summary(gate_evaluation(BETTER, [BETTER, WORSE, EITHER, BETTER]))[2]
    assert "better than the native confidence for 2 of 4 experts and worse for 1." in sentence


def test_scores_that_are_no_percentage_have_no_points(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    found, *_ = gate_summary(gate_evaluation(BETTER, [BETTER], percent=False))
    assert "differs by +0.0400 (+0.0200 to +0.0600)." in found


def test_tables_show_areas_heights_and_rankings(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    evaluation = gate_evaluation(BETTER, [BETTER, WORSE])
    assert area_table(evaluation).rows[0] == ("ranking gates", "70.00 (69.00 to 71.00)")
    curves = curve_table(evaluation)
    titles = [column.title for column in curves.columns]
    assert titles == ["GMACs", "ranking gates", "native confidence", "random exit", "oracle"]
    assert curves.rows[0] == ("1.00", "50.00", "50.00", "50.00", "50.00")
    assert curves.rows[-1][0] == "10.0"
    first, second = ranking_table(evaluation).rows
    assert first[:4] == ("expert0", "0.400", "0.300", "+0.040 (+0.020 to +0.060)")
    assert second[3] == "-0.040 (-0.060 to -0.020)"
    assert first[-1] == "1.2"


def test_facts_name_the_split_that_gates_were_trained_on(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    facts = dict(gate_document(gate_evaluation(BETTER, [BETTER])).facts)
    assert facts["Gates trained on"] == "pets, gates' training split, 500 samples"
    assert facts["Fitted on"] == "pets, fitting split, 800 samples"


def test_the_files_hold_every_curve(gate_evaluation: Callable[..., GateEvaluation], tmp_path: Path) -> None:
    evaluation = gate_evaluation(BETTER, [BETTER])
    files = write_gate_report(evaluation, str(tmp_path))
    rows = list(csv.DictReader(files.csv.open(encoding="utf-8")))
    assert [(row["curve"], float(row["cost"]), float(row["score"])) for row in rows] == [
        (curve.name, cost, score)
        for curve in evaluation.curves
        for cost, score in zip(curve.cost.tolist(), curve.score.tolist(), strict=True)
    ]
    data = json.loads(files.json.read_text(encoding="utf-8"))
    assert data["splits"] == {"trained_on": 500, "fitted_on": 800, "reported_on": 1000}
    assert data["gain"] == {"value": 0.04, "low": 0.02, "high": 0.06}
    assert {path.stem for path in files.paths} == {"gates"}


def test_a_ranking_without_a_value_is_a_dash(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    # Kendall's tau of a confidence that never changes is not a number.
    nan = Estimate(float("nan"), float("nan"), float("nan"))
    table = ranking_table(gate_evaluation(Estimate(0.01, 0.0, 0.02), [nan]))
    assert table.rows[0][3] == "-"
    assert not any("nan" in cell for cell in table.rows[0])
