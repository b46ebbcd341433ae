"""Contributions to the data set's AP: against taking the difference by hand, and what they add up to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_scenes import scenes

from orxe_plugins.detection import RoutedAP
from orxe_plugins.detection.coco.contribution import changes, contributions


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 9))
def test_changes_are_those_of_the_data_set_with_one_image_exchanged(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    routed = RoutedAP(scenes(rng, n, m))
    routing = rng.integers(0, n, m).astype(np.int32)
    before, found = routed(routing).ap, changes(routed, routing)
    for i in range(n):
        for k in range(m):
            other = routing.copy()
            other[k] = i
            expected = 0.0 if np.isnan(before) else routed(other).ap - before
            assert found[i, k] == pytest.approx(expected, abs=1e-12)


def test_they_name_the_images_that_the_ap_gains_by() -> None:
    rng = np.random.default_rng(3)
    matches = scenes(rng, 2, 150)
    routed, score = RoutedAP(matches), contributions(matches)
    ends = [routed(np.full(150, i)).ap for i in range(2)]
    assert score.mean(axis=1) == pytest.approx(ends)
    # Of equally many images, those that the scores name gain more of the AP than others do.
    wins = score[1] - score[0]
    best, worst = ((wins > np.quantile(wins, 0.8)), (wins < np.quantile(wins, 0.2)))
    gain = [routed(chosen.astype(int)).ap - ends[0] for chosen in (best, worst)]
    assert gain[0] > 0.3 * (ends[1] - ends[0]) > 0 > gain[1]


def test_the_same_seed_gives_the_same() -> None:
    matches = scenes(np.random.default_rng(1), 3, 20)
    assert contributions(matches, seed=2).tolist() == contributions(matches, seed=2).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 12))
def test_the_fast_ap_of_a_routing_is_the_ap(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    routed, routing = RoutedAP(scenes(rng, n, m)), rng.integers(0, n, m)
    assert routed.ap(routing) == pytest.approx(routed(routing).ap, nan_ok=True, abs=1e-12)
