"""What may be asked of a table, in one object or by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.policies.selection import GOALS, Selection

TABLE = PolicyTable(
    tuple(
        PolicyRow(p, Policy((t,)), c, s)
        for p, t, c, s in [(0.0, 0.0, 1.0, 0.80), (0.5, 0.5, 1.5, 0.86), (1.0, None, 2.5, 0.9)]
    ),
    reference_cost=2.5,
    reference_score=0.9,
)


@given(st.sets(st.sampled_from(GOALS)))
def test_exactly_one_goal_is_asked_for(names: set[str]) -> None:
    asked = dict.fromkeys(names, 0.5)
    if len(names) == 1:
        assert Selection(**asked).goal == next(iter(names))
        return
    with pytest.raises(OrxeError, match="expected one of preference, budget, target and max_drop, but got"):
        Selection(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "but got none"),
        ({"budget": 1.0, "target": 0.5}, "but got budget and target"),
        ({"budget": 1.0, "confidence": 0.9}, "confidence=0.9 goes with max_drop, not with budget"),
        ({"preference": 0.5, "safety": 2}, "safety=2 goes with budget, target or max_drop, not with preference"),
        ({"max_drop": 0.1, "confidence": 0.9, "safety": 0}, "safety=0 goes with .* not with a promised drop"),
        ({"max_drop": 0.1, "confidence": 95}, "confidence is 95: expected a number between 0 and 1"),
        ({"preference": 1.5}, r"preference is 1.5: expected a number in \[0, 1\]"),
        ({"preference": "0.5"}, "preference is '0.5'"),
        ({"budget": math.nan}, "budget is nan: expected a number"),
        ({"budget": math.inf}, "budget is inf"),
        ({"target": True}, "target is True"),
        ({"preference": 0.5, "max_experts": "two"}, "max_experts is 'two'"),
    ],
)
def test_what_makes_no_sense_is_an_error(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        Selection(**asked)


def test_an_object_and_names_ask_for_the_same() -> None:
    for asked in ({"preference": 0.6}, {"budget": 1.9}, {"target": 0.85}, {"max_drop": 0.05, "max_experts": 1}):
        assert TABLE.choose(Selection(**asked)) == TABLE.choose(**asked)
    assert TABLE.choose(Selection(0.6)) == TABLE.choose(0.6)


def test_an_object_beside_names_is_an_error() -> None:
    with pytest.raises(OrxeError, match=r"Selection\(budget=1.9\) and max_experts=1 are given: say all of it in one"):
        TABLE.choose(Selection(budget=1.9), max_experts=1)


def test_only_what_is_given_is_printed() -> None:
    asked = Selection(max_drop=0.05, confidence=0.9, max_params=1e6)
    assert repr(asked) == "Selection(max_drop=0.05, confidence=0.9, max_params=1000000.0)"
    assert eval(repr(asked)) == asked
    assert asked.limits == ("confidence", "max_params") and Selection(0.5).limits == ()
