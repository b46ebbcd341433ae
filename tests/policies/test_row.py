"""Rows of a table: that they stand for their policy, and which of them no other one beats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyRow
from orxe_plugins.policies.row import Promise, as_policy, mildest, pareto_rows

ROW = PolicyRow(0.5, Policy((0.4, None)), 1.25, 0.8125)


def test_a_row_stands_for_its_policy() -> None:
    assert as_policy(ROW) is as_policy(ROW.policy) is ROW.policy


@pytest.mark.parametrize(
    ("wrong", "named"), [(0.5, "0.5, a float"), ((0.5,), r"\(0.5,\), a tuple"), (None, "None, a NoneType")]
)
def test_what_is_no_policy_is_named(wrong: Any, named: str) -> None:
    with pytest.raises(OrxeError, match=rf"the policy is {named}: expected a Policy, .*or a row of a PolicyTable"):
        as_policy(wrong)


def test_a_row_is_printed_in_one_line_and_survives_json() -> None:
    assert repr(ROW) == "PolicyRow(0.5, Policy((0.4, None)), cost=1.25, score=0.8125)"
    assert eval(repr(ROW)) == ROW
    assert PolicyRow.from_dict(json.loads(json.dumps(ROW.to_dict()))) == ROW


def test_a_row_of_an_impossible_preference_is_refused() -> None:
    with pytest.raises(OrxeError, match="preference is 1.5"):
        PolicyRow(1.5, Policy((0.5,)), 1, 1)


@given(st.lists(st.builds(PolicyRow, st.floats(0, 1), st.just(Policy(())), st.integers(0, 5), st.integers(0, 5))))
def test_no_row_of_the_front_is_beaten_and_every_other_row_is(rows: list[PolicyRow]) -> None:
    front = pareto_rows(rows)
    assert [row.cost for row in front] == sorted({row.cost for row in front})
    assert [row.score for row in front] == sorted({row.score for row in front})
    for row in rows:
        assert row in front or any(one.cost <= row.cost and one.score >= row.score for one in front)


PROMISES = (
    Promise(0.01, 0.95, 500, 3, (ROW,), (0.0,), (0.01,)),
    Promise(0.005, 0.99, 500, 3, (ROW,), (0.0,), (0.01,)),
    Promise(0.001, 0.95, 500, 3, reason="no policy can promise this"),
)


@pytest.mark.parametrize(
    ("max_drop", "confidence", "expected"), [(0.01, 0.95, 0), (0.5, 0.5, 0), (0.01, 0.99, 1), (0.002, 0.9, 2)]
)
def test_the_mildest_promise_that_is_strict_enough(max_drop: float, confidence: float, expected: int) -> None:
    assert mildest(PROMISES, max_drop, confidence) is PROMISES[expected]


def test_a_promise_that_was_never_tested_is_an_error() -> None:
    with pytest.raises(OrxeError, match=r"max_drop 0.001, confidence 0.95\): give the recipe promise:"):
        mildest(PROMISES, 0.0001, 0.95)
    with pytest.raises(OrxeError, match="tested: nothing"):
        mildest((), 0.1, 0.9)


def test_a_promise_within_limits_keeps_what_fits() -> None:
    kept = PROMISES[0].within(lambda row: row.cost < 2)
    assert kept is PROMISES[0]
    none = PROMISES[0].within(lambda row: row.cost < 1)
    assert none.row is None and "by no policy within these limits" in none.reason
    assert Promise.from_dict(json.loads(json.dumps(PROMISES[0].to_dict()))) == PROMISES[0]
