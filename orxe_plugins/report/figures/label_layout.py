"""Labels beside points, placed so that they cover neither each other nor what is drawn.

The same picture always gives the same places: they come from a fixed list, with no random start and no time limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from numpy.typing import ArrayLike

# Places that a label may have: its distance from the point, in typographic points, and the number of directions.
_DISTANCES = (7.0, 12.0, 18.0, 26.0, 36.0, 48.0, 62.0, 78.0)
_DIRECTIONS = 16
_SWEEPS = 4
# A label that is farther away, in typographic points, is joined to its point by a line.
_LEADER_FROM = 12.0


@dataclass(frozen=True)
class _Spot:
    """One place that a label may have, in pixels: a box, and the offset of its centre from the point."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    offset: tuple[float, float]
    distance: float


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    obstacles: np.ndarray,
    *,
    color: str,
    fontsize: float = 8.5,
) -> list[Annotation]:
    """Put a label beside each point.

    Every label takes the best place around its point: near, inside the axes, and on nothing else. This is done a few
    times over, so that a label can leave a place that a later one needs more. The limits and the layout of the axes
    must not change afterwards.

    Args:
        axes: where the points are drawn.
        points: K points in data coordinates.
        texts: K labels.
        obstacles: points in data coordinates that no label should cover, beside ``points`` themselves, (J, 2).
        color: colour of the text.
        fontsize: size of the text.

    Returns:
        The labels, in the order of ``texts``.
    """
    if not texts:
        return []
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    # From here on the layout is fixed: labels must not move the axes.
    figure.set_layout_engine("none")
    pixels_per_point = figure.dpi / 72
    anchors = axes.transData.transform(np.asarray(points, dtype=float))
    covered = np.concatenate([axes.transData.transform(np.asarray(obstacles, dtype=float).reshape(-1, 2)), anchors])
    labels = [
        axes.annotate(text, point, xytext=(0, 0), textcoords="offset points", fontsize=fontsize, color=color,
                      ha="center", va="center", zorder=6, annotation_clip=False)
        for text, point in zip(texts, points, strict=True)
    ]  # fmt: skip
    sizes = [(box.width, box.height) for box in (label.get_window_extent() for label in labels)]
    frame = axes.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    options = [
        _spots(anchor, size, inside, covered, pixels_per_point) for anchor, size in zip(anchors, sizes, strict=True)
    ]
    for label, spot in zip(labels, _choose(options, anchors), strict=True):
        dx, dy = spot.offset[0] / pixels_per_point, spot.offset[1] / pixels_per_point
        label.set_position((dx, dy))
        label.set_in_layout(False)
        if spot.distance > _LEADER_FROM:
            axes.annotate(
                "", label.xy, xytext=_toward(dx, dy, spot, pixels_per_point), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": color, "lw": 0.6, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3},
                zorder=2.5, annotation_clip=False,
            ).set_in_layout(False)  # fmt: skip
    return labels


def along(axes: Axes, line: ArrayLike, step: float = 3.0) -> np.ndarray:
    """Points of a drawn line, at most about ``step`` pixels apart, so that no label fits between two of them.

    Args:
        axes: where the line is drawn.
        line: its vertices in data coordinates, (K, 2).
        step: distance in pixels.

    Returns:
        Points in data coordinates, (J, 2).
    """
    corners = axes.transData.transform(np.asarray(line, dtype=float))
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    places = np.linspace(0, lengths[-1], math.ceil(lengths[-1] / step) + 1)
    dense = np.column_stack([np.interp(places, lengths, corners[:, axis]) for axis in (0, 1)])
    return axes.transData.inverted().transform(dense)


def _spots(
    anchor: np.ndarray,
    size: tuple[float, float],
    inside: tuple[float, float, float, float],
    covered: np.ndarray,
    pixels_per_point: float,
) -> list[tuple[float, _Spot]]:
    """The places for one label, best first, each with its penalty; the other labels do not count here."""
    found = []
    width, height = size
    for distance in _DISTANCES:
        for step in range(_DIRECTIONS):
            angle = 2 * math.pi * step / _DIRECTIONS
            reach = distance * pixels_per_point
            # The near edge of the label, not its centre, keeps the distance.
            dx = math.cos(angle) * (reach + width / 2)
            dy = math.sin(angle) * (reach + height / 2)
            x, y = anchor[0] + dx, anchor[1] + dy
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            outside = (
                max(0.0, inside[0] - box[0]) + max(0.0, inside[1] - box[1])
                + max(0.0, box[2] - inside[2]) + max(0.0, box[3] - inside[3])
            )  # fmt: skip
            margin = 2 * pixels_per_point
            under = (
                (covered[:, 0] > box[0] - margin) & (covered[:, 0] < box[2] + margin)
                & (covered[:, 1] > box[1] - margin) & (covered[:, 1] < box[3] + margin)
            )  # fmt: skip
            # Out of the axes is worst, then on something, then far away, then below the point.
            penalty = (
                20 * outside
                + 5.0 * under.any()
                + 1.5 * np.count_nonzero(under)
                + 0.5 * distance
                + (0.4 if dy < 0 else 0.0)
            )
            found.append((float(penalty), _Spot(box, (dx, dy), distance)))
    return sorted(found, key=lambda each: each[0])


def _choose(options: list[list[tuple[float, _Spot]]], anchors: np.ndarray) -> list[_Spot]:
    """One place for each label, so that no two labels overlap if that can be found."""
    chosen: list[_Spot | None] = [None] * len(options)
    # Points with near neighbours come first: they have the fewest free places.
    crowd = np.hypot(*(anchors[:, None] - anchors[None]).transpose(2, 0, 1))
    order = np.argsort(np.sort(crowd, axis=1)[:, : min(4, len(anchors))].sum(axis=1), kind="stable")
    for _ in range(_SWEEPS):
        for i in order:
            others = [spot for j, spot in enumerate(chosen) if spot is not None and j != i]
            chosen[i] = min(options[i], key=lambda option: option[0] + _collision(option[1], others))[1]
    return [spot for spot in chosen if spot is not None]


def _collision(spot: _Spot, others: list[_Spot]) -> float:
    """Penalty of a place for the labels that it overlaps or touches."""
    total = 0.0
    for other in others:
        width = min(spot.box[2], other.box[2]) - max(spot.box[0], other.box[0])
        height = min(spot.box[3], other.box[3]) - max(spot.box[1], other.box[1])
        if width > -3 and height > -1:
            total += 60 + max(width, 0) * max(height, 0)
    return total


def _toward(dx: float, dy: float, spot: _Spot, pixels_per_point: float) -> tuple[float, float]:
    """Where the line to a distant label ends: the point of the label's box that is nearest to the labelled point."""
    half_width = (spot.box[2] - spot.box[0]) / 2 / pixels_per_point
    half_height = (spot.box[3] - spot.box[1]) / 2 / pixels_per_point
    return dx - max(-half_width, min(half_width, dx)), dy - max(-half_height, min(half_height, dy))
