from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.content.saver import saver_document, saver_summary, write_saver_report
from orxe_plugins.report.content.saver_tables import candidate_table, chosen_table, swept_table


def test_the_summary_says_what_the_saver_saves(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    found, there = saver_summary(saver_evaluation())
    assert found.startswith("On the fitting split, tiny is as good as big on the 55.0 % of the samples")
    assert "(confidence at least 0.700): Delta C = -0.450, that is 45 % less cost" in found
    assert there == "On the reporting split the two cross at 60.0 %."


def test_the_summary_says_so_where_the_saver_is_never_as_good(
    saver_evaluation: Callable[..., SaverEvaluation],
) -> None:
    (alone,) = saver_summary(saver_evaluation(threshold=None))
    assert "tiny is never as good as big" in alone
    assert "cannot save anything without a loss" in alone
    _, there = saver_summary(saver_evaluation(crossing=0.0))
    assert there.startswith("On the reporting split the saver is never as good")


def test_candidates_are_listed_and_the_one_in_detail_is_marked(
    saver_evaluation: Callable[..., SaverEvaluation],
) -> None:
    table = candidate_table(saver_evaluation())
    assert table.rows == (
        ("tiny", "-0.450", "55.0", "0.700", "1.00", "79.0"),
        ("mid<dle>", "+0.500", "0.0", "-", "5.00", "80.0"),
    )
    assert table.marked == {0}
    assert table.note == "Base model: timm:big, 10.0 GMACs, top1 % 90.0."


def test_swept_thresholds_have_the_columns_of_table_1(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    rows = {row[0]: row[1:] for row in swept_table(saver_evaluation()).rows}
    assert rows["big alone (base)"] == ("10.0", "0 %", "90.0")
    assert rows["tiny alone (saver)"] == ("1.00", "-90 %", "79.0")
    # The saver alone keeps within the drop: nothing of the base is needed.
    assert rows["needed at a drop of at most 1 %"] == ("-", "-", "at least 89.0")
    assert rows["needed at a drop of at most 0 %"] == ("4.50", "-55 %", "at least 90.0")
    assert rows["best top1"] == ("6.00", "-40 %", "90.4 (+0.4)")


def test_chosen_thresholds_carry_their_intervals(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    (row,) = chosen_table(saver_evaluation()).rows
    assert row[:4] == ("1 %", "0.650", "60.0", "5.00")
    assert row[4:] == ("-50 % (-55 % to -45 %)", "89.5 (87.5 to 91.5)", "-0.5 (-1.5 to +0.5)")
    ((drop, *_),) = chosen_table(saver_evaluation(percent=False)).rows
    assert drop == "0.01"


def test_samples_of_both_splits_are_a_warning(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    assert saver_document(saver_evaluation()).warnings == ()
    (warning,) = saver_document(saver_evaluation(shared_samples=12)).warnings
    assert warning.startswith("12 of the 1,000 samples")


def test_the_files_hold_the_candidates(saver_evaluation: Callable[..., SaverEvaluation], tmp_path: Path) -> None:
    evaluation = saver_evaluation()
    files = write_saver_report(evaluation, tmp_path)
    rows = list(csv.DictReader(files.csv.open(encoding="utf-8")))
    assert [row["saver"] for row in rows] == ["timm:tiny", "timm:mid<dle>"]
    assert [float(row["delta_c"]) for row in rows] == [-0.45, 0.5]
    data = json.loads(files.json.read_text(encoding="utf-8"))
    assert data["title"] == "Savers for timm:big"
    assert data["r_match_on_reporting_split"] == 0.6
    assert "mid&lt;dle&gt;" in files.html.read_text(encoding="utf-8")
    names = ["saver.html", "saver.json", "saver.md", "saver.png", "saver.svg", "savers.csv"]
    assert sorted(path.name for path in files.paths) == names
