"""Replay against a second routing of one sample at a time, written after the words of DESIGN, section 3."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, Records, replay


def by_hand(records: Records, policy: Policy, sample: int) -> tuple[set[int], int, float]:
    """Which experts ran on a sample, which of them answered, and what that costs."""
    last = records.n_experts - 1
    ran: list[int] = []
    so_far = math.inf  # there is no confidence yet
    for i in range(last + 1):
        if i < last and (policy.exit_thresholds[i] is None or so_far < np.float32(policy.skip_thresholds[i])):
            continue
        ran.append(i)
        so_far = float(records.confidence[i, sample])
        if i == last or so_far >= np.float32(policy.exit_thresholds[i]):
            break
    paid = set(ran) | {records.needs[i] for i in ran if records.needs[i] >= 0}
    return set(ran), ran[-1], sum(records.cost[list(paid)]) + float(records.shared_cost[ran[-1]])


@st.composite
def policies(draw: st.DrawFn, n: int, grid: list[float]) -> Policy:
    level = st.sampled_from(grid)
    exits = draw(st.lists(st.none() | level, min_size=n - 1, max_size=n - 1))
    return Policy(tuple(exits), tuple(draw(st.lists(level, min_size=n - 1, max_size=n - 1))))


@settings(max_examples=300)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5), m=st.integers(1, 12))
def test_replay_equals_routing_by_hand(
    random_records: Callable[..., Records], data: st.DataObject, seed: int, n: int, m: int
) -> None:
    rng = np.random.default_rng(seed)
    records = random_records(rng, n, m, real=data.draw(st.booleans()), shared=True)
    if n > 1 and data.draw(st.booleans()):
        needing = [None, *(records.names[0] if on else None for on in rng.random(n - 1) < 0.6)]
        records = Records.from_arrays(
            records.names,
            records.cost,
            records.confidence,
            records.score,
            shared_cost=records.shared_cost,
            needs=needing,
        )
    # Thresholds that equal a confidence decide ties; the ends let all samples and none exit.
    grid = [0.0, 1.0, 0.5, *records.confidence.ravel()[:20].astype(float).tolist()]
    policy = data.draw(policies(n, grid))
    outcome = replay(records, policy)
    told = [by_hand(records, policy, s) for s in range(m)]
    assert outcome.expert.tolist() == [answered for _, answered, _ in told]
    assert [set(np.flatnonzero(row).tolist()) for row in outcome.ran] == [ran for ran, _, _ in told]
    costs = [cost for _, _, cost in told]
    assert outcome.sample_cost.tolist() == pytest.approx(costs)
    assert outcome.cost == pytest.approx(float(np.mean(costs)))
    scores = [float(records.score[answered, s]) for s, (_, answered, _) in enumerate(told)]
    assert outcome.sample_score.tolist() == scores
    assert outcome.score == pytest.approx(float(np.mean(scores)))
    assert outcome.exit_share.sum() == pytest.approx(1)
    assert outcome.run_share.tolist() == pytest.approx(outcome.ran.mean(axis=0).tolist())


def two(confidence: list[float], **more: object) -> Records:
    return Records.from_arrays(
        ["a", "b"],
        [1, 10],
        [confidence, [0.9] * len(confidence)],
        [[1] * len(confidence), [0] * len(confidence)],
        **more,
    )


def test_zero_answers_everything_and_never_runs_nothing() -> None:
    records = two([0.0, 0.5, 1.0])
    assert replay(records, Policy((0.0,))).expert.tolist() == [0, 0, 0]
    outcome = replay(records, Policy((None,)))
    assert outcome.expert.tolist() == [1, 1, 1]
    assert (outcome.cost, outcome.run_share.tolist()) == (10, [0, 1])


def test_one_is_a_threshold_as_any_other() -> None:
    outcome = replay(two([0.0, 0.5, 1.0]), Policy((1.0,)))
    assert outcome.expert.tolist() == [1, 1, 0]
    assert outcome.cost == pytest.approx(1 + 10 * 2 / 3)


def test_a_confidence_that_is_not_a_number_counts_as_zero() -> None:
    records = two([math.nan, 0.5])
    assert replay(records, Policy((0.1,))).expert.tolist() == [1, 0]
    assert replay(records, Policy((0.0,))).expert.tolist() == [0, 0]


def test_confidences_are_compared_in_float32() -> None:
    # 0.1 as float32 is larger than 0.1; what equals the threshold in float32 exits.
    assert replay(two([0.1]), Policy((0.1,))).expert.tolist() == [0]
    assert replay(two([0.1]), Policy((float(np.nextafter(np.float32(0.1), np.float32(1))),))).expert.tolist() == [1]


def test_a_shared_backbone_is_paid_once_up_to_the_exit_that_answers() -> None:
    records = Records.from_arrays(
        "abc", [1, 2, 3], [[0.9, 0.1, 0.1], [0.5, 0.9, 0.1], [0.5] * 3], np.ones((3, 3)), pass_cost=[10, 100, 7]
    )
    outcome = replay(records, Policy((0.5, 0.8)))
    assert outcome.sample_cost.tolist() == [1, 1 + 2 + 10, 1 + 2 + 3 + 110]
    # An exit that is disabled costs nothing itself; the backbone under it is still passed.
    assert replay(records, Policy((0.5, None))).sample_cost.tolist() == [1, 1 + 3 + 110, 1 + 3 + 110]


def test_a_needed_expert_is_paid_where_it_did_not_run() -> None:
    records = two([0.2, 0.8], needs=[None, "a"])
    assert replay(records, Policy((0.5,))).sample_cost.tolist() == [11, 1]
    assert replay(records, Policy((None,))).sample_cost.tolist() == [11, 11]
    assert replay(records, Policy((None,))).run_share.tolist() == [0, 1]


def test_a_needed_expert_that_was_skipped_is_paid_for_once() -> None:
    records = Records.from_arrays(
        "abcd",
        [1, 10, 100, 1000],
        [[0.1, 0.6], [0.5, 0.5], [0.5, 0.5], [1, 1]],
        np.ones((4, 2)),
        needs=[None, None, "b", "b"],
    )
    # The first sample goes past b and through c and d, which both build on b's answer.
    outcome = replay(records, Policy((0.9, 0.9, 0.9), (0.0, 0.3, 0.0)))
    assert outcome.sample_cost.tolist() == [1111, 1111]
    assert outcome.ran[0].tolist() == [True, False, True, True]


def test_a_policy_for_other_experts_is_an_error() -> None:
    with pytest.raises(OrxeError, match="2 exit_thresholds for 2 experts: expected 1"):
        replay(two([0.5]), Policy((0.5, 0.5)))


def test_no_sample_is_an_error() -> None:
    with pytest.raises(OrxeError, match="no sample"):
        replay(two([0.5]).samples(slice(0, 0)), Policy((0.5,)))
