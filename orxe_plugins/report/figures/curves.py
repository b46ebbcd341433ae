"""What the picture of score against cost draws of policies and of baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from orxe_plugins.evaluation.baselines import Baseline
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.theme import Theme
from orxe_plugins.util.pareto import pareto_front

CASCADE = "cascade, unbeaten where fitted"
_STYLES = (":", "-.", (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)))
_MARKS = ("s", "^", "v", "P")


def draw_policies(axes: Axes, evaluation: Evaluation, scale: float, theme: Theme) -> None:
    """Draw every policy that can be chosen: marks for all, and steps through those that none beats.

    Which ones are joined is decided by their figures on the fitting split: on the reporting split, the best of many
    would look better than they are. A step holds until the next costlier policy, for nothing lies between two of them.
    """
    fitted = [group[0] for group in evaluation.merged()]
    pareto = [other for other in evaluation.others if other.kind == "pareto"]
    compact = [other for other in evaluation.others if other.kind == "compact"]
    known = np.array(
        [(row.result.cost.value, row.result.score.value, row.fit_cost, row.fit_score) for row in fitted]
        + [(other.cost, other.score, other.fit_cost, other.fit_score) for other in pareto]
    )
    cost, score = known[:, 0], scale * known[:, 1]
    x, y = steps(*_unbeaten(known, scale), until=max(cost.max(), evaluation.reference.result.cost.value))
    axes.plot(x, y, color=theme.cascade, linewidth=1.5, zorder=2.5, label=CASCADE)
    low, high = (scale * np.array([getattr(row.result.score, end) for row in fitted]) for end in ("low", "high"))
    count = len(fitted)
    at, values = cost[:count], score[:count]
    # Rounding may put a value a hair outside of its own interval.
    bars = np.maximum([values - low, high - values], 0)
    axes.errorbar(
        at, values, yerr=bars, fmt="o", markersize=4.5, color=theme.cascade, ecolor=theme.cascade,
        elinewidth=3 if count < 30 else 1, zorder=3, label="fitted policies",
    )[2][0].set_alpha(0.3)  # fmt: skip
    if pareto:
        axes.plot(cost[count:], score[count:], linestyle="none", marker=".", markersize=4, color=theme.cascade,
                  zorder=2.6, label="policies between them")  # fmt: skip
    if compact:
        axes.plot([other.cost for other in compact], [scale * other.score for other in compact], linestyle="none",
                  marker="x", markersize=3.5, markeredgewidth=0.8, color=theme.muted, zorder=2.4,
                  label="policies of few experts")  # fmt: skip


def draw_baselines(axes: Axes, baselines: Sequence[Baseline], scale: float, theme: Theme) -> None:
    """Draw other ways to spend the same cost: a line each, and marks where only single points can be had."""
    lines, points = 0, 0
    for each in baselines:
        common: dict[str, Any] = {"color": theme.muted, "label": each.name, "zorder": 2.2}
        if each.steps:
            axes.plot(each.cost, scale * each.score, linestyle="none", marker=_MARKS[points % len(_MARKS)],
                      markersize=4.5, markerfacecolor="none", **common)  # fmt: skip
            points += 1
        else:
            axes.plot(each.cost, scale * each.score, linestyle=_STYLES[lines % len(_STYLES)], linewidth=1.4, **common)
            lines += 1


def steps(cost: np.ndarray, score: np.ndarray, until: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a step function that keeps each score until the next cost, and the last one up to ``until``."""
    x = np.append(np.repeat(cost, 2)[1:], max(until, cost[-1]))
    return x, np.repeat(score, 2)


def _unbeaten(known: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Cost and score, by rising cost, of what nothing beats on the fitting split."""
    figures = known[:, 2:]
    # Where the fitting split's figures are not known, all of them are joined.
    kept = pareto_front(figures[:, 0], figures[:, 1]) if np.isfinite(figures).all() else np.arange(len(known))
    cost, score = known[kept, 0], scale * known[kept, 1]
    order = np.lexsort((score, cost))
    return cost[order], score[order]
