"""What the hull picks against the least of all, for every preference."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.search.engine.hull import lower_hull, pick

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30)


@settings(max_examples=300)
@given(points=POINTS)
def test_the_pick_is_the_least_and_never_turns_back(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T / 12
    preferences = np.linspace(0, 1, 41)
    picked = pick(cost, loss, preferences.tolist())
    value = np.outer(1 - preferences, cost) + np.outer(preferences, loss)
    np.testing.assert_allclose(value[np.arange(41), picked], value.min(axis=1), atol=1e-12)
    assert (np.diff(cost[picked]) >= 0).all()
    assert (np.diff(loss[picked]) <= 0).all()
    # At the ends, the worthless term decides between equals.
    assert (cost[picked[0]], loss[picked[0]]) == min(zip(cost, loss, strict=True))
    assert (loss[picked[-1]], cost[picked[-1]]) == min(zip(loss, cost, strict=True))


@settings(max_examples=100)
@given(points=POINTS)
def test_vertices_turn_left(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T
    hull = lower_hull(cost, loss)
    slopes = np.diff(loss[hull]) / np.diff(cost[hull])
    assert (slopes < 0).all()
    assert (np.diff(slopes) > 0).all()


def test_rounding_makes_no_vertex() -> None:
    cost, loss = np.array([0.5, 0.5 + 1e-15, 0.7]), np.array([0.3, 0.3 - 1e-15, 0.1])
    assert lower_hull(cost, loss).tolist() == [0, 2]
