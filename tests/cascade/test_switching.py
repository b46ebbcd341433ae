"""Switching a cascade's policy: by a policy, by a row of a table, by a selection."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from orxe_plugins import Cascade, Expert, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.policies.selection import Selection

TABLE = PolicyTable(
    (PolicyRow(0.2, Policy((0.0,)), 1.0, 0.8), PolicyRow(0.8, Policy((None,)), 2.0, 0.9)),
    reference_cost=2.0,
    reference_score=0.9,
)


def experts() -> list[Expert]:
    return [Expert(name, nn.Identity(), cost=cost) for name, cost in (("a", 1.0), ("b", 2.0))]


class Model(CascadeControls):
    """What an adapter's model is, as far as its controls go."""

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade


def test_a_row_is_taken_wherever_a_policy_is() -> None:
    cascade = Cascade(experts(), TABLE[0])  # type: ignore[arg-type]
    assert cascade.policy == TABLE[0].policy
    cascade.policy = TABLE[1]
    assert cascade.policy == TABLE[1].policy
    with cascade.using(TABLE[0]):
        assert cascade.policy == TABLE[0].policy
    assert cascade.policy == TABLE[1].policy
    model = Model(cascade)
    model.policy = TABLE[0]
    assert model.policy == cascade.policy == TABLE[0].policy
    assert model.route(torch.eye(2))[1].expert.tolist() == [0, 0]


@pytest.mark.parametrize("wrong", [0.5, (0.5,), TABLE, None])
def test_what_is_no_policy_is_refused_and_changes_nothing(wrong: Any) -> None:
    cascade = Cascade(experts(), TABLE[0].policy)
    model = Model(cascade)
    for holder in (cascade, model):
        with pytest.raises(OrxeError, match="the policy is .*: expected a Policy"):
            holder.policy = wrong
    with pytest.raises(OrxeError, match="the policy is .*: expected a Policy"), cascade.using(wrong):
        pass
    with pytest.raises(OrxeError, match="2 exit_thresholds for 2 experts"):
        cascade.policy = PolicyRow(0.5, Policy((0.5, 0.5)), 1.0, 1.0)
    assert cascade.policy == TABLE[0].policy


def test_a_selection_asks_for_what_its_fields_ask_for() -> None:
    cascade = Cascade(experts(), table=TABLE)
    model = Model(cascade)
    assert cascade.set_preference(Selection(budget=1.5)) == cascade.set_preference(budget=1.5) == TABLE[0].policy
    asked = {"max_drop": 0.05, "safety": 0.0}
    assert cascade.set_preference(**asked) == TABLE.choose(**asked).policy  # type: ignore[arg-type]
    assert model.set_preference(Selection(target=0.85)) == model.set_preference(target=0.85) == TABLE[1].policy
    with pytest.raises(OrxeError, match="say all of it in one Selection"):
        cascade.set_preference(Selection(0.5), max_experts=1)


def test_an_unfitted_cascade_names_what_needs_a_table() -> None:
    cascade = Cascade(experts(), TABLE[0].policy)
    for asked, name in (
        ({"max_drop": 0.1}, "max_drop"),
        ({"max_drop": 0.1, "confidence": 0.9}, "confidence"),
        ({"preference": 0.5, "max_experts": 1}, "max_experts"),
    ):
        with pytest.raises(OrxeError, match=f"^{name} needs a fitted cascade"):
            cascade.set_preference(**asked)  # type: ignore[arg-type]
    assert cascade.policy == TABLE[0].policy
