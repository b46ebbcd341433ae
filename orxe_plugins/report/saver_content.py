"""What the report of a saver says, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.content import intervals_text, sample_facts, warnings
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.figures.saver import saver_figure
from orxe_plugins.report.files import ReportFiles, write_document
from orxe_plugins.report.formats import Formats, cost_unit_meaning, short_names
from orxe_plugins.report.tables import Column, Table


def saver_document(evaluation: SaverEvaluation, title: str = "") -> Document:
    """The report of a saver: candidates, TinySaver's Table 1, honest thresholds, and the picture."""
    return Document(
        title=title or f"Savers for {evaluation.base}",
        summary=saver_summary(evaluation),
        warnings=warnings(evaluation.reported_on, evaluation.fitted_on, evaluation.shared_samples),
        tables=(candidate_table(evaluation), swept_table(evaluation), chosen_table(evaluation)),
        pictures=(Picture("saver", _caption(evaluation), lambda theme: saver_figure(evaluation, theme)),),
        facts=(
            *sample_facts(evaluation.reported_on, evaluation.fitted_on),
            ("Cost", cost_unit_meaning(evaluation.cost_unit)),
            ("Intervals", intervals_text(evaluation.intervals)),
        ),
    )


def write_saver_report(evaluation: SaverEvaluation, folder: str | Path, *, title: str = "") -> ReportFiles:
    """Write ``saver.md``, ``saver.html``, ``saver.json``, ``savers.csv`` (the candidates) and the picture.

    Args:
        evaluation: what to report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
        title: head of the report; by default it names the base model.
    """
    rows: list[dict[str, Any]] = [dict(row.__dict__) for row in evaluation.candidates]
    document = saver_document(evaluation, title)
    return write_document(document, Path(folder), "saver", evaluation.to_dict(), "savers", rows)


def saver_summary(evaluation: SaverEvaluation) -> tuple[str, ...]:
    """The best saver in two sentences."""
    row = evaluation.saver
    saver, base = short_names([row.saver, row.base])
    if row.threshold is None:
        return (
            f"{saver} is never as good as {base} on the samples that it is sure of (fitting split): "
            "it cannot save anything without a loss.",
        )
    found = (
        f"On the fitting split, {saver} is as good as {base} on the {100 * row.r_match:.1f} % of the samples that it "
        f"is surest of (confidence at least {row.threshold:.3f}): Delta C = {row.delta_c:+.3f}, that is "
        f"{_cost_words(row.delta_c)} without a loss there."
    )
    crossing = evaluation.report_curves.crossing
    there = f"On the reporting split the two cross at {100 * crossing:.1f} %." if crossing else (
        "On the reporting split the saver is never as good as the base on what it would answer."
    )  # fmt: skip
    return found, there


def candidate_table(evaluation: SaverEvaluation) -> Table:
    """The candidates by Delta C."""
    formats = _formats(evaluation)
    metric = _metric(evaluation)
    columns = (
        Column("Saver", numeric=False),
        Column("Delta C", hint="saver cost / base cost - r_match (TinySaver, Eq. 10); below 0 the saver pays"),
        Column("r_match %", hint="largest exit ratio at which the saver is at least as good as the base (Eq. 6)"),
        Column("Threshold"),
        Column(evaluation.cost_unit, hint=cost_unit_meaning(evaluation.cost_unit)),
        Column(metric, hint="of the saver alone"),
    )
    names = short_names([row.saver for row in evaluation.candidates], width=48)
    rows = tuple(
        (
            name,
            f"{row.delta_c:+.3f}",
            f"{100 * row.r_match:.1f}",
            "-" if row.threshold is None else f"{row.threshold:.3f}",
            formats.cost(row.saver_cost),
            formats.score(row.saver_score),
        )
        for name, row in zip(names, evaluation.candidates, strict=True)
    )
    marked = frozenset(i for i, row in enumerate(evaluation.candidates) if row.saver == evaluation.saver.saver)
    first = evaluation.candidates[0]
    note = (
        f"Base model: {evaluation.base}, {formats.cost(first.base_cost)} {evaluation.cost_unit}, "
        f"{metric} {formats.score(first.base_score)}."
    )
    return Table(f"Savers by Delta C ({evaluation.fitted_on.title})", columns, rows, marked, note)


