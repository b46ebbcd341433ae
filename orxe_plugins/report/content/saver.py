"""The report of a saver, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.content.origin import figure_facts, sample_facts
from orxe_plugins.report.content.saver_tables import candidate_table, chosen_table, swept_table
from orxe_plugins.report.content.sentences import warnings
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.figures.saver import saver_figure
from orxe_plugins.report.files import ReportFiles, write_document
from orxe_plugins.report.formats import short_names, threshold_text


def saver_document(evaluation: SaverEvaluation, title: str = "") -> Document:
    """The report of a saver: candidates, TinySaver's Table 1, honest thresholds, and the picture.

    Args:
        evaluation: what to report.
        title: title of the report; by default it names the base model.
    """
    return Document(
        title=title or f"Savers for {evaluation.base}",
        summary=saver_summary(evaluation),
        warnings=warnings(evaluation.reported_on, evaluation.fitted_on, evaluation.shared_samples),
        tables=(candidate_table(evaluation), swept_table(evaluation), chosen_table(evaluation)),
        pictures=(Picture("saver", _caption(evaluation), lambda theme: saver_figure(evaluation, theme)),),
        facts=(
            *sample_facts(evaluation.reported_on, evaluation.fitted_on),
            *figure_facts(evaluation.cost_unit, evaluation.intervals),
        ),
    )


def write_saver_report(evaluation: SaverEvaluation, folder: str | Path, *, title: str = "") -> ReportFiles:
    """Write ``saver.md``, ``saver.html``, ``saver.json``, ``savers.csv`` (the candidates) and the picture.

    Args:
        evaluation: what to report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
        title: title of the report; by default it names the base model.
    """
    rows: list[dict[str, Any]] = [dict(row.__dict__) for row in evaluation.candidates]
    document = saver_document(evaluation, title)
    return write_document(document, Path(folder), "saver", evaluation.to_dict(), "savers", rows)


def saver_summary(evaluation: SaverEvaluation) -> tuple[str, ...]:
    """The best saver: what it saves on the fitting split, and where it crosses the base on the reporting split."""
    row = evaluation.saver
    saver, base = short_names([row.saver, row.base])
    if row.threshold is None:
        return (
            f"On the fitting split, {saver} is never as good as {base} on the samples with its highest confidence: "
            "it cannot save anything without a loss.",
        )
    found = (
        f"On the fitting split, {saver} is as good as {base} on the {100 * row.r_match:.1f} % of the samples on which "
        f"it is most confident (confidence at least {threshold_text(row.threshold)}): Delta C = {row.delta_c:+.3f}, "
        f"that is {_cost_words(row.delta_c)} without a loss there."
    )
    crossing = evaluation.report_curves.crossing
    if crossing:
        return found, f"On the reporting split the two cross at {100 * crossing:.1f} %."
    return found, "On the reporting split the saver is never as good as the base on what it would answer."


def _cost_words(delta_c: float) -> str:
    return f"{abs(100 * delta_c):.0f} % {'less' if delta_c < 0 else 'more'} cost"


def _caption(evaluation: SaverEvaluation) -> str:
    saver, base = short_names([evaluation.saver.saver, evaluation.base])
    return (
        f"{evaluation.metric_name} of {saver} and {base} on the samples that exit, against how many exit. Solid: "
        f"{evaluation.reported_on.title}; dashed: {evaluation.fitted_on.title}. Left of the ring the saver is at least "
        "as good on what it answers."
    )
