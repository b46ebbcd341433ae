"""Shared costs: exits of one backbone, and experts that build on another one's answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError
from orxe_plugins.cost.sharing import check_sharing, positions_of, ran_for_others, routing_order

costs = st.lists(st.tuples(st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.booleans()), min_size=1, max_size=8)


@given(costs)
def test_experts_stand_by_cost_and_exits_where_their_backbone_ends(figures: list[tuple[float, bool]]) -> None:
    shared = np.array([cost / 2 if is_exit else 0.0 for cost, is_exit in figures])
    cost = np.array([cost for cost, _ in figures])
    order = routing_order(cost, shared)
    assert sorted(order.tolist()) == list(range(len(cost)))
    exits = [i for i in order if shared[i]]
    plain = [i for i in order if not shared[i]]
    assert cost[plain].tolist() == sorted(cost[plain]) and shared[exits].tolist() == sorted(shared[exits])
    if exits:
        # They stand together: behind all that cost less than the backbone's end, before all that cost more.
        places = np.flatnonzero(shared[order] > 0)
        assert (np.diff(places) == 1).all()
        end = cost[exits].max()
        assert all(cost[i] <= end for i in order[: places[0]])
        assert all(cost[i] >= end for i in order[places[-1] + 1 :] if not shared[i])


def test_experts_of_one_cost_keep_their_order() -> None:
    assert routing_order(np.array([1.0, 1.0, 1.0]), np.zeros(3)).tolist() == [0, 1, 2]


def test_positions_are_found_by_name() -> None:
    assert positions_of(["small", "exit", "end"], [None, "small", None]) == (-1, 0, -1)
    with pytest.raises(OrxeError, match="expert 'exit' builds on the answer of 'tiny', .* the experts small, exit"):
        positions_of(["small", "exit"], [None, "tiny"])


@pytest.mark.parametrize(
    ("shared", "needs"),
    [([0.0, 0.0, 0.0], [-1, -1, -1]), ([0.0, 1.0, 3.0], [-1, 0, 0]), ([1.0, 1.0, 2.0], [-1, -1, -1])],
)
def test_costs_that_follow_from_the_figures_are_accepted(shared: list[float], needs: list[int]) -> None:
    check_sharing(["a", "b", "c"], shared, needs)


@pytest.mark.parametrize(
    ("shared", "needs", "message"),
    [
        ([1.0, 0.0], [-1, -1], "expert 'b' stands behind 'a', an exit of a backbone .* Leave out one of the two"),
        ([2.0, 1.0], [-1, -1], "exits of one backbone must be the last experts"),
        ([0.0, 0.0], [1, -1], "expert 'a' builds on the answer of 'b': expected an expert before it"),
        ([0.0, 0.0], [0, -1], "expert 'a' builds on the answer of 'a'"),
        ([0.0, 0.0, 0.0], [-1, 0, 1], "expert 'c' builds on the answer of 'b': expected an expert .* needs no other"),
    ],
)
def test_costs_that_depend_on_more_are_refused(shared: list[float], needs: list[int], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        check_sharing(["a", "b", "c"][: len(shared)], shared, needs)


@given(st.integers(1, 5), st.integers(0, 6), st.randoms(use_true_random=False), st.booleans())
def test_a_needed_expert_runs_where_one_that_needs_it_did_and_it_did_not(
    n: int, m: int, chance: np.random.Generator, as_tensor: bool
) -> None:
    needs = [-1] + [chance.choice([-1, 0]) for _ in range(n - 1)]
    ran = np.array([[chance.random() < 0.5 for _ in range(n)] for _ in range(m)], dtype=bool).reshape(m, n)
    found = {j: np.asarray(alone) for j, alone in ran_for_others(torch.from_numpy(ran) if as_tensor else ran, needs)}
    assert set(found) == {j for j in needs if j >= 0}
    for j, alone in found.items():
        for row in range(m):
            wanted = any(ran[row, i] for i in range(n) if needs[i] == j)
            assert alone[row] == (wanted and not ran[row, j])
