"""The picture of a cascade: score against cost, beside every single expert."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from orxe_plugins.errors import check_type
from orxe_plugins.evaluation.baselines import Baseline
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.figures.curves import draw_baselines, draw_policies
from orxe_plugins.report.figures.label_layout import along, place_labels
from orxe_plugins.report.formats import Formats, metric_axis, plain, significant
from orxe_plugins.report.letters import drawn, drawn_names
from orxe_plugins.report.theme import LIGHT, Theme, new_figure, styled
from orxe_plugins.util.hull import upper_hull

#: costs that differ by more than this are drawn on a logarithmic axis
LOG_SPAN = 10
#: more experts than this are labelled by their numbers, with a key beside the picture
MAX_NAMED = 10
_STEPS = 20
_MIXING = "random mixing of experts"
CHOSEN = "chosen on the fitting split"


def frontier_figure(
    evaluation: Evaluation, theme: Theme = LIGHT, mixing: bool = True, baselines: Sequence[Baseline] = ()
) -> Figure:
    """Score against cost: every policy that can be chosen, in steps, and every single expert with its error bar.

    If the scores of the experts lie so far apart that the cascade fills only a strip at the top, a second panel
    shows that strip enlarged.

    Args:
        evaluation: what to draw.
        theme: its colours.
        mixing: whether to draw what random mixing of two experts reaches too, the upper hull of the experts.
        baselines: more curves, as :mod:`orxe_plugins.evaluation.baselines` gives them.

    Raises:
        OrxeError: an argument is something else.
    """
    check_type("evaluation", evaluation, Evaluation, "evaluate(table, records) gives one")
    check_type("theme", theme, Theme, "orxe_plugins.report offers LIGHT and DARK")
    check_type("mixing", mixing, (bool, np.bool_), "True draws random mixing")
    check_type("baselines", baselines, (list, tuple), "such as [oracle(records)]")
    for baseline in baselines:
        check_type("a baseline", baseline, Baseline, "oracle(records) of orxe_plugins.evaluation gives one")
    with styled(theme):
        floor = zoom_floor(evaluation)
        panels = 1 if floor is None else 2
        keyed = len(evaluation.experts) > MAX_NAMED
        figure = new_figure(width=(7.4 if panels == 1 else 11.5) + (2.2 if keyed else 0), height=4.8)
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for panel, low in zip(axes, [None, floor], strict=False):
            _draw(panel, evaluation, theme, mixing, low)
            draw_baselines(panel, baselines, Formats.of(evaluation).scale, theme)
        axes[0].set_title(theme.lines(_title(evaluation)))
        if panels == 2:
            axes[1].set_title("The same, enlarged")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5 if panels == 2 or keyed else 3)
        if keyed:
            _key(figure, evaluation)
        for panel, low in zip(axes, [None, floor], strict=False):
            _label_experts(panel, evaluation, theme, keyed, low)
        return figure


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.metric_name} against cost ({evaluation.reported_on.title})"


def zoom_floor(evaluation: Evaluation) -> float | None:
    """Lowest score of the enlarged panel; None if one panel is enough."""
    experts = [expert.result.score for expert in evaluation.experts]
    cascade = [row.result.score for row in (*evaluation.policies, evaluation.chosen)]
    values = [each.value for each in [*experts, *cascade] if math.isfinite(each.value)]
    if not values:
        return None
    best, worst, last = max(values), min(values), experts[-1]
    span = max(0.03 if evaluation.percent else 0.0, 2 * (last.high - last.low), 0.12 * (best - worst))
    # The last expert, which the cascade is compared to, belongs in the enlarged panel too.
    span = max(span, best - last.low + 0.1 * span)
    return best - span if best - worst > 3 * span else None


# --- one panel ----------------------------------------------------------------------------------


def _draw(axes: Axes, evaluation: Evaluation, theme: Theme, mixing: bool, floor: float | None) -> None:
    formats = Formats.of(evaluation)
    scale = formats.scale
    _limit(axes, evaluation, scale, floor)
    draw_policies(axes, evaluation, scale, theme)
    if mixing:
        _draw_mixing(axes, evaluation, scale, theme)
    for expert in evaluation.experts:
        score = expert.result.score
        axes.errorbar(
            expert.result.cost.value, scale * score.value,
            yerr=[[scale * (score.value - score.low)], [scale * (score.high - score.value)]],
            fmt="D", markersize=5.5, color=theme.expert, elinewidth=1.0, capsize=2.5, zorder=4,
            label="single experts" if expert.index == 0 else None,
        )  # fmt: skip
    chosen = evaluation.chosen.result
    axes.plot(
        chosen.cost.value, scale * chosen.score.value, linestyle="none", marker="o", markersize=12, zorder=5,
        markerfacecolor="none", markeredgecolor=theme.mark, markeredgewidth=1.6,
        label=CHOSEN,
    )  # fmt: skip
    axes.set_xlabel(theme.lines(cost_axis(evaluation.cost_unit)))
    axes.set_ylabel(theme.lines(metric_axis(evaluation.metric_name, evaluation.percent)))


def _between(x: np.ndarray) -> np.ndarray:
    """``x`` with points in between, since a line that is straight in cost is bent on a logarithmic axis."""
    # The steps are even on a logarithmic axis. They suit a linear one too, which spans at most about a decade.
    even = [(np.geomspace if a > 0 else np.linspace)(a, b, _STEPS, endpoint=False) for a, b in pairwise(x)]
    return np.concatenate([*even, x[-1:]])


def _draw_mixing(axes: Axes, evaluation: Evaluation, scale: float, theme: Theme) -> None:
    """What random mixing of two experts reaches: a cascade that is no better than this is of no use."""
    experts = [expert.result for expert in evaluation.experts]
    cost, score = np.array([(result.cost.value, result.score.value) for result in experts]).T
    if not np.isfinite(score).all():
        return
    hull = upper_hull(cost, score)
    if len(hull) < 2:
        return
    x = _between(cost[hull])
    y = np.interp(x, cost[hull], score[hull])
    axes.plot(x, scale * y, linestyle=(0, (4, 3)), linewidth=1.1, color=theme.muted, zorder=1.5,
              label=_MIXING)  # fmt: skip


def _limit(axes: Axes, evaluation: Evaluation, scale: float, floor: float | None) -> None:
    """Set the scale and the limits of a panel that shows what scores at least ``floor``."""
    results = [*(row.result for row in evaluation.policies), *(expert.result for expert in evaluation.experts)]
    results = [result for result in (*results, evaluation.chosen.result) if math.isfinite(result.score.value)]
    if not results:
        axes.set_ylim(0, scale)
        return
    shown = [result for result in results if floor is None or result.score.value >= floor]
    x = [result.cost.value for result in shown]
    least, most = min(x), max(x)
    if least > 0 and most > LOG_SPAN * least:
        axes.set_xscale("log")
        room = (most / least) ** 0.07
        axes.set_xlim(least / room, most * room)
        _plain_log_ticks(axes, most / least)
    else:
        room = 0.08 * (most - least) or 0.2 * most or 1.0
        axes.set_xlim(max(least - room, -0.02 * most), most + room)
    low = min(result.score.low for result in shown) if floor is None else floor
    high = max(result.score.high for result in shown)
    room = 0.06 * (high - low) or 0.05
    axes.set_ylim(scale * (low - room), scale * (high + room))


def cost_axis(unit: str) -> str:
    """Label of an axis of costs."""
    return f"cost per sample ({unit}; 1 MAC = 2 FLOPs)" if unit == "GMACs" else f"cost per sample ({unit})"


def _plain_log_ticks(axes: Axes, span: float) -> None:
    """Ticks such as 0.1, 0.2, 0.5, 1, which are easier to read than powers of 10."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if span > 3000 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value, 10)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


