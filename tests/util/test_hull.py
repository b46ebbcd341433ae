"""Convex hulls against every line between two points."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.util.hull import lower_hull, upper_hull

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=20)


def brute_force(points: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """The points that no other point beats, and that no line between two others runs below or through."""

    def beaten(x: int, y: int) -> bool:
        others = [point for point in points if point != (x, y)]
        dominated = any(a <= x and b <= y for a, b in others)
        under_a_line = any(
            a < x < c and (y - b) * (c - a) >= (d - b) * (x - a)  # cross-multiplied: exact in whole numbers
            for a, b in others
            for c, d in others
        )
        return dominated or under_a_line

    return {point for point in points if not beaten(*point)}


@settings(max_examples=300)
@given(points=POINTS)
def test_the_lower_hull_is_what_no_line_rules_out(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T
    found = lower_hull(cost, loss)
    assert {(int(cost[k]), int(loss[k])) for k in found} == brute_force(points)
    assert (np.diff(cost[found]) > 0).all() and (np.diff(loss[found]) < 0).all()


@settings(max_examples=100)
@given(points=POINTS)
def test_vertices_turn_left(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T
    hull = lower_hull(cost, loss)
    slopes = np.diff(loss[hull]) / np.diff(cost[hull])
    assert (slopes < 0).all()
    assert (np.diff(slopes) > 0).all()


@settings(max_examples=100)
@given(points=POINTS)
def test_the_upper_hull_is_the_lower_one_upside_down(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T
    assert upper_hull(cost, 12 - loss).tolist() == lower_hull(cost, loss).tolist()


def test_rounding_makes_no_vertex() -> None:
    cost, loss = np.array([0.5, 0.5 + 1e-15, 0.7]), np.array([0.3, 0.3 - 1e-15, 0.1])
    assert lower_hull(cost, loss).tolist() == [0, 2]
