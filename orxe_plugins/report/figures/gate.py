"""The picture of ranking gates: score against cost for each kind of confidence."""

from __future__ import annotations

from matplotlib.figure import Figure

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.report.formats import metric_axis
from orxe_plugins.report.theme import LIGHT, NARROW_WIDTH, Theme, new_figure, styled

_STYLES = {"ranking gates": "solid", "native confidence": (0, (4, 2)), "random exit": (0, (1, 1.5))}


def gate_figure(evaluation: GateEvaluation, theme: Theme = LIGHT) -> Figure:
    """Score against cost of the gates, the native confidence, random exit and the oracle.

    Args:
        evaluation: what to draw.
        theme: its colours.
    """
    colours = (theme.cascade, theme.base, theme.muted, theme.ink)
    scale = 100.0 if evaluation.percent else 1.0
    with styled(theme):
        figure = new_figure(NARROW_WIDTH, 4.4) if theme.narrow else new_figure(width=7.4, height=4.6)
        axes = figure.subplots()
        for curve, colour in zip(evaluation.curves, colours, strict=True):
            style = _STYLES.get(curve.name, (0, (6, 1.5, 1, 1.5)))
            axes.plot(curve.cost, scale * curve.score, color=colour, linestyle=style, label=curve.name)
        axes.set_xlabel(theme.lines(f"cost per sample ({evaluation.cost_unit})"))
        axes.set_ylabel(theme.lines(f"mean {metric_axis(evaluation.metric_name, evaluation.percent)}"))
        axes.set_title(theme.lines(f"Ranking gates ({evaluation.reported_on.title})"))
        figure.legend(loc="outside lower center", ncols=1 if theme.narrow else 2)
        return figure
