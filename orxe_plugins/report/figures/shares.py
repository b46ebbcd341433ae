"""The picture of the exit shares: how many samples each expert answers, against the preference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orxe_plugins.errors import check_type
from orxe_plugins.evaluation.results import Evaluation, PolicyResult
from orxe_plugins.report.letters import drawn_names
from orxe_plugins.report.theme import LIGHT, NARROW_WIDTH, Theme, new_figure, styled

# To hold a number, a step must be at least this high, in percent, and this long, as a share of the axis.
_MIN_HEIGHT, _MIN_LENGTH, _MIN_LENGTH_NARROW = 6.0, 0.03, 0.07
#: a narrow picture's legend has two columns where no name has more letters
_HALF_LINE = 13


def shares_figure(evaluation: Evaluation, theme: Theme = LIGHT) -> Figure:
    """Stacked shares of the samples that each expert answers, cheapest expert at the bottom.

    Shares change in steps: between two preferences of the table the nearer one's policy holds.
    Experts that answer no sample at any preference are left out.

    Args:
        evaluation: what to draw.
        theme: its colours, but for the bands, which have the same ones in every theme.
    """
    check_type("evaluation", evaluation, Evaluation, "evaluate(table, records) gives one")
    with styled(theme):
        groups = evaluation.merged()
        share = 100 * np.array([group[0].result.exit_share for group in groups])  # (G, N)
        used = [i for i in range(share.shape[1]) if share[:, i].any()]
        borders = _borders(groups)
        lower = np.zeros(len(groups))
        names = drawn_names(evaluation.names)
        across = 2 if all(len(names[i]) <= _HALF_LINE for i in used) else 1
        figure = _empty(theme, -(-len(used) // across))
        axes = figure.subplots()
        shortest = _MIN_LENGTH_NARROW if theme.narrow else _MIN_LENGTH
        handles = []
        for colour, i in zip(theme.sequence(len(used)), used, strict=True):
            upper = lower + share[:, i]
            axes.stairs(upper, borders, baseline=lower, fill=True, color=colour, edgecolor=theme.paper,
                        linewidth=0.5, label=names[i])  # fmt: skip
            _number(axes, borders, lower, upper, (str(i + 1), colour, shortest))
            handles.append(Patch(color=colour, label=f"{i + 1}  {names[i]}"))
            lower = upper
        axes.set_xlim(borders[0], borders[-1])
        axes.set_ylim(0, 100)
        axes.grid(visible=False)
        axes.set_xlabel(theme.lines("preference (0: only cost counts, 1: only performance counts)"))
        axes.set_ylabel("samples answered (%)")
        axes.set_title(theme.lines(f"Samples answered by each expert ({evaluation.reported_on.title})"))
        # The legend lists the bands as they lie: the top one first.
        place = {"loc": "outside lower left", "ncols": across} if theme.narrow else {"loc": "outside right upper"}
        figure.legend(handles=handles[::-1], title="expert", alignment="left", **place)
        return figure


def _empty(theme: Theme, rows: int) -> Figure:
    """A figure with room for a legend of so many rows, where it stands below."""
    return new_figure(NARROW_WIDTH, 3.6 + 0.19 * rows) if theme.narrow else new_figure(width=8.6, height=4.2)


def _borders(groups: Sequence[Sequence[PolicyResult]]) -> np.ndarray:
    """Where each of G groups of equal policies begins, and where the last one ends, (G + 1,).

    The policy of the nearest preference holds, so borders lie half-way between two preferences; a
    single preference holds everywhere.
    """
    if len(groups) == 1 and len(groups[0]) == 1:
        return np.array([0.0, 1.0])
    middle = [(left[-1].preference + right[0].preference) / 2 for left, right in pairwise(groups)]
    return np.array([groups[0][0].preference, *middle, groups[-1][-1].preference])


def _number(
    axes: Axes, borders: np.ndarray, lower: np.ndarray, upper: np.ndarray, mark: tuple[str, str, float]
) -> None:
    """Write an expert's number once into each part of its band, in the largest step that can hold it.

    Args:
        axes: where to.
        borders, lower, upper: where the band's steps lie.
        mark: (text, colour of the band, length that a step must have at least).
    """
    text, colour, shortest = mark
    height, length = upper - lower, np.diff(borders)
    roomy = (height >= _MIN_HEIGHT) & (length >= shortest * (borders[-1] - borders[0]))
    red, green, blue = to_rgb(colour)
    ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"
    steps = np.flatnonzero(roomy)
    for stretch in np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1):
        if len(stretch):
            at = stretch[np.argmax((height * length)[stretch])]
            x, y = (borders[at] + borders[at + 1]) / 2, (lower[at] + upper[at]) / 2
            axes.text(x, y, text, ha="center", va="center", color=ink)
