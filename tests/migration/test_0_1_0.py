"""Files that release 0.1.0 wrote load today, and say the same: ``make_0_1_0.py`` beside this file made them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import OrxeError, Policy, Records, load_records, replay
from orxe_plugins.cascade.file import CascadeFile, read_cascade, write_cascade

FOLDER = Path(__file__).resolve().parent / "0_1_0"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What the release itself read of these files."""
    return json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the run's folder: reading old files must not change them, but may lock them."""
    return shutil.copytree(FOLDER, tmp_path / "run")


def cascade(run: Path) -> CascadeFile:
    """Its experts' weights lay outside of the run's folder, and are gone."""
    return read_cascade(run / "cascade", trust=True)


def records(run: Path, expected: dict[str, Any]) -> Records:
    return load_records(run / "records").experts(expected["names"])


def test_records_hold_the_same(run: Path, expected: dict[str, Any]) -> None:
    loaded = records(run, expected)
    assert list(loaded.sample_ids) == expected["samples"]
    assert loaded.cost.tolist() == expected["cost"]
    assert loaded.confidence.tolist() == expected["confidence"]
    assert loaded.score.tolist() == expected["score"]


def test_the_table_holds_the_same_rows(run: Path, expected: dict[str, Any]) -> None:
    table = cascade(run).table
    assert len(table) == len(expected["rows"])
    for row, wanted in zip(table, expected["rows"], strict=True):
        assert (row.preference, row.cost, row.score) == (wanted["preference"], wanted["cost"], wanted["score"])
        assert list(row.policy.exit_thresholds) == wanted["exit"]
        assert list(row.policy.skip_thresholds) == wanted["skip"]


def test_a_preference_gives_the_same_policy(run: Path, expected: dict[str, Any]) -> None:
    table = cascade(run).table
    for preference, wanted in expected["at"].items():
        assert list(table.at(float(preference)).policy.exit_thresholds) == wanted


def test_samples_take_the_same_routes(run: Path, expected: dict[str, Any]) -> None:
    loaded = records(run, expected)
    answered = set()
    for wanted in expected["rows"]:
        outcome = replay(loaded, Policy(tuple(wanted["exit"]), tuple(wanted["skip"])))
        assert outcome.expert.tolist() == wanted["expert"]
        assert outcome.cost == pytest.approx(wanted["replayed_cost"], rel=1e-12)
        assert outcome.score == pytest.approx(wanted["replayed_score"], rel=1e-12)
        answered |= {*wanted["expert"]}
    assert len(answered) > 1  # else routes would say little


def test_a_cascade_that_is_written_again_is_the_same(run: Path, tmp_path: Path) -> None:
    old = cascade(run)
    write_cascade(tmp_path / "new", old)
    new = read_cascade(tmp_path / "new", trust=True)
    assert list(new.table) == list(old.table)
    assert [spec.address for spec in new.specs] == [spec.address for spec in old.specs]
    assert new.task == old.task and new.input_view == old.input_view


def test_a_newer_schema_is_refused_by_name(run: Path) -> None:
    file = run / "cascade" / "cascade.json"
    raw = json.loads(file.read_text())
    file.write_text(json.dumps(raw | {"schema_version": raw["schema_version"] + 1}))
    with pytest.raises(OrxeError, match="schema version 2, this release reads up to 1"):
        read_cascade(run / "cascade", trust=True)
    manifest = run / "records" / "dataset.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 2}))
    with pytest.raises(OrxeError, match="has schema 2: this version reads schema 1"):
        load_records(run / "records")


def test_its_report_can_still_be_read_as_figures(expected: dict[str, Any]) -> None:
    report = json.loads((FOLDER / "report" / "report.json").read_text(encoding="utf-8"))
    assert [expert["name"] for expert in report["experts"]] == expected["names"]
    assert np.isfinite([row["cost"]["value"] for row in report["policies"]]).all()
