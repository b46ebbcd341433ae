"""Baselines: known answers on few samples, and what no router can beat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, Records, replay
from orxe_plugins.evaluation import common_threshold, oracle, random_mixing, single_experts

RECORDS = Records.from_arrays(
    ["small", "large"], [1, 9], [[0.9, 0.8, 0.3, 0.2], [0.9, 0.9, 0.9, 0.9]], [[1, 1, 0, 0], [1, 0, 1, 1]]
)


def test_single_experts_and_their_mixture() -> None:
    alone = single_experts(RECORDS)
    assert (alone.cost.tolist(), alone.score.tolist(), alone.steps) == ([1, 9], [0.5, 0.75], True)
    assert random_mixing(RECORDS).at(5) == pytest.approx(0.625)
    assert alone.at(5) == 0.5


def test_the_oracle_sends_each_sample_to_the_cheapest_right_expert() -> None:
    curve = oracle(RECORDS)
    assert (curve.cost[0], curve.score[0]) == (1, 0.5)
    assert (curve.cost[-1], curve.score[-1]) == (5, 1.0)


def test_one_common_threshold_is_a_replay() -> None:
    curve = common_threshold(RECORDS, [0.5])
    outcome = replay(RECORDS, Policy((0.5,)))
    assert (curve.cost.tolist(), curve.score.tolist()) == ([outcome.cost], [outcome.score])
    assert len(common_threshold(RECORDS).cost) > 2


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 4), real=st.booleans())
def test_no_policy_and_no_mixture_is_above_the_oracle(seed: int, n: int, real: bool) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random((n, 30)) if real else (rng.random((n, 30)) < 0.6).astype(np.uint8)
    records = Records.from_arrays("abcd"[:n], np.sort(rng.random(n)) + 0.1, rng.random((n, 30)), score)
    curve = oracle(records)
    for exits in rng.random((10, n - 1)):
        outcome = replay(records, Policy(tuple(exits)))
        # Of many different scores, only some prices are tried.
        assert outcome.score <= curve.at(outcome.cost) + (0.02 if real else 1e-9)
    mixed = random_mixing(records)
    assert all(score <= curve.at(cost) + 1e-9 for cost, score in zip(mixed.cost, mixed.score, strict=True))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(OrxeError, match=r"records is \[1, 2\], a list: expected a Records"):
        oracle([1, 2])  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match="hold no sample"):
        single_experts(RECORDS.samples([]))
    with pytest.raises(OrxeError, match=r"threshold is 2: expected a number in \[0, 1\]"):
        common_threshold(RECORDS, [0.5, 2])
