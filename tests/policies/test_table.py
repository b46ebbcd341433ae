"""Policy tables: what they refuse, how rows are chosen, and that files lose nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.policies.row import Promise

UNIT = st.floats(0, 1)
ROWS = [(0.0, 0.0, 1.0, 0.80), (0.5, 0.5, 1.5, 0.86), (0.9, 0.8, 2.0, 0.9), (1.0, None, 2.5, 0.9)]
TABLE = PolicyTable(
    tuple(PolicyRow(p, Policy((t,)), c, s) for p, t, c, s in ROWS), reference_cost=2.5, reference_score=0.9
)


@st.composite
def policies(draw: st.DrawFn, n: int) -> Policy:
    exits = draw(st.lists(st.none() | st.just(0.0) | UNIT, min_size=n - 1, max_size=n - 1))
    skips = draw(st.lists(st.just(0.0) | UNIT, min_size=n - 1, max_size=n - 1))
    return Policy(tuple(exits), tuple(skips))


@st.composite
def tables(draw: st.DrawFn) -> PolicyTable:
    n = draw(st.integers(1, 5))
    figures = st.floats(0, 100)
    row = st.builds(PolicyRow, UNIT, policies(n), figures, st.floats(-5, 5))
    rows = tuple(draw(st.lists(row, min_size=1, max_size=6, unique_by=lambda r: r.preference)))
    passed = draw(st.lists(row, max_size=3))
    numbers = st.just(tuple(0.01 * k for k in range(len(passed))))
    promise = st.builds(
        Promise, UNIT, UNIT, st.integers(1, 99), st.integers(0, 9), st.just(tuple(passed)), numbers, numbers
    )
    return PolicyTable(
        rows,
        cost_unit=draw(st.sampled_from(["GMACs", "ms", "mJ"])),
        reference_cost=draw(figures),
        reference_score=draw(st.floats(-5, 5)),
        n_samples=draw(st.integers(0, 10**6)),
        details={"recipe": draw(st.text(max_size=5))},
        pareto=tuple(draw(st.lists(row, max_size=6))),
        compact=tuple(draw(st.lists(row, max_size=3))),
        params=tuple(draw(st.lists(st.integers(0, 10**9), min_size=n, max_size=n) | st.just([]))),
        promises=tuple(draw(st.lists(promise, max_size=2))),
    )


@given(tables())
def test_a_table_survives_json(table: PolicyTable) -> None:
    assert PolicyTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_a_table_of_an_earlier_release_is_read() -> None:
    row = {"preference": 0.5, "cost": 1.0, "score": 0.8, "exit_thresholds": [0.5], "skip_thresholds": [0.0]}
    table = PolicyTable.from_dict({"cost_unit": "ms", "rows": [row], "details": {}})
    assert table.rows == table.offered == (PolicyRow(0.5, Policy((0.5,)), 1.0, 0.8),)
    assert (table.cost_unit, table.params, table.promises) == ("ms", (), ())


def test_tables_that_make_no_sense_are_refused() -> None:
    one, two = PolicyRow(0.5, Policy((0.5,)), 1, 1), PolicyRow(0.6, Policy((0.5, 0.5)), 1, 1)
    with pytest.raises(OrxeError, match="without a row"):
        PolicyTable(())
    for wrong in ({"rows": (one, two)}, {"rows": (one,), "pareto": (two,)}):
        with pytest.raises(OrxeError, match="different numbers of experts"):
            PolicyTable(**wrong)
    with pytest.raises(OrxeError, match="params has 3 numbers: expected one for each of 2 experts"):
        PolicyTable((one,), params=(1, 2, 3))
    with pytest.raises(OrxeError, match="for 3 experts"):
        PolicyTable((one,)).check_n_experts(3)


@given(tables())
def test_a_table_is_a_sequence_of_its_fitted_rows(table: PolicyTable) -> None:
    assert [table[i] for i in range(len(table))] == list(table) == list(table.rows)
    assert table[-1] == table.rows[-1] and table[1:] == table.rows[1:]
    with pytest.raises(IndexError):
        table[len(table)]
    assert table.to_rows() == [row.to_dict() for row in table]
    assert "\n" not in repr(table) and repr(table).startswith(f"PolicyTable({len(table)} rows for {table.n_experts} ex")


def test_a_table_is_printed_with_its_spans() -> None:
    assert repr(TABLE) == "PolicyTable(4 rows for 2 experts: preference 0 to 1, cost 1 to 2.5 GMACs, score 0.8 to 0.9)"
    assert "cost 1 GMACs" in repr(replace(TABLE, rows=TABLE.rows[:1]))


def test_a_frame_has_the_rows_where_pandas_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    assert TABLE.to_frame() == TABLE.to_rows()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        TABLE.to_frame()


def test_a_budget_is_not_asked_for_as_a_preference() -> None:
    with pytest.raises(OrxeError, match=r"takes a preference alone: use table.choose\(budget=1.7\)"):
        TABLE.at(budget=1.7)
    with pytest.raises(OrxeError, match="takes a preference alone"):
        TABLE.at()


@given(tables(), UNIT)
def test_the_nearest_preference_is_chosen(table: PolicyTable, preference: float) -> None:
    chosen = table.at(preference)
    assert abs(chosen.preference - preference) == min(abs(row.preference - preference) for row in table.offered)
    for row in table.rows:
        assert table.at(row.preference) == row, "a fitted preference gives what was fitted for it"


@given(tables(), st.floats(0, 100))
def test_a_budget_buys_the_best_score_it_can(table: PolicyTable, budget: float) -> None:
    fits = [row for row in table.offered if row.cost <= budget]
    if not fits:
        with pytest.raises(OrxeError, match="the cheapest one costs"):
            table.at_budget(budget)
        return
    chosen = table.at_budget(budget)
    assert chosen.cost <= budget
    assert not any(row.score > chosen.score or (row.score == chosen.score and row.cost < chosen.cost) for row in fits)


@given(tables(), st.floats(-5, 5))
def test_a_target_is_met_at_the_least_cost(table: PolicyTable, target: float) -> None:
    fits = [row for row in table.offered if row.score >= target]
    if not fits:
        if all(row.score < target - 1e-9 for row in table.offered):
            with pytest.raises(OrxeError, match="the best one scores"):
                table.at_target(target)
        return
    chosen = table.at_target(target)
    assert chosen.score >= target - 1e-12
    assert all(chosen.cost <= row.cost for row in fits)


@given(tables(), st.floats(-10, 10))
def test_a_drop_is_a_target_below_the_last_expert(table: PolicyTable, max_drop: float) -> None:
    try:
        wanted = table.at_target(table.reference_score - max_drop)
    except OrxeError:
        with pytest.raises(OrxeError, match="no policy drops by at most"):
            table.at_max_drop(max_drop)
        return
    assert table.at_max_drop(max_drop) == wanted


@given(tables(), st.integers(1, 5), st.integers(0, 10**9))
def test_what_is_within_limits_is_what_fits(table: PolicyTable, max_experts: int, max_params: int) -> None:
    def fits(row: PolicyRow) -> bool:
        few = len(row.policy.reachable) <= max_experts
        return few and (not table.params or sum(table.params[i] for i in row.policy.reachable) <= max_params)

    limits = {"max_experts": max_experts, **({"max_params": max_params} if table.params else {})}
    every = [row for row in (*table.offered, *table.compact) if fits(row)]
    if not every:
        with pytest.raises(OrxeError, match="no policy gets by with"):
            table.within(**limits)
        return
    inside = table.within(**limits)
    assert all(fits(row) for row in inside.offered)
    assert {row for row in table.rows if fits(row)} <= set(inside.offered)
    for row in every:
        assert any(one.cost <= row.cost and one.score >= row.score for one in inside.offered)
    assert table.choose(budget=100, **limits) == inside.at_budget(100)
    for promise, whole in zip(inside.promises, table.promises, strict=True):
        assert promise.rows == tuple(filter(fits, whole.rows))
        assert promise.row is not None or promise.reason or not whole.rows


def test_rows_between_the_fitted_ones_are_chosen_too() -> None:
    between = PolicyRow(0.7, Policy((0.65,)), 1.7, 0.89)
    table = replace(TABLE, pareto=(between,))
    assert len(table) == 4 and table.preferences == (0.0, 0.5, 0.9, 1.0)
    for asked in ({"preference": 0.72}, {"budget": 1.9}, {"target": 0.88}, {"max_drop": 0.01}):
        assert table.choose(**asked) == between
        assert TABLE.choose(**asked) != between
    assert between in table.within(max_experts=2).offered


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "expected one of preference, budget, target and max_drop, but got none"),
        ({"budget": 0.5}, "costs at most 0.5 GMACs: the cheapest one costs 1 GMACs"),
        ({"target": 0.95}, r"scores at least 0.95: the best one scores 0.9000 at 2 GMACs"),
        ({"max_drop": -0.1}, "no policy drops by at most -0.1"),
        ({"preference": 0.5, "max_experts": 0}, "no policy gets by with 0 experts: the smallest one comes to 1"),
        ({"preference": 0.5, "max_params": 1e6}, "does not know its experts' numbers of parameters"),
        ({"max_drop": 0.01, "confidence": 0.9}, r"tested: nothing.*promise: \{max_drop: 0.01, confidence: 0.9\}"),
    ],
)
def test_refusals_name_the_way_out(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        TABLE.choose(**asked)


def test_the_mildest_promise_that_is_strict_enough_is_taken() -> None:
    cheapest, cheap, costly = TABLE.rows[:3]
    table = replace(
        TABLE,
        params=(10, 20),
        promises=(
            Promise(0.01, 0.95, 500, 3, (costly, cheap), (0.0, 0.001), (0.01, 0.02)),
            # Cheaper though stricter: luck, which must not be picked.
            Promise(0.005, 0.99, 500, 3, (cheapest,), (0.0,), (0.01,)),
            Promise(0.001, 0.95, 500, 3, reason="no policy can promise this with 500 samples"),
        ),
    )
    assert table.choose(max_drop=0.01, confidence=0.95) == cheap
    assert table.choose(max_drop=0.02, confidence=0.9) == cheap
    assert table.choose(max_drop=0.01, confidence=0.99) == cheapest
    with pytest.raises(OrxeError, match="no policy can promise this with 500 samples"):
        table.choose(max_drop=0.001, confidence=0.95)
    with pytest.raises(OrxeError, match="max_drop 0.01, confidence 0.95; max_drop 0.005"):
        table.choose(max_drop=0.0001, confidence=0.95)
    with pytest.raises(OrxeError, match="is promised, but by no policy within these limits"):
        table.choose(max_drop=0.01, confidence=0.95, max_experts=1)
