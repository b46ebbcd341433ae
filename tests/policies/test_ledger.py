from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.policies.forecast import PathCosts, expected_cost
from orxe_plugins.policies.ledger import Ledger
from orxe_plugins.policies.policy import Policy

BASE, EXTRA, BUDGET = 0.4, 0.9, 0.55


@given(
    batches=st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=12),
    room=st.floats(0.75, 6),
    seed=st.integers(0, 2**31),
)
def test_no_samples_in_a_row_cost_more_than_their_budget_and_the_room(
    batches: list[list[bool]], room: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ledger = Ledger(BUDGET, room)
    paid: list[float] = []
    for wants in batches:
        costs = np.full(len(wants), BASE)
        rows = rng.permutation(np.flatnonzero(wants))
        granted = ledger.admit(costs, rows, EXTRA)
        costs[rows[granted]] += EXTRA
        ledger.settle(costs)
        paid += costs.tolist()
    over = np.concatenate([[0.0], np.cumsum(np.array(paid) - BUDGET)])
    worst = (over - np.minimum.accumulate(over)).max()
    assert worst <= room + 1e-6


def test_what_cheap_samples_leave_over_is_given_back() -> None:
    ledger = Ledger(BUDGET, room=1.0)
    wants = np.arange(1000)
    costs = np.full(1000, BASE)
    granted = ledger.admit(costs, wants, EXTRA)
    costs[granted] += EXTRA
    ledger.settle(costs)
    # all that the budget allows is used, but for the room of one sample
    assert costs.mean() == pytest.approx(BUDGET, rel=0.01)
    assert not ledger.admit(np.full(1, BASE), np.array([0]), EXTRA)[0]
    ledger.settle(np.full(20, BASE))
    assert ledger.admit(np.full(1, BASE), np.array([0]), EXTRA)[0]


def test_the_most_urgent_samples_go_first() -> None:
    ledger = Ledger(BUDGET, room=1.0)
    rows = np.array([3, 2, 5])
    assert ledger.admit(np.full(8, BASE), rows, EXTRA).tolist() == [True, False, False]


@given(seed=st.integers(0, 2**31), exit_=st.sampled_from([0.0, 0.3, 0.6, 1.0]), skip=st.sampled_from([0.0, 0.4]))
def test_the_forecast_is_exact_where_all_is_known(seed: int, exit_: float, skip: float) -> None:
    from orxe_plugins import Records
    from orxe_plugins.search import replay

    confidence = np.random.default_rng(seed).random((3, 50), np.float32)
    policy = Policy((exit_, 0.7), (0.0, skip))
    records = Records.from_arrays(["a", "b", "c"], [1.0, 2.0, 5.0], confidence, np.ones((3, 50)))
    costs = PathCosts((1.0, 2.0, 5.0), (0.0, 0.0, 0.0), (-1, -1, -1))
    assert expected_cost(policy, confidence.T, costs) == pytest.approx(replay(records, policy).cost)


def test_a_forecast_without_a_sample_of_an_expert_is_none() -> None:
    confidences = np.array([[np.nan, 0.5]] * 3)
    costs = PathCosts((1.0, 2.0), (0.0, 0.0), (-1, -1))
    assert expected_cost(Policy((0.5,)), confidences, costs) is None
    assert expected_cost(Policy((None,)), confidences, costs) == 2.0
