from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from orxe_plugins import OrxeError, Records, fit_policies, replay
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.saver import evaluate_saver
from orxe_plugins.report.content import evaluation_document, saver_document, write_report, write_saver_report
from orxe_plugins.report.tables import Column, Table

LETTERS = st.characters(min_codepoint=33, max_codepoint=126)
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
    return Records.from_arrays(["<small>", "mid|dle", "large"], [1, 3, 10], confidence, score, ids, details=details)


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
    assert evaluate(table, report).choice == evaluate(table, flipped).choice


def test_files_say_the_same_and_escape_names(splits: tuple[Records, Records], tmp_path: Path) -> None:
    fit, report = splits
    evaluation = evaluate(fit_policies(fit, [0, 0.5, 1]), report, fitted_on=fit, metric=TOP1, data="made up")
    files = write_report(evaluation, tmp_path)
    page = files.html.read_text()
    assert "&lt;small&gt;" in page
    assert "<small>" not in page
    assert "mid\\|dle" in files.markdown.read_text()
    data = json.loads(files.json.read_text())
    assert [row["preference"] for row in data["policies"]] == [0, 0.5, 1]
    rows = list(csv.DictReader(io.StringIO(files.csv.read_text())))
    assert len(rows) == 3 + 3
    assert {picture.suffix for picture in files.pictures} == {".png", ".svg"}
    for picture in (path for path in files.pictures if path.suffix == ".png"):
        with Image.open(picture) as image:
            assert image.width > 600
            assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 20


def test_shared_samples_and_augmentation_are_said(splits: tuple[Records, Records]) -> None:
    fit, _ = splits
    report = made_up(seed=0, augment="rand-m9", path="tensor")
    text = evaluation_document(evaluate(fit_policies(fit, [0.5]), report, fitted_on=fit)).warnings
    assert any("400 of the 400 samples" in line for line in text)
    assert any("rand-m9" in line for line in text)


def test_a_table_for_other_experts_is_refused(splits: tuple[Records, Records]) -> None:
    fit, report = splits
    with pytest.raises(OrxeError, match="2 experts"):
        evaluate(fit_policies(fit, [0.5]), report.experts([0, 2]))
    with pytest.raises(OrxeError, match="holds no sample"):
        evaluate(fit_policies(fit, [0.5]), report.samples(slice(0, 0)))


def test_the_saver_report_holds_the_columns_of_table_1(splits: tuple[Records, Records], tmp_path: Path) -> None:
    fit, report = splits
    evaluation = evaluate_saver(fit, report, "large", metric_name="top1")
    text = "\n".join(table.to_markdown() for table in saver_document(evaluation).tables)
    assert evaluation.saver.saver in ("<small>", "mid|dle")
    assert [row.delta_c for row in evaluation.candidates] == sorted(row.delta_c for row in evaluation.candidates)
    for drop in evaluation.table.drops:
        assert f"{100 * drop:g}" in text
    assert evaluation.table.saver_score == pytest.approx(report.mean_score[report.index(evaluation.saver.saver)])
    files = write_saver_report(evaluation, tmp_path)
    assert files.pictures[0].stat().st_size > 5000


@settings(max_examples=60)
@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=25), min_size=1, max_size=6
    ),
    st.integers(50, 200),
)
def test_no_cell_is_ever_cut_off(cells: list[str], width: int) -> None:
    table = Table("t", tuple(Column(f"c{i}", numeric=i % 2 == 0) for i in range(len(cells))), (tuple(cells),))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    table.print(console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in printed
    for cell in cells:
        # A folded cell goes on in the next line: every letter is still there.
        assert all(printed.count(letter) >= 1 for letter in cell)
