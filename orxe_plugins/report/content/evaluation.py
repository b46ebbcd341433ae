"""The report of an evaluation, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from orxe_plugins.errors import check_type
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.charts import ChartGroup
from orxe_plugins.report.content.behaviour import behaviour_charts, class_table, exit_table
from orxe_plugins.report.content.boxes import box_parts, has_boxes
from orxe_plugins.report.content.choices import chooser_data
from orxe_plugins.report.content.examples import example_galleries
from orxe_plugins.report.content.origin import evaluation_facts
from orxe_plugins.report.content.policy_rows import policy_rows
from orxe_plugins.report.content.promises import promise_table
from orxe_plugins.report.content.sentences import highlights, summary, warnings
from orxe_plugins.report.content.tables import expert_table, policy_table, threshold_table
from orxe_plugins.report.content.times import time_table
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.figures.frontier import frontier_figure
from orxe_plugins.report.figures.shares import shares_figure
from orxe_plugins.report.files import ReportFiles, write_document
from orxe_plugins.report.formats import cost_unit_meaning
from orxe_plugins.report.gallery import Gallery
from orxe_plugins.report.tables import Table

_SHARES_CAPTION = (
    "Share of the samples that each expert answers, against the preference; between two preferences the nearer "
    "one's policy holds."
)


@dataclass(frozen=True)
class _Parts:
    """What only records and samples can tell."""

    tables: tuple[Table, ...] = ()
    charts: tuple[ChartGroup, ...] = ()
    galleries: tuple[Gallery, ...] = ()


def _parts(evaluation: Evaluation, evidence: Evidence) -> _Parts:
    tables = [exit_table(evaluation, evidence)]
    charts = list(behaviour_charts(evaluation, evidence))
    if has_boxes(evidence):
        sizes, curves = box_parts(evaluation, evidence)
        tables.append(sizes)
        charts.append(curves)
    elif (classes := class_table(evaluation, evidence)) is not None:
        tables.append(classes)
    return _Parts(tuple(tables), tuple(charts), example_galleries(evaluation, evidence))


def evaluation_document(evaluation: Evaluation, title: str = "", evidence: Evidence | None = None) -> Document:
    """The report of an evaluation.

    Args:
        evaluation: what to report.
        title: title of the report; by default it names the data set.
        evidence: what the evaluation was made of: with it, the HTML page also shows how the experts behave.
    """
    name = evaluation.reported_on.data
    parts = _Parts() if evidence is None else _parts(evaluation, evidence)
    return Document(
        title=title or (f"Cascade on {name}" if name else "Cascade"),
        summary=summary(evaluation),
        warnings=(
            *(f"{note}." for note in evaluation.notes),
            *warnings(evaluation.reported_on, evaluation.fitted_on, evaluation.shared_samples),
        ),
        tables=(
            policy_table(evaluation),
            *((promise_table(evaluation),) if evaluation.promises else ()),
            expert_table(evaluation),
            *((time_table(evaluation, evaluation.times),) if evaluation.times is not None else ()),
            threshold_table(evaluation),
            *parts.tables,
        ),
        pictures=(
            Picture("frontier", frontier_caption(evaluation), lambda theme: frontier_figure(evaluation, theme)),
            Picture("shares", _SHARES_CAPTION, lambda theme: shares_figure(evaluation, theme)),
        ),
        facts=evaluation_facts(evaluation),
        highlights=highlights(evaluation),
        chooser=chooser_data(evaluation, evidence),
        charts=parts.charts,
        galleries=parts.galleries,
    )


def frontier_caption(evaluation: Evaluation) -> str:
    """Caption of the picture of score against cost."""
    return (
        f"{evaluation.metric_name} against cost ({evaluation.reported_on.title}). Every policy that can be chosen is "
        "there; the line joins those that no other one beat where they were fitted, in steps, as nothing lies between "
        f"two of them. Bars are {100 * evaluation.intervals.level:g} % intervals; the dashed line is reached by "
        "answering a random share of the samples with one expert and the rest with another. "
        f"{cost_unit_meaning(evaluation.cost_unit)}."
    )


def write_report(
    evaluation: Evaluation, folder: str | Path, *, title: str = "", evidence: Evidence | None = None
) -> ReportFiles:
    """Write the report of an evaluation: ``report.md``, ``report.html``, ``report.json``, ``policies.csv``, pictures.

    Args:
        evaluation: what to report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
        title: title of the report; by default it names the data set.
        evidence: what the evaluation was made of: with it, the HTML page also shows how the experts behave.
    """
    check_type("evaluation", evaluation, Evaluation, "evaluate(table, records) gives one")
    check_type("folder", folder, (str, PathLike), "the path of a folder")
    check_type("evidence", evidence, (Evidence, type(None)), "Evidence(records) tells what was evaluated")
    document = evaluation_document(evaluation, title, evidence)
    return write_document(document, Path(folder), "report", evaluation.to_dict(), "policies", policy_rows(evaluation))
