from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import orxe_plugins
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.content.evaluation import evaluation_document, write_report
from orxe_plugins.report.document import Document
from orxe_plugins.report.files import ReportFiles, to_csv, write_document


@pytest.fixture(scope="module")
def written(
    evaluation: Callable[..., Evaluation], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, ReportFiles]:
    reported = evaluation()
    return reported, write_report(reported, tmp_path_factory.mktemp("run") / "made" / "on the way")


def test_the_files_named_are_the_files_there(written: tuple[Evaluation, ReportFiles]) -> None:
    _, files = written
    assert set(files.paths) == set(files.html.parent.iterdir())
    assert sorted(path.name for path in files.paths) == [
        "frontier.png", "frontier.svg", "policies.csv", "report.html", "report.json", "report.md",
        "shares.png", "shares.svg",
    ]  # fmt: skip


def test_json_holds_the_evaluation_and_the_sentences(written: tuple[Evaluation, ReportFiles]) -> None:
    evaluation, files = written
    document = evaluation_document(evaluation)
    data = json.loads(files.json.read_text(encoding="utf-8"))
    assert data.pop("title") == document.title
    assert data.pop("summary") == list(document.summary)
    assert data.pop("warnings") == []
    assert data == json.loads(json.dumps(evaluation.to_dict()))


def test_json_is_strict_where_something_is_not_known(evaluation: Callable[..., Evaluation], tmp_path: Path) -> None:
    unknown = evaluation()
    object.__setattr__(unknown.policies[0], "fit_score", float("nan"))
    document = Document("t", (), (), (), (), ())
    files = write_document(document, tmp_path, "report", unknown.to_dict(), "policies", [{"a": 1}])

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    data = json.loads(files.json.read_text(encoding="utf-8"), parse_constant=refuse)
    assert data["policies"][0]["fit_score"] is None


def test_markdown_and_page_are_those_of_the_document(written: tuple[Evaluation, ReportFiles]) -> None:
    evaluation, files = written
    assert files.markdown.read_text(encoding="utf-8") == evaluation_document(evaluation).to_markdown()
    assert f"Made with orxe-plugins {orxe_plugins.__version__}" in files.html.read_text(encoding="utf-8")


def test_pictures_can_be_opened_and_are_not_blank(written: tuple[Evaluation, ReportFiles]) -> None:
    _, files = written
    for path in (path for path in files.pictures if path.suffix == ".png"):
        with Image.open(path) as image:
            assert image.width > 600
            assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_a_report_replaces_an_earlier_one(tmp_path: Path) -> None:
    for title in ("first", "second"):
        files = write_document(Document(title, (), (), (), (), ()), tmp_path, "report", {}, "rows", [{"a": title}])
    assert files.markdown.read_text(encoding="utf-8").startswith("# second")
    assert files.csv.read_text(encoding="utf-8") == "a\nsecond\n"
    assert len(list(tmp_path.iterdir())) == 4


def test_csv_keeps_commas_quotes_and_full_precision() -> None:
    rows = [{"name": 'a, "b"', "value": 1 / 3, "none": None}, {"name": "c\nd", "value": 1e-17, "none": None}]
    back = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [row["name"] for row in back] == ['a, "b"', "c\nd"]
    assert [float(row["value"]) for row in back] == [1 / 3, 1e-17]
    assert {row["none"] for row in back} == {""}
