"""Policies: what they refuse, which experts they reach, and how they are written down."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy
from orxe_plugins.policies.policy import check_preferences

UNIT = st.floats(0, 1)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    n = draw(st.integers(1, 6))
    exits = draw(st.lists(st.none() | st.just(0.0) | UNIT, min_size=n - 1, max_size=n - 1))
    skips = draw(st.lists(st.just(0.0) | UNIT, min_size=n - 1, max_size=n - 1))
    return Policy(tuple(exits), tuple(skips))


@given(policies())
def test_a_policy_survives_json(policy: Policy) -> None:
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@given(policies())
def test_a_printed_policy_can_be_typed_in_again(policy: Policy) -> None:
    assert eval(repr(policy), {"Policy": Policy}) == policy
    assert "\n" not in repr(policy)


def test_skip_thresholds_are_printed_where_there_are_some() -> None:
    assert repr(Policy((0.9, None))) == "Policy((0.9, None))"
    assert repr(Policy((0.9,), (0.25,))) == "Policy((0.9,), (0.25,))"


def test_named_policies() -> None:
    assert Policy.never(3) == Policy((None, None))
    assert Policy.only(1, 3) == Policy((None, 0.0))
    assert Policy.only(2, 3) == Policy.never(3)
    assert Policy.uniform(0.7, 3) == Policy((0.7, 0.7), (0.0, 0.0))
    assert Policy.never(1).enabled == (0,)
    with pytest.raises(OrxeError, match="expert 3 of 3"):
        Policy.only(3, 3)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, math.inf, "0.5", True])
def test_thresholds_outside_of_0_to_1_are_refused(wrong: Any) -> None:
    with pytest.raises(OrxeError, match=r"exit_thresholds\[1\]"):
        Policy((0.5, wrong))
    with pytest.raises(OrxeError, match=r"skip_thresholds\[0\]"):
        Policy((0.5,), (wrong,))


def test_one_number_is_no_list_of_thresholds() -> None:
    with pytest.raises(OrxeError, match=r"exit_thresholds is 0.4: expected one threshold .*, such as \(0.4,\)"):
        Policy(0.4)  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match="skip_thresholds is '0.4': expected one threshold for every expert but"):
        Policy((0.5,), "0.4")  # type: ignore[arg-type]
    assert Policy([0.4]) == Policy((0.4,)), "a list is as good as a tuple"  # type: ignore[arg-type]


def test_never_is_no_skip_threshold_and_lengths_must_agree() -> None:
    with pytest.raises(OrxeError, match=r"skip_thresholds\[0\] is None"):
        Policy((0.5,), (None,))  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match="2 exit_thresholds, but 1 skip_thresholds"):
        Policy((0.5, 0.5), (0.0,))
    with pytest.raises(OrxeError, match="2 exit_thresholds for 2 experts: expected 1"):
        Policy((0.5, 0.5)).check_n_experts(2)
    Policy((0.5, 0.5)).check_n_experts(3)


@pytest.mark.parametrize(
    ("exits", "skips", "reachable"),
    [
        ((None, None), (), (2,)),
        ((0.0, 0.5), (), (0,)),  # all are answered by the first
        ((0.5, 0.0), (), (0, 1)),
        ((0.5, 0.0), (0.0, 0.3), (0, 1, 2)),  # some skip the one that would answer all
        ((None, 0.0), (0.0, 0.9), (1,)),  # there is no confidence before the first
        ((0.5, 1.0), (), (0, 1, 2)),
    ],
)
def test_reachable_experts(exits: tuple[float | None, ...], skips: tuple[float, ...], reachable: tuple) -> None:
    assert Policy(exits, skips).reachable == reachable


@given(policies(), st.lists(UNIT, min_size=6, max_size=6))
def test_a_routed_sample_meets_only_reachable_experts(policy: Policy, confidence: list[float]) -> None:
    here, so_far = 0, 1.0
    met = []
    for i in policy.enabled:
        if met and i != policy.enabled[-1] and so_far < policy.skip_thresholds[i]:
            continue
        here, so_far = i, confidence[i]
        met.append(here)
        if i == policy.enabled[-1] or so_far >= policy.exit_thresholds[i]:  # type: ignore[operator]
            break
    assert set(met) <= set(policy.reachable) <= set(policy.enabled)


def test_preferences_are_checked_sorted_and_told_apart() -> None:
    assert check_preferences([0.5, 0, 0.5, 1]) == (0.0, 0.5, 1.0)
    with pytest.raises(OrxeError, match="no preference"):
        check_preferences([])
    for wrong in (-0.1, 1.01, math.nan, True, "0.5"):
        with pytest.raises(OrxeError, match="preference is"):
            check_preferences([wrong])  # type: ignore[list-item]
    for wrong in (50, 0.5, "0.5"):
        with pytest.raises(OrxeError, match=rf"preferences is {wrong!r}: expected several numbers in \[0, 1\]"):
            check_preferences(wrong)  # type: ignore[arg-type]
