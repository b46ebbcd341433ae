"""The best of many policies for each preference, against trying all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.search.engine.objective import best_per_preference

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30)


@settings(max_examples=300)
@given(points=POINTS)
def test_the_best_has_the_least_objective_and_never_turns_back(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T / 12
    preferences = np.linspace(0, 1, 41)
    picked = best_per_preference(cost, loss, preferences.tolist())
    value = np.outer(1 - preferences, cost) + np.outer(preferences, loss)
    np.testing.assert_allclose(value[np.arange(41), picked], value.min(axis=1), atol=1e-12)
    assert (np.diff(cost[picked]) >= 0).all()
    assert (np.diff(loss[picked]) <= 0).all()
    # At the ends, the term of weight 0 decides between equals.
    assert (cost[picked[0]], loss[picked[0]]) == min(zip(cost, loss, strict=True))
    assert (loss[picked[-1]], cost[picked[-1]]) == min(zip(loss, cost, strict=True))
