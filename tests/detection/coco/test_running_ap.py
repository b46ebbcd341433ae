"""The AP of one routing after another is that of each routing alone, to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_scenes import scenes

from orxe_plugins.detection import RoutedAP
from orxe_plugins.detection.coco.running_ap import RunningAP
from orxe_plugins.errors import OrxeError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 30))
def test_it_is_the_ap_of_each_routing(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    routed = RoutedAP(scenes(rng, n, m, crowds=0.3))
    running = RunningAP(routed)
    routing = rng.integers(0, n, m)
    for share in (1.0, 0.1, 0.0, 0.5, 0.1):
        routing = np.where(rng.random(m) < share, rng.integers(0, n, m), routing)
        for found in (running(routing), routed.ap(routing)):
            assert found == pytest.approx(routed(routing).ap, abs=1e-12, nan_ok=True)
        assert np.array_equal(running(routing), routed.ap(routing), equal_nan=True)


def test_a_wrong_routing_is_refused_and_changes_nothing() -> None:
    routed = RoutedAP(scenes(np.random.default_rng(3), 2, 8))
    running = RunningAP(routed)
    routing = np.arange(8) % 2
    before = running(routing)
    for wrong in (routing[:7], routing + 1, routing / 2):
        with pytest.raises(OrxeError, match="routing"):
            running(wrong)
    assert running(routing) == before == routed.ap(routing)
