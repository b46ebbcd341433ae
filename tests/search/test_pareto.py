"""What is offered between fitted preferences, and which experts fit into a memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, Records, fit_policies, replay
from orxe_plugins.search.engine.exit_lines import ExitLines
from orxe_plugins.search.pareto import choose_experts, interpolated, with_choices

#: replay and brute force are compared with a search on recorded scores
fit_raw = partial(fit_policies, scores="raw")
PREFERENCES = np.linspace(0, 1, 11)


def made_up(n: int, m: int, seed: int, params: bool = True) -> Records:
    """N experts of rising cost and quality whose confidence says something of both."""
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, n)[:, None]
    chance = np.clip(0.95 + 0.4 * level - 0.8 * rng.random(m) + rng.normal(0, 0.05, (n, m)), 0.05, 0.98)
    confidence = np.clip(chance + rng.normal(0, 0.1, (n, m)), 0, 1)
    sizes = np.arange(1, n + 1, dtype=np.int64) * 100 if params else None
    return Records.from_arrays(
        [f"e{i}" for i in range(n)], 10 ** level[:, 0], confidence, rng.random((n, m)) < chance, params=sizes
    )


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.booleans(), st.booleans())
def test_what_is_offered_is_a_replay_and_never_falls_along_the_preference(
    random_records: Callable[..., Records], seed: int, n: int, real: bool, shared: bool
) -> None:
    records = random_records(np.random.default_rng(seed), n, 40, real=real, shared=shared)
    table = with_choices(fit_raw(records, PREFERENCES), records)
    for row in (*table.pareto, *table.compact):
        outcome = replay(records, row.policy)
        assert (row.cost, row.score) == (outcome.cost, outcome.score)
    cost, score = (np.array([getattr(row, name) for row in table.offered]) for name in ("cost", "score"))
    assert (np.diff(cost) >= -1e-12).all() and (np.diff(score) >= -1e-12).all()
    for row in table.pareto:
        assert not any(one.cost <= row.cost and one.score >= row.score for one in table.offered if one is not row), (
            "a beaten policy is offered"
        )


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_two_experts_meet_every_budget_as_well_as_trying_everything_does(
    random_records: Callable[..., Records], try_everything: Callable, seed: int
) -> None:
    records = random_records(np.random.default_rng(seed), 2, 30)
    table = with_choices(fit_raw(records, PREFERENCES, skip_gates=False), records)
    costs, scores = try_everything(records, False)
    for budget in costs:
        if budget >= min(row.cost for row in table):
            assert table.at_budget(budget + 1e-9, safety=0).score == pytest.approx(scores[costs <= budget + 1e-9].max())


def test_budgets_between_preferences_are_met_better_than_by_the_hull_alone() -> None:
    records = made_up(5, 1500, seed=1)
    table = fit_raw(records, PREFERENCES)
    wide = with_choices(table, records)
    budgets = np.linspace(table.rows[0].cost, table.rows[-1].cost, 40)
    before, after = (np.array([some.at_budget(b, safety=0).score for b in budgets]) for some in (table, wide))
    assert (after >= before).all() and (after > before).mean() > 0.5


def test_limits_of_memory_leave_the_best_policies_of_few_experts() -> None:
    records = made_up(4, 60, seed=2)
    table = with_choices(fit_raw(records, PREFERENCES, skip_gates=False), records, max_rows=1000, expansions=1000)
    assert table.params == (100, 200, 300, 400)
    pairs = [
        replay(records, Policy(tuple(first if k == i else 0.0 if k == j else None for k in range(3))))
        for i, j in itertools.combinations(range(4), 2)
        for first in (0.0, *np.unique(records.confidence[i]).tolist())
    ]
    inside = table.within(max_experts=2)
    for outcome in pairs:
        assert inside.at_budget(outcome.cost + 1e-9, safety=0).score >= outcome.score - 1e-9
    assert all(len(row.policy.reachable) <= 2 for row in inside.offered)
    assert sum(table.params[i] for i in table.choose(budget=8, max_params=500).policy.reachable) <= 500


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.booleans())
def test_a_line_agrees_with_replay(random_records: Callable[..., Records], seed: int, n: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    records = random_records(rng, n, 25, shared=shared)
    exits = tuple(None if rng.random() < 0.3 else float(rng.random()) for _ in range(n - 1))
    skips = tuple(float(rng.choice([0, rng.random()])) for _ in range(n - 1))
    for policy, (cost, score, count) in ExitLines(records).moves(Policy(exits, skips)).items():
        outcome = replay(records, policy)
        assert (cost, score) == pytest.approx((outcome.cost, outcome.score))
        assert count == len(policy.reachable)


def test_interpolated_policies_lie_between_neighbours() -> None:
    table = fit_raw(made_up(3, 400, seed=3), PREFERENCES)
    pairs = list(zip(table.rows, table.rows[1:], strict=False))
    for policy in interpolated(table):
        assert any(
            a.policy.enabled == policy.enabled == b.policy.enabled
            and all(
                t is None or min(x, y) <= t <= max(x, y)  # type: ignore[type-var]
                for t, x, y in zip(
                    policy.exit_thresholds, a.policy.exit_thresholds, b.policy.exit_thresholds, strict=True
                )
            )
            for a, b in pairs
        )


def test_experts_that_fit_into_a_memory() -> None:
    records = made_up(6, 600, seed=4)
    assert len(choose_experts(records, PREFERENCES, max_experts=3)) <= 3
    chosen = choose_experts(records, PREFERENCES, max_params=700)
    assert sum(records.params[records.index(name)] for name in chosen) <= 700  # type: ignore[index]
    assert choose_experts(records, PREFERENCES, max_experts=1)[0] in records.names
    with pytest.raises(OrxeError, match="no expert has at most 50 parameters: the smallest one, e0, has 100"):
        choose_experts(records, PREFERENCES, max_params=50)
    with pytest.raises(OrxeError, match="do not say how many parameters"):
        choose_experts(replace(records, params=None), PREFERENCES, max_params=500)
    with pytest.raises(OrxeError, match="max_experts is 0"):
        choose_experts(records, PREFERENCES, max_experts=0)
