from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from orxe_plugins.report.figures.label_layout import along, place_labels
from orxe_plugins.report.theme import new_figure

NO_OBSTACLES = np.empty((0, 2))
UNIT = st.floats(0.05, 0.95)


def unit_axes() -> Axes:
    axes = new_figure(6, 4).subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return axes


def boxes_of(axes: Axes, points: list[tuple[float, float]], obstacles: np.ndarray = NO_OBSTACLES) -> np.ndarray:
    """Boxes of the placed labels in pixels, (K, 4): x0, y0, x1, y1."""
    texts = [f"expert {i}" for i in range(len(points))]
    labels = place_labels(axes, points, texts, obstacles, color="black")
    assert [label.get_text() for label in labels] == texts
    return np.array([label.get_window_extent().extents for label in labels])


def covers(boxes: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Which of K boxes cover a point, (K,)."""
    x, y = pixels[:, 0], pixels[:, 1]
    x0, y0, x1, y1 = (boxes[:, [k]] for k in range(4))
    return ((x > x0) & (x < x1) & (y > y0) & (y < y1)).any(axis=1)


def overlaps(boxes: np.ndarray) -> int:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    return int(np.triu((high > low).all(axis=2), k=1).sum())


@settings(max_examples=15)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8))
def test_labels_of_a_few_points_lie_inside_and_on_nothing(points: list[tuple[float, float]]) -> None:
    axes = unit_axes()
    boxes = boxes_of(axes, points)
    x0, y0, x1, y1 = axes.get_window_extent().extents
    assert (boxes[:, :2] >= [x0 - 1, y0 - 1]).all() and (boxes[:, 2:] <= [x1 + 1, y1 + 1]).all()
    assert overlaps(boxes) == 0
    assert not covers(boxes, axes.transData.transform(points)).any()


def test_a_label_avoids_a_line_beside_its_point() -> None:
    axes = unit_axes()
    points = [(0.5, 0.5)]
    free = boxes_of(axes, points)
    wall = along(axes, [(0.53, 0.0), (0.53, 1.0)])
    assert covers(free, axes.transData.transform(wall)).any()
    assert not covers(boxes_of(axes, points, wall), axes.transData.transform(wall)).any()


def test_a_label_far_from_its_point_is_joined_to_it() -> None:
    axes = unit_axes()
    # Everything near the point is taken.
    grid = np.stack(np.meshgrid(np.linspace(0.38, 0.62, 60), np.linspace(0.36, 0.64, 60)), axis=-1).reshape(-1, 2)
    (label,) = place_labels(axes, [(0.5, 0.5)], ["far"], grid, color="black")
    joined = [text for text in axes.texts if text is not label and text.arrow_patch is not None]  # type: ignore[attr-defined]
    assert len(joined) == 1
    near = unit_axes()
    place_labels(near, [(0.5, 0.5)], ["near"], NO_OBSTACLES, color="black")
    assert len(near.texts) == 1


def test_the_same_points_give_the_same_places() -> None:
    points = [(float(x), float(y)) for x, y in np.random.default_rng(0).uniform(0.1, 0.9, (20, 2))]
    assert np.array_equal(boxes_of(unit_axes(), points), boxes_of(unit_axes(), points))


def test_placing_labels_does_not_move_the_axes() -> None:
    axes = unit_axes()
    axes.figure.draw_without_rendering()
    before = axes.get_window_extent().extents
    boxes_of(axes, [(0.99, 0.5), (0.01, 0.5)])
    axes.figure.draw_without_rendering()
    assert axes.get_window_extent().extents == pytest.approx(before)


def test_no_labels_is_no_work() -> None:
    axes = unit_axes()
    assert place_labels(axes, [], [], NO_OBSTACLES, color="black") == []


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_points_along_a_line_leave_no_gap(scale: str) -> None:
    axes = unit_axes()
    axes.set_xscale(scale)
    axes.set_xlim(0.01, 1)
    line = [(0.02, 0.1), (0.1, 0.8), (0.9, 0.9)]
    pixels = axes.transData.transform(along(axes, line, step=3.0))
    assert np.hypot(*np.diff(pixels, axis=0).T).max() <= 3.001
    corners = axes.transData.transform(line)
    assert pixels[0] == pytest.approx(corners[0]) and pixels[-1] == pytest.approx(corners[-1])
    assert np.hypot(*(pixels - corners[1]).T).min() <= 3
