"""The search against trying everything, and against the plain Algorithm 1."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyTable, Records, fit_policies, replay
from orxe_plugins.search import fit as fit_module
from orxe_plugins.search.engine import grid as grid_module
from orxe_plugins.search.engine.algorithm_1 import algorithm_1
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.multiresolution import search_levels
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import Problem, RankedRecords
from orxe_plugins.search.engine.settings import SearchSettings

#: replay and brute force are compared with a search on recorded scores
fit_raw = partial(fit_policies, scores="raw")
PREFERENCES = (0.0, 0.03, 0.2, 0.5, 0.8, 0.9, 0.97, 1.0)
Make = Callable[..., Records]
Everything = Callable[[Records, bool], tuple[np.ndarray, np.ndarray]]
Value = Callable[[Records, float, object, object], np.ndarray]
SEEDS = st.integers(0, 2**32 - 1)


def check_table(table: PolicyTable, records: Records) -> None:
    """Every row is what replay says of it, and along rising preference nothing falls."""
    outcomes = [replay(records, row.policy) for row in table]
    for row, outcome in zip(table, outcomes, strict=True):
        assert row.cost == pytest.approx(outcome.cost, rel=1e-9, abs=1e-12)
        assert row.score == pytest.approx(outcome.score, rel=1e-9, abs=1e-9)
    for a, b in zip(table.rows, table.rows[1:], strict=False):
        assert b.cost >= a.cost
        assert b.score >= a.score


def reached(table: PolicyTable, records: Records, objective: Value) -> np.ndarray:
    """Objective of each row, by replay."""
    outcomes = [(row.preference, replay(records, row.policy)) for row in table]
    return np.array([objective(records, p, o.cost, o.score) for p, o in outcomes])


@settings(max_examples=200)
@given(seed=SEEDS, m=st.integers(1, 40), real=st.booleans(), shared=st.booleans(), skip_gates=st.booleans())
def test_two_experts_are_exact(
    random_records: Make,
    try_everything: Everything,
    objective: Value,
    seed: int,
    m: int,
    real: bool,
    shared: bool,
    skip_gates: bool,
) -> None:
    records = random_records(np.random.default_rng(seed), 2, m, real=real, shared=shared)
    cost, score = try_everything(records, skip_gates)
    table = fit_raw(records, PREFERENCES, skip_gates, threads=1)
    check_table(table, records)
    best = [objective(records, p, cost, score).min() for p in PREFERENCES]
    assert reached(table, records, objective).tolist() == pytest.approx(best, rel=1e-9, abs=1e-9)
    # The bound is exact too.
    assert table.details["search"]["lower_bound"] == pytest.approx(best, rel=1e-9, abs=1e-9)


@settings(max_examples=200)
@given(seed=SEEDS, size=st.sampled_from([(3, 9), (3, 7), (4, 3), (4, 2)]), real=st.booleans(), shared=st.booleans())
def test_few_experts_are_as_good_as_trying_everything(
    random_records: Make,
    try_everything: Everything,
    objective: Value,
    seed: int,
    size: tuple[int, int],
    real: bool,
    shared: bool,
) -> None:
    records = random_records(np.random.default_rng(seed), *size, real=real, shared=shared)
    cost, score = try_everything(records, True)
    table = fit_raw(records, PREFERENCES, threads=1)
    check_table(table, records)
    best = np.array([objective(records, p, cost, score).min() for p in PREFERENCES])
    assert (reached(table, records, objective) <= best + 1e-3 * np.abs(best) + 1e-9).all()


@settings(max_examples=25)
@given(seed=SEEDS, n=st.integers(3, 7), m=st.integers(20, 400), real=st.booleans(), skip_gates=st.booleans())
def test_never_worse_than_algorithm_1(
    random_records: Make, objective: Value, seed: int, n: int, m: int, real: bool, skip_gates: bool
) -> None:
    records = random_records(np.random.default_rng(seed), n, m, real=real, shared=True)
    table = fit_raw(records, PREFERENCES, skip_gates, threads=1)
    check_table(table, records)
    grid = Grid.of(records.confidence)
    samples = RankedRecords.of(records, grid, Objective.of(records))
    for row, value in zip(table, reached(table, records, objective), strict=True):
        problem = Problem.of(samples, row.preference)
        cuts = algorithm_1(problem, problem.workspace(), skip_gates)
        plain = replay(records, grid.policy(cuts.exits, cuts.skips))
        assert value <= objective(records, row.preference, plain.cost, plain.score) + 1e-9


@pytest.mark.parametrize("real", [False, True])
def test_the_same_for_any_number_of_threads_and_any_order_of_the_samples(random_records: Make, real: bool) -> None:
    records = random_records(np.random.default_rng(5), 6, 300, real=real)
    one = fit_raw(records, PREFERENCES, threads=1)
    assert fit_raw(records, PREFERENCES, threads=5).to_dict() == one.to_dict()
    assert fit_raw(records, PREFERENCES, threads=2, seed=1).details["search"]["seed"] == 1
    order = np.random.default_rng(0).permutation(len(records))
    moved = fit_raw(records.samples(order), PREFERENCES, threads=1)
    if real:  # sums of floats depend on their order, by rounding
        assert [row.cost for row in moved] == pytest.approx([row.cost for row in one])
        assert [row.score for row in moved] == pytest.approx([row.score for row in one])
    else:
        exact = operator.attrgetter("preference", "policy", "cost", "score")
        assert [exact(row) for row in moved] == [exact(row) for row in one]
        assert [row.drop_error for row in moved] == pytest.approx([row.drop_error for row in one])


def test_the_ends_of_the_preference(random_records: Make) -> None:
    records = random_records(np.random.default_rng(2), 4, 200)
    table = fit_raw(records, [0.0, 1.0])
    cheapest = replay(records, table.at(0).policy)
    assert cheapest.cost == pytest.approx(records.standalone_cost.min())
    assert replay(records, table.at(1).policy).score >= records.mean_score.max()


def test_the_term_of_weight_0_still_decides_between_equals() -> None:
    # All are right: at preference 1 the cheapest does. All are free: at preference 0 the best does.
    right = Records.from_arrays("abc", [1, 2, 3], np.full((3, 4), 0.5), np.ones((3, 4), dtype=np.uint8))
    assert fit_raw(right, [1.0]).rows[0].cost == 1
    free = Records.from_arrays("abc", [0, 0, 0], np.full((3, 4), 0.5), [[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]])
    assert fit_raw(free, [0.0]).rows[0].score == 1


def test_one_expert() -> None:
    records = Records.from_arrays(["a"], [2.0], [[0.1, 0.9]], [[0, 1]])
    table = fit_raw(records, [0.0, 0.5, 1.0])
    assert [(row.policy.exit_thresholds, row.cost, row.score) for row in table] == [((), 2.0, 0.5)] * 3
    assert table.details["search"]["gap"] == pytest.approx([0, 0, 0])


def test_one_sample() -> None:
    records = Records.from_arrays("abc", [1, 2, 4], [[0.2], [0.4], [0.6]], [[0], [1], [1]])
    assert [row.cost for row in fit_raw(records, [0.0, 0.99])] == [1, 2]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_where_all_confidences_are_equal_all_samples_go_the_same_way(
    try_everything: Everything, objective: Value, level: float
) -> None:
    rng = np.random.default_rng(3)
    records = Records.from_arrays(
        "abc", [1, 1, 4], np.full((3, 30), level), rng.random((3, 30)) < [[0.5], [0.7], [0.9]]
    )
    table = fit_raw(records, PREFERENCES)
    cost, score = try_everything(records, True)
    best = [objective(records, p, cost, score).min() for p in PREFERENCES]
    assert reached(table, records, objective).tolist() == pytest.approx(best)
    for row in table:
        assert set(replay(records, row.policy).exit_share.tolist()) == {0.0, 1.0}


def test_more_confidences_than_ranks(monkeypatch: pytest.MonkeyPatch, objective: Value) -> None:
    # Quantiles in place of all confidences lose little, and the rows are still what replay says.
    rng = np.random.default_rng(7)
    confidence = rng.random((4, 600)).astype(np.float32)
    right = rng.random((4, 600)) < 0.3 + 0.6 * confidence * np.array([[0.7], [0.8], [0.9], [1.0]])
    records = Records.from_arrays("abcd", [1, 2, 4, 8], confidence, right)
    fine = reached(fit_raw(records, PREFERENCES), records, objective)
    monkeypatch.setattr(grid_module, "MAX_CUTS", 200)
    table = fit_raw(records, PREFERENCES)
    check_table(table, records)
    assert (reached(table, records, objective) <= 1.02 * fine).all()


@settings(max_examples=60)
@given(seed=SEEDS, m=st.integers(5, 9), real=st.booleans(), shared=st.booleans())
def test_the_search_alone_finds_what_trying_everything_finds(
    random_records: Make, try_everything: Everything, objective: Value, seed: int, m: int, real: bool, shared: bool
) -> None:
    records = random_records(np.random.default_rng(seed), 3, m, real=real, shared=shared)
    measure = Objective.of(records)
    samples = RankedRecords.of(records, Grid.of(records.confidence), measure)
    cost, score = try_everything(records, True)
    for p, one in zip(
        PREFERENCES, search_levels(samples, PREFERENCES, SearchSettings()).pick(PREFERENCES), strict=True
    ):
        best = objective(records, p, cost, score).min()
        value = objective(records, p, one.cost * measure.reference_cost, measure.score(one.loss))
        assert value <= best + 1e-3 * abs(best) + 1e-9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(3, 5), (4, 60)])  # tried in full, and searched
def test_exact_costs_where_an_exit_builds_on_another_experts_answer(
    random_records: Make, objective: Value, seed: int, size: tuple[int, int]
) -> None:
    n, m = size
    rng = np.random.default_rng(seed)
    plain = random_records(rng, n, m, shared=True)
    needs = (-1, -1, int(rng.integers(0, 2)), 1)[:n]
    records = replace(plain, needs=needs, cost=np.array([0.1, 0.3, 0.2, 0.4])[:n])
    table = fit_raw(records, PREFERENCES, threads=1)
    check_table(table, records)
    # Not worse than any of all policies on a coarse grid.
    levels = [0.0, 0.34, 0.7, 1.0]
    exits = itertools.product([None, *levels], repeat=n - 1)
    policies = [Policy(t2, t1) for t2 in exits for t1 in itertools.product(levels[:3], repeat=n - 1) if t1[0] == 0]
    outcomes = [replay(records, policy) for policy in policies]
    cost, score = np.array([(o.cost, o.score) for o in outcomes]).T
    best = np.array([objective(records, p, cost, score).min() for p in PREFERENCES])
    values = reached(table, records, objective)
    assert (values <= best + 1e-9).all()
    assert (np.array(table.details["search"]["lower_bound"]) <= values + 1e-9).all()


@settings(max_examples=40)
@given(seed=SEEDS, n=st.integers(2, 4), min_exits=st.integers(0, 30))
def test_every_enabled_expert_answers_enough(random_records: Make, seed: int, n: int, min_exits: int) -> None:
    records = random_records(np.random.default_rng(seed), n, 50)
    table = fit_raw(records, PREFERENCES, min_exits=min_exits, threads=1)
    check_table(table, records)
    for row in table:
        outcome = replay(records, row.policy)
        used = outcome.run_share > 0
        last = int(np.flatnonzero(used)[-1])
        assert all(outcome.exit_share[i] * 50 >= min_exits - 1e-9 for i in np.flatnonzero(used) if i != last)
        # An expert that runs on no sample is disabled.
        assert {i for i in row.policy.enabled if not used[i]} <= {n - 1}


@settings(max_examples=30)
@given(
    seed=SEEDS, n=st.integers(2, 3), alpha=st.sampled_from([0.0, 0.5, 2.0, 7.0]), beta=st.sampled_from([0.0, 0.2, 3.0])
)
def test_thresholds_that_win_too_little_are_left_out(
    random_records: Make, objective: Value, try_everything: Everything, seed: int, n: int, alpha: float, beta: float
) -> None:
    records = random_records(np.random.default_rng(seed), n, 8)
    table = fit_raw(records, [0.3, 0.9], alpha=alpha, beta=beta, threads=1)
    for row in table:
        # Against a single expert, which uses no threshold.
        outcome = replay(records, row.policy)
        exits = np.count_nonzero(outcome.run_share) - 1
        first = row.policy.enabled[0]
        skips = sum(t > 0 for i, t in enumerate(row.policy.skip_thresholds) if i != first)
        penalty = row.preference * (alpha * exits + beta * skips) / len(records)
        value = objective(records, row.preference, row.cost, row.score) + penalty
        alone = objective(records, row.preference, records.standalone_cost, records.mean_score)
        assert value <= alone.min() + 1e-9


def test_a_large_alpha_leaves_one_expert() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random((3, 200))
    records = Records.from_arrays("abc", [1, 3, 10], confidence, rng.random((3, 200)) < 0.4 + 0.6 * confidence)
    free, regularised = (fit_raw(records, [0.6, 0.9], alpha=alpha) for alpha in (0.0, 1000.0))
    assert all(np.count_nonzero(replay(records, row.policy).run_share) > 1 for row in free)
    assert all(np.count_nonzero(replay(records, row.policy).run_share) == 1 for row in regularised)


@pytest.mark.parametrize("bad", [{"min_exits": -1}, {"alpha": -0.5}, {"beta": float("nan")}, {"alpha": "2"}])
def test_a_negative_regulariser_is_an_error(bad: dict[str, float]) -> None:
    records = Records.from_arrays("ab", [1, 2], np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(OrxeError, match=f"{next(iter(bad))} is .*expected a number of at least 0"):
        fit_raw(records, [0.5], **bad)  # type: ignore[arg-type]


def test_no_sample_and_no_preference_are_errors() -> None:
    records = Records.from_arrays("ab", [1, 2], np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(OrxeError, match="no sample"):
        fit_raw(records.samples(slice(0, 0)), [0.5])
    with pytest.raises(OrxeError, match="no preference"):
        fit_raw(records, [])
    with pytest.raises(OrxeError, match="preference is 2"):
        fit_raw(records, [2])
    with pytest.raises(OrxeError, match="preferences is 50: expected several numbers"):
        fit_raw(records, 50)  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match="unknown regulariser 'min_exit': did you mean 'min_exits'"):
        fit_raw(records, [0.5], min_exit=3)


@pytest.mark.parametrize("n, levels, m", [(3, 20, 150), (4, 4, 400), (4, 6, 60), (3, 1000, 40)])
@pytest.mark.parametrize("by_descents", [False, True])
def test_small_records_of_other_shapes_are_as_good_as_trying_everything(
    try_everything: Everything,
    objective: Value,
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    levels: int,
    m: int,
    by_descents: bool,
) -> None:
    """Few levels and more samples, or more levels; with descents alone too, where all policies could be tried."""
    if by_descents:
        monkeypatch.setattr(fit_module, "try_all", lambda *_: [])
    for seed in range(6):
        rng = np.random.default_rng(seed)
        confidence = rng.integers(0, levels + 1, (n, m)) / levels
        right = rng.random((n, m)) < 0.2 + 0.7 * confidence * np.linspace(0.7, 1.1, n)[:, None]
        cost = np.sort(rng.choice([0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0], n))
        records = Records.from_arrays([f"e{i}" for i in range(n)], cost, confidence, right.astype(np.uint8))
        tried = try_everything(records, True)
        best = np.array([objective(records, p, *tried).min() for p in PREFERENCES])
        found = reached(fit_raw(records, PREFERENCES, threads=1), records, objective)
        assert (found <= best * 1.001 + 1e-9).all()
