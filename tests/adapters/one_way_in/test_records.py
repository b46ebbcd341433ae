"""Records and `orxe predict` on a folder of odd files: the same answers, and the same files are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orxe_plugins import Cascade
from orxe_plugins.cascade.save import save_cascade
from orxe_plugins.cli.predictions import PredictOptions, print_predictions
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.policies.selection import Selection
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import task_named
from orxe_plugins.util.progress import Silent

pytestmark = pytest.mark.filterwarnings("ignore")


def test_records_and_predict_answer_and_name_the_same_files(
    odd: Path, classifiers: Cascade, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, task = ImageFolder(odd), task_named("classification")
    records = record(
        classifiers.members, dataset, tmp_path / "records", task=task, options=RecordOptions(keep="all", workers=2)
    )
    unreadable = {"32 bit.tif", "cut off.png", "cut off.jpg", "empty.png", "text.png"}
    assert {Path(sample).name for sample, _ in records.skipped} == unreadable
    notes = " ".join(records.details["dataset"]["notes"])
    assert "link to nothing.png" in notes
    assert "notes.txt" in notes

    save_cascade(classifiers, tmp_path / "cascade")
    assert not print_predictions(
        tmp_path / "cascade", [str(odd)], PredictOptions(Selection(0.5), as_json=True), Silent()
    )
    printed = capsys.readouterr()
    answers = {Path(row["image"]).relative_to(odd).as_posix(): row for row in map(json.loads, printed.out.splitlines())}
    ids = records.sample_ids.tolist()
    assert sorted(answers) == sorted(ids)
    for i, sample in enumerate(ids):
        expert = 0 if records.confidence[0, i] >= 0.5 else 1
        assert answers[sample]["confidence"] == pytest.approx(float(records.confidence[expert, i]), abs=2e-3)
        assert answers[sample]["class"] == int(records.predictions["log_probs"][expert, i].argmax())
    said = "".join(printed.err.split())
    for name in unreadable:
        assert f"{name.replace(' ', '')}:" in said
