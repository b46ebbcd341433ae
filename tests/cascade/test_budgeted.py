"""Batches of which a fixed number goes on, and frames whose expert stays in force."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_experts import Stages, exits_of, logits, picking

from orxe_plugins import BudgetGuard, Cascade, Frames, OrxeError, Policy


@given(m=st.integers(1, 12), onward=st.tuples(st.integers(0, 9), st.integers(0, 9)), seed=st.integers(0, 999))
def test_the_least_sure_ones_go_on_and_no_more_than_asked_for(m: int, onward: tuple[int, int], seed: int) -> None:
    batch = logits(m, 3, seed)
    cascade = picking(3, Policy((0.5, 0.5)))
    outputs, route = cascade.route_budgeted(batch, onward)
    at_hand = list(range(m))
    expected = [0] * m
    for i, count in enumerate(onward, start=1):
        sure = cascade.members[i - 1].confidence(batch[:, i - 1])
        at_hand = sorted(sorted(at_hand, key=lambda row: (float(sure[row]), row))[:count])
        for row in at_hand:
            expected[row] = i
    assert route.expert.tolist() == expected
    assert route.ran.sum(dim=0).tolist() == [m, min(m, onward[0]), min(m, *onward)]
    for row, expert in enumerate(expected):
        assert torch.equal(outputs[row], batch[row, expert])
        for i, expert_of_row in enumerate(cascade.members):
            told = float(route.confidences[row, i])
            assert told == float(expert_of_row.confidence(batch[row : row + 1, i])) if i <= expert else told != told
        assert float(route.cost[row]) == pytest.approx(sum(2.0**i for i in range(expert + 1)) + 0.25 * expert)


def test_exits_of_a_backbone_go_on_by_number_too() -> None:
    cascade, batch = Cascade(exits_of(Stages()), Policy((1.0, 1.0))), torch.randn(10, 3, 2, 2)
    with torch.no_grad():
        outputs, route = cascade.route_budgeted(batch, (6, 2))
        alone = [expert.run(batch, cascade.context(batch)).outputs for expert in cascade.members]
    assert route.ran.sum(dim=0).tolist() == [10, 6, 2]
    for row, expert in enumerate(route.expert.tolist()):
        torch.testing.assert_close(outputs[row], alone[expert][row])


@pytest.mark.parametrize("onward", [(1,), (1, 2, 3), (1, -1), 2])
def test_numbers_that_do_not_fit_are_refused(onward: Any) -> None:
    with pytest.raises(OrxeError, match="onward"):
        picking(3, Policy((0.5, 0.5))).route_budgeted(logits(4, 3), onward)


def test_answers_that_are_not_finite_are_marked() -> None:
    batch = logits(4, 2)
    batch[2, 0] = float("nan")
    _, route = picking(2, Policy((0.5,))).route_budgeted(batch, [0])
    assert [fault.row for fault in route.faults] == [2]


def test_a_policy_that_is_switched_ends_the_hold() -> None:
    unsure = torch.tensor([[0.1, 0, 0], [0, 9.0, 0]])
    cascade = picking(2, Policy((0.7,)))
    frames = Frames(cascade, hold=5)
    answers = frames.answers([unsure] * 4)
    assert [next(answers).expert for _ in range(2)] == [1, 1]
    cascade.policy = Policy.only(0, 2)
    assert [answer.expert for answer in answers] == [0, 0]


def test_what_goes_by_policies_of_its_own_is_refused_under_a_guard() -> None:
    cascade, batch = picking(2, Policy((0.7,))), logits(4, 2)
    BudgetGuard(cascade, per_sample=2.0, window=1000).attach()
    with pytest.raises(OrxeError, match=r"route_budgeted .*BudgetGuard.*cascade\.guard = None"):
        cascade.route_budgeted(batch, [2])
    with pytest.raises(OrxeError, match=r"Frames .*BudgetGuard"):
        list(Frames(cascade).answers(batch))
    assert cascade.guard.state.samples == 0


def test_the_expert_of_a_frame_stays_in_force() -> None:
    sure, unsure = torch.tensor([[9.0, 0, 0], [0, 9.0, 0]]), torch.tensor([[0.1, 0, 0], [0, 9.0, 0]])
    video = [sure, unsure, sure, unsure, sure, sure, sure, unsure, sure]
    cascade = picking(2, Policy((0.7,)))
    free, held = Frames(cascade, hold=0), Frames(cascade, hold=2)
    assert [answer.expert for answer in free.answers(video)] == [0, 1, 0, 1, 0, 0, 0, 1, 0]
    answers = list(held.answers(video))
    assert [answer.expert for answer in answers] == [0, 1, 1, 1, 0, 0, 0, 1, 1]
    assert [answer.cost for answer in answers] == [1, 3.25, 2.25, 2.25, 1, 1, 1, 3.25, 2.25]
    assert [answer.index for answer in answers] == list(range(9))
    assert (free.flicker_rate, held.flicker_rate) == (6 / 8, 3 / 8)
    assert Frames(cascade).flicker_rate == 0
