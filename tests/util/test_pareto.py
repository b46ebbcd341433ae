"""The Pareto filter against every pair of points."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.util.pareto import pareto_front

# Few different values, so that ties are common.
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3)), max_size=25)


def brute_force(points: list[tuple[int, int, int]]) -> set[int]:
    """Positions of the points that none of the others beats; of equal ones, the first."""

    def beats(a: int, b: int) -> bool:
        (cost, score, size), (other_cost, other_score, other_size) = points[a], points[b]
        no_worse = cost <= other_cost and score >= other_score and size <= other_size
        return no_worse and (points[a] != points[b] or a < b)

    count = range(len(points))
    return {b for b in count if not any(beats(a, b) for a in count if a != b)}


@settings(max_examples=300)
@given(POINTS)
def test_the_front_is_what_no_pair_rules_out(points: list[tuple[int, int, int]]) -> None:
    cost, score, size = np.array(points, dtype=float).reshape(-1, 3).T
    found = pareto_front(cost, score, size.astype(int)).tolist()
    assert set(found) == brute_force(points) and len(found) == len(set(found))
    assert (np.diff(cost[found]) >= 0).all()


@settings(max_examples=300)
@given(POINTS)
def test_without_sizes_cost_and_score_rise_strictly(points: list[tuple[int, int, int]]) -> None:
    cost, score, _ = np.array(points, dtype=float).reshape(-1, 3).T
    found = pareto_front(cost, score)
    assert set(found.tolist()) == brute_force([(a, b, 0) for a, b, _ in points])
    assert (np.diff(cost[found]) > 0).all() and (np.diff(score[found]) > 0).all()


def test_no_point_has_no_front() -> None:
    assert pareto_front([], []).tolist() == []