def swept_table(evaluation: SaverEvaluation) -> Table:
    """The columns of TinySaver's Table 1 for the best pair, one below the other."""
    table, formats, metric = evaluation.table, _formats(evaluation), _metric(evaluation)
    saver, base = short_names([table.saver, table.base])

    def row(what: str, cost: float | None, score: str) -> tuple[str, ...]:
        if cost is None:
            return (what, "-", "-", score)
        return (what, formats.cost(cost), formats.change(cost / table.base_cost), score)

    rows = (
        row(f"{base} alone (base)", table.base_cost, formats.score(table.base_score)),
        row(f"{saver} alone (saver)", table.saver_cost, formats.score(table.saver_score)),
        *(
            row(
                f"needed at a drop of at most {drop_text(drop, evaluation.percent)}",
                cost,
                f"at least {formats.score(table.base_score - drop)}",
            )
            for drop, cost in zip(table.drops, table.needed_cost, strict=True)
        ),
        row(
            f"best {evaluation.metric_name}",
            table.best_cost,
            f"{formats.score(table.best_score)} ({formats.difference(table.best_score - table.base_score)})",
        ),
    )
    columns = (Column("", numeric=False), Column(evaluation.cost_unit), Column("Cost change"), Column(metric))
    note = (
        "As in TinySaver's Table 1, thresholds were swept on this very split: the figures flatter the pair. "
        "A dash: the saver alone keeps within the drop."
    )
    return Table(f"Thresholds swept ({evaluation.reported_on.title})", columns, rows, note=note)


def chosen_table(evaluation: SaverEvaluation) -> Table:
    """Thresholds that were chosen on the fitting split, on the reporting split."""
    formats = _formats(evaluation)
    columns = (
        Column("Allowed drop"),
        Column("Threshold"),
        Column("Exit share %"),
        Column(evaluation.cost_unit),
        Column("Cost change"),
        Column(_metric(evaluation), hint="with its interval"),
        Column("Paired difference", hint="score minus the base's on the same samples"),
    )
    rows = tuple(
        (
            drop_text(each.drop, evaluation.percent),
            f"{each.threshold:.3f}",
            formats.share(each.result.exit_share[0]),
            formats.cost(each.result.cost.value),
            formats.change_interval(each.result.cost_ratio),
            formats.score_interval(each.result.score),
            formats.difference_interval(each.result.score_difference),
        )
        for each in evaluation.chosen
    )
    note = "The lowest threshold that keeps the allowed drop on the fitting split; figures are of the reporting split."
    return Table(f"Thresholds chosen on the fitting split ({evaluation.reported_on.title})", columns, rows, note=note)


def drop_text(drop: float, percent: bool) -> str:
    """An allowed drop: 0.5 %, or 0.005 for scores that are no fractions."""
    return f"{100 * drop:g} %" if percent else f"{drop:g}"


def _cost_words(delta_c: float) -> str:
    return f"{abs(100 * delta_c):.0f} % {'less' if delta_c < 0 else 'more'} cost"


def _formats(evaluation: SaverEvaluation) -> Formats:
    return Formats.for_samples(evaluation.reported_on.count, evaluation.percent, evaluation.cost_unit)


def _metric(evaluation: SaverEvaluation) -> str:
    return f"{evaluation.metric_name} %" if evaluation.percent else evaluation.metric_name


def _caption(evaluation: SaverEvaluation) -> str:
    saver, base = short_names([evaluation.saver.saver, evaluation.base])
    return (
        f"{evaluation.metric_name} of {saver} and {base} on the samples that exit, against how many exit. Solid: "
        f"{evaluation.reported_on.title}; dashed: {evaluation.fitted_on.title}. Left of the ring the saver is at least "
        "as good on what it answers."
    )
