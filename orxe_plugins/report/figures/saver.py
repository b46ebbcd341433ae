"""The picture of a saver and its base: scores on the samples that exit, against how many exit."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from orxe_plugins.errors import check_type
from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.formats import metric_axis, short_names
from orxe_plugins.report.letters import drawn
from orxe_plugins.report.theme import LIGHT, NARROW_WIDTH, Theme, new_figure, styled
from orxe_plugins.search.savers import SaverCurves

# The mean of fewer samples than this, or of a smaller share, varies too much to set the limits of the picture.
_MIN_SAMPLES, _MIN_SHARE = 10, 0.02


def saver_figure(evaluation: SaverEvaluation, theme: Theme = LIGHT) -> Figure:
    """Score of saver and base on the samples that exit, against the exit ratio, with the crossing marked.

    Solid lines are the reporting split, dashed ones the fitting split (TinySaver Fig. 3 and 6, ORXE
    Fig. E2). Left of its crossing, the saver is at least as good as the base on what it answers.

    Args:
        evaluation: what to draw.
        theme: its colours.
    """
    check_type("evaluation", evaluation, SaverEvaluation, "evaluate_saver(fit, report, base) gives one")
    with styled(theme):
        figure = new_figure(NARROW_WIDTH, 5.0) if theme.narrow else new_figure(width=7.4, height=4.8)
        axes = figure.subplots()
        scale = 100.0 if evaluation.percent else 1.0
        saver, base = map(drawn, short_names([evaluation.saver.saver, evaluation.base]))
        splits = (
            (evaluation.fit_curves, evaluation.fitted_on, (0, (4, 2.5)), 1.3),
            (evaluation.report_curves, evaluation.reported_on, "solid", 2.0),
        )
        for curves, samples, style, width in splits:
            for name, score, colour in (
                (saver, curves.saver_score, theme.saver),
                (base, curves.base_score, theme.base),
            ):
                axes.plot(100 * curves.exit_ratio, scale * score, color=colour, linestyle=style, linewidth=width,
                          label=f"{name}, {samples.split}")  # fmt: skip
            _mark_crossing(axes, curves, scale, theme, dashed=style != "solid")
        axes.set_xlim(0, 100)
        axes.set_ylim(*_limits(evaluation, scale))
        axes.set_xlabel(theme.lines("samples that exit at the saver (%), most confident first"))
        axes.set_ylabel(
            theme.lines(metric_axis(f"{evaluation.metric_name} on the samples that exit", evaluation.percent))
        )
        title = (f"Saver {saver} before {base}", f"({evaluation.reported_on.title})")
        axes.set_title("\n".join(map(theme.lines, title)))
        handles, labels = axes.get_legend_handles_labels()
        # Two columns: the fitting split with the mark, then the reporting split.
        handles.insert(2, _crossing_handle(theme))
        labels.insert(2, "crossing: the exit ratio r_match")
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if theme.narrow else 2)
        return figure


def _mark_crossing(axes: Axes, curves: SaverCurves, scale: float, theme: Theme, dashed: bool) -> None:
    if not curves.crossing:
        return
    x, y = 100 * curves.crossing, scale * curves.crossing_score
    style = (0, (4, 2.5)) if dashed else "solid"
    axes.plot([x], [y], linestyle="none", marker="o", markersize=11, markerfacecolor="none",
              markeredgecolor=theme.mark, markeredgewidth=1.6, zorder=5, clip_on=False, label="_crossing")  # fmt: skip
    axes.axvline(x, color=theme.muted, linestyle=style, linewidth=0.9, zorder=1)
    # The labels of the two splits stand at different heights, so that they never overlap.
    left = x > 50
    axes.annotate(
        f"{'fit' if dashed else 'report'}: {x:.0f} %", (x, 0.10 if dashed else 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if left else 4, 0), textcoords="offset points", ha="right" if left else "left", va="bottom",
        fontsize=8.5, color=theme.ink, bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _crossing_handle(theme: Theme) -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", markersize=10, markerfacecolor="none",
                  markeredgecolor=theme.mark, markeredgewidth=1.6)  # fmt: skip


def _limits(evaluation: SaverEvaluation, scale: float) -> tuple[float, float]:
    """Limits of the axis of scores; the first few samples do not count."""
    seen = []
    for curves, samples in (
        (evaluation.fit_curves, evaluation.fitted_on),
        (evaluation.report_curves, evaluation.reported_on),
    ):
        steady = curves.exit_ratio >= max(_MIN_SAMPLES / max(samples.count, 1), _MIN_SHARE)
        steady[-1] = True
        seen += [curves.saver_score[steady], curves.base_score[steady]]
    scores = scale * np.concatenate(seen)
    room = 0.07 * float(np.ptp(scores)) or 0.05 * max(abs(float(scores[0])), 1e-3)
    return float(scores.min()) - 2 * room, float(scores.max()) + room
