"""Ranks, and thresholds out of cuts, on grids that are exact and on quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orxe_plugins import Policy, Records, replay
from orxe_plugins.search.engine import grid as grid_module
from orxe_plugins.search.engine.grid import Grid, midpoint

CONFIDENCES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(2, 4), st.integers(1, 12)),
    elements=st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0]),
)


@settings(max_examples=200)
@given(confidence=CONFIDENCES)
def test_ranks_order_as_confidences_do(confidence: np.ndarray) -> None:
    grid = Grid.of(confidence)
    assert grid.edges[0] == 0
    assert (np.diff(grid.edges) > 0).all()
    assert grid.edges[grid.rank].tolist() == confidence.tolist()  # each distinct value has a bin of its own
    assert grid.top_allowed.tolist() == [row.max() < 1 for row in confidence]


@settings(max_examples=200)
@given(confidence=CONFIDENCES, data=st.data(), few=st.booleans())
def test_thresholds_decide_as_their_cuts_do(confidence: np.ndarray, data: st.DataObject, few: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if few:
            patch.setattr(grid_module, "MAX_CUTS", 4)
        grid = Grid.of(confidence, threads=2)
    n, m = confidence.shape
    bins = grid.n_cuts
    exits, skips = np.zeros((2, n), dtype=np.int32)
    for i in range(n - 1):
        exits[i] = data.draw(st.sampled_from([*range(bins), *([bins] if grid.top_allowed[i] else []), bins + 1]))
        skips[i] = data.draw(st.integers(0, bins - 1))
    records = Records.from_arrays([f"e{i}" for i in range(n)], np.ones(n), confidence, np.zeros((n, m)))
    outcome = replay(records, grid.policy(exits, skips))
    for s in range(m):
        so_far, answered = bins, n - 1
        for i in range(n - 1):
            if exits[i] > bins or so_far < skips[i]:
                continue
            so_far = int(grid.rank[i, s])
            if so_far >= exits[i]:
                answered = i
                break
        assert outcome.expert[s] == answered


def test_a_threshold_lies_half_way_between_the_confidences_that_it_parts() -> None:
    grid = Grid.of(np.array([[0.2, 0.6, 0.6], [0.3, 0.3, 0.9]], dtype=np.float32))
    cut = int(grid.rank[0, 1])
    policy = grid.policy(np.array([cut, 0]), np.zeros(2, dtype=int))
    assert policy.exit_thresholds == (pytest.approx(0.4),)
    assert grid.policy(np.array([0, 0]), np.zeros(2, dtype=int)) == Policy((0.0,))
    assert grid.policy(np.array([grid.n_cuts, 0]), np.zeros(2, dtype=int)) == Policy((1.0,))
    assert grid.policy(np.array([grid.n_cuts + 1, 0]), np.ones(2, dtype=int)) == Policy((None,))


def test_a_midpoint_parts_neighbouring_floats() -> None:
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    assert low < np.float32(midpoint(low, high)) <= high
    assert (midpoint(-1, 0.5), midpoint(0.5, 2)) == (0.0, 1.0)


def test_quantiles_of_very_many_confidences() -> None:
    confidence = np.random.default_rng(0).random((2, 120_000)).astype(np.float32)
    grid = Grid.of(confidence)
    assert 60_000 < grid.n_cuts <= grid_module.MAX_CUTS
    assert np.bincount(grid.rank.ravel()).max() < 40  # no bin holds much more than its share of 240,000
    below = confidence < grid.edges[grid.rank]
    assert not below.any()
