from __future__ import annotations

import numpy as np
import pytest
import torch

from orxe_plugins import OrxeError, Policy, Records, Route
from orxe_plugins.evaluation import DriftAlarm


def records_of(confidence: np.ndarray) -> Records:
    both = np.stack([confidence, np.ones_like(confidence)]).astype(np.float32)
    return Records.from_arrays(["small", "large"], [1.0, 4.0], both, np.ones(both.shape, np.uint8))


def route_of(confidence: np.ndarray) -> Route:
    """A route of samples on which the first expert has these confidences, and the second did not run."""
    size = len(confidence)
    first = torch.from_numpy(np.asarray(confidence, np.float32))
    seen = torch.stack([first, torch.full((size,), float("nan"))], dim=1)
    zeros = torch.zeros(size, dtype=torch.int64)
    ran = torch.tensor([[True, False]] * size)
    return Route(zeros, first, torch.ones(size, dtype=torch.float64), ran, confidences=seen)


def natural(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(4, 1.2, size)


def false_alarms(streams: int, length: int) -> int:
    """How many streams that are resampled from held-out samples raise the alarm."""
    count = 0
    for seed in range(streams):
        rng = np.random.default_rng(seed)
        fit, held_out = np.split(rng.permutation(natural(500, 10_000 + seed % 10)), 2)
        alarm = DriftAlarm(records_of(fit), Policy((0.8,)), rate=0.01)
        count += alarm.update(route_of(rng.choice(held_out, length))).raised
    return count


def test_held_out_streams_raise_no_alarm() -> None:
    assert false_alarms(streams=40, length=400) <= 1


@pytest.mark.long
def test_false_alarms_are_at_most_as_many_as_is_said() -> None:
    assert false_alarms(streams=1000, length=1000) <= 10


@pytest.mark.parametrize("before", [0, 100, 5000])
@pytest.mark.parametrize("changed", ["harder", "surer"])
def test_a_change_is_noticed_soon_however_late_it_comes(before: int, changed: str) -> None:
    alarm = DriftAlarm(records_of(natural(500, 0)), Policy((0.8,)))
    assert not alarm.update(route_of(natural(before, 1))).raised
    new = np.random.default_rng(2).uniform(0, 0.4, 200) if changed == "harder" else np.full(200, 0.999)
    state = alarm.update(route_of(new))
    assert state.raised and state.at is not None and before < state.at <= before + 60
    assert "'small'" in state.reason and ("at most" if changed == "harder" else "above") in state.reason


def test_the_alarm_stays_on_until_it_is_reset() -> None:
    alarm = DriftAlarm(records_of(natural(500, 0)), Policy((0.8,)))
    raised = alarm.update(route_of(np.zeros(100)))
    assert raised.raised and raised.evidence >= 1
    assert alarm.update(route_of(natural(100, 3))) == raised
    alarm.reset()
    assert not alarm.state.raised and alarm.state.samples == 0
    assert not alarm.update(route_of(natural(100, 3))).raised


def test_batches_and_single_samples_are_seen_alike() -> None:
    stream = natural(60, 5)
    whole, single = (DriftAlarm(records_of(natural(300, 0)), Policy((0.8,))) for _ in range(2))
    whole.update(route_of(stream))
    for confidence in stream:
        single.update(route_of(np.array([confidence])))
    assert whole.state == single.state


def test_a_small_difference_is_tolerated() -> None:
    alarm = DriftAlarm(records_of(natural(5000, 0)), Policy((0.8,)), tolerance=0.1)
    shifted = np.where(np.random.default_rng(1).random(4000) < 0.08, 0.2, natural(4000, 2))
    assert not alarm.update(route_of(shifted)).raised


def test_only_the_first_expert_that_is_enabled_counts() -> None:
    alarm = DriftAlarm(records_of(natural(300, 0)), Policy((None,)))
    assert alarm.expert == 1
    assert alarm.update(route_of(natural(10, 1))).samples == 0  # the second one did not run


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(OrxeError, match="2 recorded samples are too few"):
        DriftAlarm(records_of(natural(2, 0)), Policy((0.8,)))
    with pytest.raises(OrxeError, match="rate is 2"):
        DriftAlarm(records_of(natural(300, 0)), Policy((0.8,)), rate=2)
    route = route_of(natural(3, 0))
    blind = Route(route.expert, route.confidence, route.cost, route.ran)
    with pytest.raises(OrxeError, match="no confidences"):
        DriftAlarm(records_of(natural(300, 0)), Policy((0.8,))).update(blind)
