"""What the report of ranking gates says."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from orxe_plugins.report.content import intervals_text, sample_facts
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.files import ReportFiles, write_document
from orxe_plugins.report.formats import cost_unit_meaning, short_names
from orxe_plugins.report.gate import GateEvaluation
from orxe_plugins.report.results import Estimate
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.report.theme import LIGHT, Theme, new_figure, styled

_STYLES = {"ranking gates": "solid", "native confidence": (0, (4, 2)), "random exit": (0, (1, 1.5))}


def gate_document(evaluation: GateEvaluation) -> Document:
    """The report: does a gate rank better than the expert's own confidence, and does the cascade gain by it?"""
    return Document(
        title="Ranking gates beside the experts' own confidence",
        summary=summary(evaluation),
        warnings=(),
        tables=(ranking_table(evaluation), area_table(evaluation)),
        pictures=(Picture("gates", _caption(evaluation), lambda theme: gate_figure(evaluation, theme)),),
        facts=(
            ("Gates trained on", evaluation.trained_on.title),
            *sample_facts(evaluation.reported_on, evaluation.fitted_on),
            ("Cost", cost_unit_meaning(evaluation.cost_unit)),
            ("Intervals", intervals_text(evaluation.intervals)),
        ),
    )


def write_gate_report(evaluation: GateEvaluation, folder: Path) -> ReportFiles:
    """Write ``gates.md``, ``gates.html``, ``gates.json``, ``gates.csv`` and the picture."""
    rows = [
        {"curve": curve.name, "cost": float(cost), "score": float(score)}
        for curve in evaluation.curves
        for cost, score in zip(curve.cost, curve.score, strict=True)
    ]
    return write_document(gate_document(evaluation), folder, "gates", evaluation.to_dict(), "gates", rows)


def summary(evaluation: GateEvaluation) -> tuple[str, ...]:
    """What was found."""
    gain = _signed(evaluation, evaluation.gain)
    if evaluation.better:
        found = f"The gates are better than the native confidence: the area under the curve differs by {gain}."
    elif evaluation.gain.high < 0:
        found = f"The gates are worse than the native confidence: the area under the curve differs by {gain}."
    else:
        found = (
            f"The gates are no better than the native confidence, as far as {evaluation.reported_on.count:,} samples "
            f"can tell: the area under the curve differs by {gain}."
        )
    over = evaluation.over_random
    beats = "above" if over.low > 0 else "below" if over.high < 0 else "not told apart from"
    random = f"Their curve is {beats} that of random exit between the same experts: {_signed(evaluation, over)}."
    return found, random


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
            f"{100 * each.gate_share:.2f}",
        )
        for name, each in zip(names, evaluation.rankings, strict=True)
    )
    note = "Kendall's tau-b of confidence and score; AUROC tells better answers from worse. Gains are paired."
    return Table(f"Ranking ({evaluation.reported_on.title})", columns, rows, note=note)


def area_table(evaluation: GateEvaluation) -> Table:
    """Mean height of each curve."""
    columns = (Column("Confidence", numeric=False), Column("Area under the curve"))
    rows = tuple((curve.name, _score(evaluation, curve.area)) for curve in evaluation.curves)
    note = (
        f"Mean {evaluation.metric_name} over all mean costs between the cheapest and the last expert's. The oracle "
        "knows each expert's own scores on these samples, thresholds fitted to them too: nothing can rank better."
    )
    return Table(f"Score against cost ({evaluation.reported_on.title})", columns, rows, note=note)


def gate_figure(evaluation: GateEvaluation, theme: Theme = LIGHT) -> Figure:
    """Score against cost of the gates, the native confidence, random exit and the oracle."""
    colours = (theme.cascade, theme.base, theme.ink, theme.muted)
    scale = 100.0 if evaluation.percent else 1.0
    with styled(theme):
        figure = new_figure(width=7.4, height=4.6)
        axes = figure.subplots()
        for curve, colour in zip(evaluation.curves, colours, strict=True):
            style = _STYLES.get(curve.name, (0, (6, 1.5, 1, 1.5)))
            axes.plot(curve.cost, scale * curve.score, color=colour, linestyle=style, label=curve.name)
        axes.set_xlabel(f"cost per sample ({evaluation.cost_unit})")
        axes.set_ylabel(f"{evaluation.metric_name}{' (%)' if evaluation.percent else ''}")
        axes.set_title(f"Ranking gates ({evaluation.reported_on.title})")
        figure.legend(loc="outside lower center", ncols=2)
        return figure


def _caption(evaluation: GateEvaluation) -> str:
    return (
        f"{evaluation.metric_name} against cost, thresholds fitted on {evaluation.fitted_on.title}; each point of a "
        f"curve is a policy on {evaluation.reported_on.title}."
    )


def _plain(value: Estimate) -> str:
    return f"{value.value:.3f}"


def _interval(value: Estimate) -> str:
    return f"{value.value:+.3f} ({value.low:+.3f} to {value.high:+.3f})"


def _score(evaluation: GateEvaluation, value: Estimate) -> str:
    scale, digits = (100, 2) if evaluation.percent else (1, 4)
    return f"{scale * value.value:.{digits}f} ({scale * value.low:.{digits}f} to {scale * value.high:.{digits}f})"


def _signed(evaluation: GateEvaluation, value: Estimate) -> str:
    scale, digits = (100, 2) if evaluation.percent else (1, 4)
    unit = " points" if evaluation.percent else ""
    ends = f"{scale * value.low:+.{digits}f} to {scale * value.high:+.{digits}f}"
    return f"{scale * value.value:+.{digits}f}{unit} ({ends})"
