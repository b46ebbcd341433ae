from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from orxe_plugins import BudgetGuard, Cascade, Expert, OrxeError, Policy, PolicyRow, PolicyTable


class Told(nn.Module):
    """Two logits whose softmax confidence is what the batch's own column says."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column

    def forward(self, batch: Tensor) -> Tensor:
        share = batch[:, self.column].clamp(0.5, 1 - 1e-6)
        logit = torch.log(share / (1 - share))
        return torch.stack([logit, torch.zeros_like(logit)], dim=1)


def told_cascade(costs: tuple[float, ...] = (1.0, 3.0), table: bool = True) -> Cascade:
    n = len(costs)
    experts = [Expert(f"e{i}", Told(i), cost=cost) for i, cost in enumerate(costs)]
    # Confidences are uniform on [0.5, 1]: what each threshold costs is known.
    rows = []
    for share in np.linspace(0, 1, 11):
        policy = Policy(tuple(0.5 + share / 2 for _ in range(n - 1)))
        cost = sum(cost * share**i for i, cost in enumerate(costs))
        rows.append(PolicyRow(float(share), policy, float(cost), 0.5 + float(share) / 4))
    return Cascade(experts, Policy((0.9,) * (n - 1)), PolicyTable(tuple(rows)) if table else None)


def confidences(kind: str, size: int, n: int, rng: np.random.Generator) -> Tensor:
    low, high = {"as fitted": (0.5, 1.0), "harder": (0.5, 0.8), "hard": (0.5, 0.55), "easy": (0.9, 1.0)}[kind]
    return torch.from_numpy(rng.uniform(low, high, (size, n)).astype(np.float32))


def windows(costs: list[float], window: int) -> np.ndarray:
    """Mean cost of every ``window`` samples in a row."""
    sums = np.concatenate([[0.0], np.cumsum(costs)])
    return (sums[window:] - sums[:-window]) / window


@settings(max_examples=60)
@given(
    batches=st.lists(
        st.tuples(st.sampled_from(["as fitted", "hard", "easy"]), st.integers(1, 70)), min_size=1, max_size=25
    ),
    costs=st.sampled_from([(1.0, 3.0), (1.0, 1.5, 6.0)]),
    table=st.booleans(),
    budget=st.floats(1.05, 5.0),
    seed=st.integers(0, 2**31),
)
def test_every_window_is_within_five_percent_of_the_budget(
    batches: list[tuple[str, int]], costs: tuple[float, ...], table: bool, budget: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cascade = told_cascade(costs, table)
    window = int(np.ceil(max(sum(costs) - budget, 1) / (0.05 * budget))) + 1
    guard = BudgetGuard(cascade, per_sample=budget, window=window)
    paid: list[float] = []
    for kind, size in batches:
        _, route = guard.route(confidences(kind, size, len(costs), rng))
        paid += route.cost.tolist()
    assert (windows(paid, window) <= 1.05 * budget + 1e-6).all()
    state = guard.state
    assert state.samples == len(paid)
    assert state.mean_cost == pytest.approx(np.mean(paid[-window:]))
    assert -1e-6 <= state.room <= 1


def test_the_policy_follows_the_inputs_and_rests_between() -> None:
    rng = np.random.default_rng(0)
    guard = BudgetGuard(told_cascade(), per_sample=2.5, window=200)
    rows, costs = {}, {}
    for kind in ("as fitted", "harder", "as fitted", "easy", "hard"):
        paid: list[float] = []
        for step in range(100):
            if step == 50:
                before = guard.state.changes
            _, route = guard.route(confidences(kind, 32, 2, rng))
            paid += route.cost.tolist() if step >= 50 else []
        rows[kind], costs[kind] = guard.state.row, np.mean(paid)
        # Inputs of one kind: the policy is left alone once it fits.
        assert guard.state.changes - before <= 3, kind
    assert rows["harder"].cost < rows["as fitted"].cost < rows["easy"].cost
    # Hard and easy inputs alike use what the budget gives, also where every policy costs far more or far less.
    assert min(costs.values()) > 0.85 * 2.5 and max(costs.values()) <= 2.5 * 1.01, costs


def test_nothing_is_held_back_where_the_budget_is_ample() -> None:
    cascade = told_cascade()
    guard = BudgetGuard(cascade, per_sample=4.0, window=50)
    batch = confidences("as fitted", 64, 2, np.random.default_rng(1))
    outputs, route = guard.route(batch)
    with cascade.using(guard.state.row):
        plain, expected = cascade.route(batch)
    assert torch.equal(outputs, plain) and torch.equal(route.expert, expected.expert)
    assert guard.state.held_back == 0


def test_the_least_sure_samples_go_on() -> None:
    guard = BudgetGuard(told_cascade(table=False), per_sample=1.6, window=40)
    share = torch.linspace(0.5, 0.89, 40).flip(0)  # the least sure stand last, where room has grown
    _, route = guard.route(torch.stack([share, share], dim=1))
    gone = share[route.expert == 1]
    assert 0 < len(gone) < 40
    assert gone.mean() < share[route.expert == 0].mean()


def test_an_attached_guard_stands_before_all_that_the_cascade_answers() -> None:
    cascade = told_cascade()
    guard = BudgetGuard(cascade, per_sample=1.5, window=100).attach()
    hard = confidences("hard", 200, 2, np.random.default_rng(0))
    _, route = cascade.route(hard)
    assert float(route.cost.mean()) <= 1.05 * 1.5
    assert guard.state.samples == 200
    cascade(hard)
    assert guard.state.samples == 400
    guard.detach()
    cascade.route(hard)
    assert guard.state.samples == 400


def test_the_state_is_readable_and_frozen() -> None:
    state = BudgetGuard(told_cascade(), per_sample=2.0, window=100).state
    assert (state.per_sample, state.window, state.samples, state.held_back) == (2.0, 100, 0, 0)
    assert np.isnan(state.mean_cost) and state.room == 1.0 and state.row.cost <= 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.window = 3  # type: ignore[misc]


def test_an_expert_that_raises_still_costs() -> None:
    cascade = told_cascade()
    guard = BudgetGuard(cascade, per_sample=2.0, window=100)
    with pytest.raises(Exception, match="index"):
        guard.route(torch.full((30, 1), 0.5))
    assert guard.state.room < 1
    guard.route(confidences("easy", 5, 2, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"per_sample": 0.5, "window": 100}, "cheapest expert alone costs 1 GMACs"),
        ({"per_sample": 2.0, "window": 5}, r"window is 5: .* give at least 20"),
        ({"per_sample": 2.0, "window": 0}, "window"),
        ({"per_sample": float("nan"), "window": 100}, "per_sample"),
        ({"per_sample": 2.0, "window": 100, "tolerance": 0}, "tolerance"),
    ],
)
def test_what_cannot_be_kept_is_refused(given_: dict[str, float], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        BudgetGuard(told_cascade(), **given_)  # type: ignore[arg-type]


def test_an_unfitted_cascade_is_guarded_too() -> None:
    guard = BudgetGuard(told_cascade(table=False), per_sample=1.5, window=100)
    paid: list[float] = []
    for _ in range(10):
        paid += guard.route(confidences("hard", 64, 2, np.random.default_rng(2)))[1].cost.tolist()
    assert (windows(paid, 100) <= 1.05 * 1.5 + 1e-6).all()
    assert np.mean(paid) > 1.2


class Flaky(Told):
    """Fails on samples whose first confidence is marked by a value above 2."""

    def forward(self, batch: Tensor) -> Tensor:
        if (batch[:, -1] > 2).any():
            raise RuntimeError("out of order")
        return super().forward(batch)


def test_streams_and_faults_are_guarded_too() -> None:
    rng = np.random.default_rng(0)
    items = list(confidences("hard", 300, 2, rng))
    cascade = told_cascade()
    BudgetGuard(cascade, per_sample=1.5, window=100).attach()
    answers = list(cascade.stream(items, batch_size=32))
    assert [answer.index for answer in answers] == list(range(300))
    assert (windows([answer.cost for answer in answers], 100) <= 1.05 * 1.5 + 1e-6).all()
    assert {answer.expert for answer in answers} == {0, 1}
    assert all(answer.ran == tuple(range(answer.expert + 1)) for answer in answers)

    items[7] = ValueError("cannot be read")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="cannot be read"):
        list(cascade.stream(items, batch_size=32))
    answers = list(cascade.stream(items, batch_size=32, on_error="best_available", max_wait=5.0))
    assert len(answers) == 300 and answers[7].error is not None and answers[8].error is None

    flaky = Cascade([cascade.members[0], Expert("flaky", Flaky(1), cost=3.0)], Policy((0.9,)), cascade.table)
    guard = BudgetGuard(flaky, per_sample=4.0, window=100)
    batch = confidences("hard", 20, 2, rng)
    batch[3, 1] = 3.0
    _, route = guard.route(batch, on_error="best_available", timeout=60.0)
    assert [(fault.row, fault.expert) for fault in route.faults] == [(3, 1)]
    assert route.expert.tolist() == [0 if row == 3 else 1 for row in range(20)]
    assert route.confidences is not None
    torch.testing.assert_close(route.confidences[:, 0], batch[:, 0], rtol=1e-3, atol=1e-3)
    assert route.confidences[:, 1].isnan().nonzero().flatten().tolist() == [3]
    assert guard.state.samples == 20 and guard.state.mean_cost == pytest.approx(4.0)