# --- names --------------------------------------------------------------------------------------


def _label_experts(axes: Axes, evaluation: Evaluation, theme: Theme, keyed: bool, floor: float | None) -> None:
    scale = 100.0 if evaluation.percent else 1.0
    names = drawn_names(evaluation.names)
    known = [e for e in evaluation.experts if math.isfinite(e.result.score.value)]
    shown = [e for e in known if floor is None or e.result.score.value >= floor]
    points = [(e.result.cost.value, scale * e.result.score.value) for e in shown]
    texts = [str(e.index + 1) if keyed else names[e.index] for e in shown]
    bars = [
        (result.cost.value, scale * (result.score.low + t * (result.score.high - result.score.low)))
        for result in [*(each.result for each in shown), *(group[0].result for group in evaluation.merged())]
        for t in np.linspace(0, 1, 40)
    ]
    drawn = [line for line in axes.lines if not str(line.get_label()).startswith(("_", CHOSEN))]
    # A metric without a value is a NaN, which lies nowhere.
    drawn = [line for line in drawn if np.isfinite(np.asarray(line.get_xydata())).all()]
    lines = [along(axes, line.get_xydata()) if line.get_linestyle() != "None" else line.get_xydata() for line in drawn]
    obstacles = np.concatenate([np.array(bars).reshape(-1, 2), *lines])
    obstacles = obstacles[np.isfinite(obstacles).all(axis=1)]
    place_labels(axes, points, texts, obstacles, color=theme.expert)


def _key(figure: Figure, evaluation: Evaluation) -> None:
    names = drawn_names(evaluation.names, width=32)
    lines = [
        f"{expert.index + 1:>2}  {names[expert.index]}, {significant(expert.result.cost.value)}"
        for expert in evaluation.experts
    ]
    axes = figure.axes[-1]
    axes.annotate(
        f"experts, {drawn(evaluation.cost_unit)}\n" + "\n".join(lines), (1.02, 1.0), xycoords="axes fraction",
        va="top", ha="left", fontsize=8, linespacing=1.35,
    )  # fmt: skip
