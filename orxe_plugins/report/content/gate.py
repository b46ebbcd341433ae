"""The report of ranking gates, and its files."""

from __future__ import annotations

import math
from pathlib import Path

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.evaluation.results import Estimate
from orxe_plugins.report.content.origin import figure_facts, sample_facts
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.figures.gate import gate_figure
from orxe_plugins.report.files import ReportFiles, write_document
from orxe_plugins.report.formats import Formats, fixed, short_names, significant
from orxe_plugins.report.tables import Column, Table

#: where curves are read, as a share of the way from the cheapest to the last expert's cost
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def gate_document(evaluation: GateEvaluation) -> Document:
    """The report: does a gate rank better than the expert's own confidence, and does the cascade gain by it?"""
    return Document(
        title="Ranking gates beside the experts' own confidence",
        summary=gate_summary(evaluation),
        warnings=(),
        tables=(area_table(evaluation), curve_table(evaluation), ranking_table(evaluation)),
        pictures=(Picture("gates", _caption(evaluation), lambda theme: gate_figure(evaluation, theme)),),
        facts=(
            ("Gates trained on", evaluation.trained_on.title),
            *sample_facts(evaluation.reported_on, evaluation.fitted_on),
            *figure_facts(evaluation.cost_unit, evaluation.intervals),
        ),
    )


def write_gate_report(evaluation: GateEvaluation, folder: str | Path) -> ReportFiles:
    """Write ``gates.md``, ``gates.html``, ``gates.json``, ``gates.csv`` and the picture.

    Args:
        evaluation: what to report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
    """
    rows = [
        {"curve": curve.name, "cost": float(cost), "score": float(score)}
        for curve in evaluation.curves
        for cost, score in zip(curve.cost, curve.score, strict=True)
    ]
    return write_document(gate_document(evaluation), Path(folder), "gates", evaluation.to_dict(), "gates", rows)


# --- sentences ----------------------------------------------------------------------------------


def gate_summary(evaluation: GateEvaluation) -> tuple[str, ...]:
    """What was found: gates against native confidence, against random exit, and by rank of the answers."""
    gain, side = _signed(evaluation, evaluation.gain), _side(evaluation, evaluation.gain)
    if side:
        verdict = "better" if side > 0 else "worse"
        found = f"The gates are {verdict} than the native confidence: the area under the curve differs by {gain}."
    else:
        found = (
            f"The gates are no better than the native confidence, as far as {evaluation.reported_on.count:,} samples "
            f"can tell: the area under the curve differs by {gain}."
        )
    over = evaluation.over_random
    lies = {1: "lies above", -1: "lies below", 0: "cannot be told apart from"}[_side(evaluation, over)]
    random = f"Their curve {lies} that of random exit between the same experts: {_signed(evaluation, over)}."
    return found, random, _ranking_sentence(evaluation)


def _ranking_sentence(evaluation: GateEvaluation) -> str:
    """For how many experts the gate ranks better, and for how many worse."""
    sides = [ranking.tau_gain.side for ranking in evaluation.rankings]
    return (
        f"By Kendall's tau, the gate ranks the answers better than the native confidence for {sides.count(1)} of "
        f"{len(sides)} experts and worse for {sides.count(-1)}."
    )


def _side(evaluation: GateEvaluation, value: Estimate) -> int:
    """On which side of 0 the interval lies: 1, -1 or 0; a value that is written as 0 is 0."""
    formats = _formats(evaluation)
    least = 0.5 * 10**-formats.digits / formats.scale
    return value.side if abs(value.value) >= least else 0


def _signed(evaluation: GateEvaluation, value: Estimate) -> str:
    text = _formats(evaluation).difference_interval(value)
    return text.replace(" (", " points (", 1) if evaluation.percent else text


def _caption(evaluation: GateEvaluation) -> str:
    return (
        f"{_title(evaluation)} against cost, thresholds fitted on {evaluation.fitted_on.title}; each point of a "
        f"curve is a policy on {evaluation.reported_on.title}."
    )


# --- tables -------------------------------------------------------------------------------------


def ranking_table(evaluation: GateEvaluation) -> Table:
    """Kendall's tau and AUROC of both confidences, one row for each expert."""
    columns = (
        Column("Expert", numeric=False),
        Column("tau, gate"),
        Column("tau, native"),
        Column("Gain"),
        Column("AUROC, gate"),
        Column("AUROC, native"),
        Column("Gain"),
        Column("Gate's MACs %", hint="share of the expert's own MACs"),
    )
    names = short_names([ranking.expert for ranking in evaluation.rankings])
    rows = tuple(
        (
            name,
            _plain(each.gate_tau),
            _plain(each.native_tau),
            _interval(each.tau_gain),
            _plain(each.gate_auroc),
            _plain(each.native_auroc),
            _interval(each.auroc_gain),
            significant(100 * each.gate_share, 2),
        )
        for name, each in zip(names, evaluation.rankings, strict=True)
    )
    note = "Kendall's tau-b of confidence and score; AUROC tells better answers from worse. Gains are paired."
    return Table(f"Ranking ({evaluation.reported_on.title})", columns, rows, note=note)


def area_table(evaluation: GateEvaluation) -> Table:
    """Mean height of each curve."""
    columns = (Column("Confidence", numeric=False), Column("Area under the curve"))
    rows = tuple((curve.name, _formats(evaluation).score_interval(curve.area)) for curve in evaluation.curves)
    note = (
        f"Mean {evaluation.metric_name} over all mean costs between the cheapest and the last expert's. The oracle "
        "knows each expert's own scores on these samples, and its thresholds are fitted to them: no confidence can "
        "rank better."
    )
    return Table(f"Area under the curves ({evaluation.reported_on.title})", columns, rows, note=note)


def curve_table(evaluation: GateEvaluation) -> Table:
    """Height of each curve on the way from the cheapest to the costliest expert."""
    formats = _formats(evaluation)
    low, high = evaluation.span
    costs = [low + share * (high - low) for share in _SHARES]
    columns = (
        Column(evaluation.cost_unit, hint="mean cost per sample"),
        *(Column(curve.name.partition(" (")[0], hint=curve.name) for curve in evaluation.curves),
    )
    rows = tuple(
        (formats.cost(cost), *(formats.score(curve.at(cost)) for curve in evaluation.curves)) for cost in costs
    )
    return Table(f"{_title(evaluation)} against cost ({evaluation.reported_on.title})", columns, rows)


def _title(evaluation: GateEvaluation) -> str:
    return evaluation.metric_name[0].upper() + evaluation.metric_name[1:]


def _formats(evaluation: GateEvaluation) -> Formats:
    """One digit more than for scores: gates differ by little."""
    return Formats(evaluation.percent, 2 if evaluation.percent else 4, evaluation.cost_unit)


def _plain(value: Estimate) -> str:
    return fixed(value.value)


def _interval(value: Estimate) -> str:
    gain, low, high = (fixed(each, sign=True) for each in (value.value, value.low, value.high))
    return f"{gain} ({low} to {high})" if math.isfinite(value.low + value.high) else gain
