from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.evaluation.samples import IntervalSettings, Samples
from orxe_plugins.report.content.evaluation import evaluation_document, frontier_caption, write_report


def test_the_title_names_the_data_set_unless_it_is_given(evaluation: Callable[..., Evaluation]) -> None:
    assert evaluation_document(evaluation()).title == "Cascade on pets"
    assert evaluation_document(evaluation(reported_on=Samples("", "split", 5))).title == "Cascade"
    assert evaluation_document(evaluation(), "Mine").title == "Mine"


def test_captions_name_the_samples_the_level_and_the_unit(evaluation: Callable[..., Evaluation]) -> None:
    caption = frontier_caption(evaluation(intervals=IntervalSettings(level=0.9)))
    assert "pets, reporting split, 1,000 samples" in caption
    assert "90 % intervals" in caption
    assert "1 MAC = 2 FLOPs" in caption


def test_the_files_say_what_the_document_says(evaluation: Callable[..., Evaluation], tmp_path: Path) -> None:
    files = write_report(evaluation(), tmp_path, title="Mine")
    assert files.markdown.read_text(encoding="utf-8").startswith("# Mine\n\nThe cascade saves 60 % of the GMACs.\n\n")
    assert len(files.csv.read_text(encoding="utf-8").splitlines()) == 1 + 4 + 3
