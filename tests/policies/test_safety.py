"""The safe side: how far a choice goes up the table."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.policies.safety import Option, safe_choice

OPTIONS = st.lists(
    st.builds(Option, st.floats(0, 1), st.floats(-0.05, 0.2), st.floats(0, 0.05)), min_size=1, max_size=12
)
ALLOWED = st.floats(0, 0.1)


def plain(options: list[Option], allowed: float) -> float:
    """Cost of the cheapest option within what is allowed."""
    return min(option.cost for option in options if option.drop <= allowed)


@given(OPTIONS, ALLOWED, st.floats(0, 4), st.floats(0, 2))
def test_no_choice_breaks_what_is_allowed_by_its_estimate(
    options: list[Option], allowed: float, safety: float, price: float
) -> None:
    taken = safe_choice(options, allowed, safety, price)
    assert (taken is None) == all(option.drop > allowed for option in options)
    if taken is not None:
        assert options[taken].drop <= allowed
        assert options[taken].cost >= plain(options, allowed)


@given(OPTIONS, ALLOWED, st.floats(0, 4))
def test_without_safety_or_errors_the_cheapest_is_taken(options: list[Option], allowed: float, safety: float) -> None:
    sure = [Option(option.cost, option.drop) for option in options]
    for some, margin in ((options, 0.0), (sure, safety)):
        taken = safe_choice(some, allowed, margin)
        if taken is not None:
            assert some[taken].cost == plain(some, allowed)


@given(OPTIONS, ALLOWED, st.floats(0, 4), st.floats(0, 2))
def test_more_safety_and_a_higher_price_never_drop_more(
    options: list[Option], allowed: float, safety: float, price: float
) -> None:
    taken = safe_choice(options, allowed, safety, price)
    if taken is None:
        return
    for safer, higher in ((safety + 1, price), (safety, price + 1)):
        other = safe_choice(options, allowed, safer, higher)
        assert other is not None
        assert options[other].drop <= options[taken].drop


@given(OPTIONS, ALLOWED)
def test_at_any_price_it_is_safe_or_nothing_is_safer(options: list[Option], allowed: float) -> None:
    taken = safe_choice(options, allowed, 2.0, math.inf)
    if taken is None:
        return
    one = options[taken]
    safer = any(other.drop < one.drop and other.cost >= one.cost for other in options)
    saves = plain(options, allowed) < 1
    assert one.drop + 2 * one.error <= allowed or not safer or not saves


def test_a_step_may_cost_its_share_of_the_savings() -> None:
    # 0.6 of the cost is saved: a step that takes back a tenth of the allowed drop may cost 0.35 * 0.1 * 0.6.
    def second(cost: float) -> list[Option]:
        return [Option(0.4, 0.009, 0.005), Option(cost, 0.008, 0.005)]

    assert safe_choice(second(0.4209), 0.01, price=0.35) == 1
    assert safe_choice(second(0.4211), 0.01, price=0.35) == 0


def test_steps_end_where_it_is_safe() -> None:
    options = [Option(0.40 + 0.01 * k, 0.009 - 0.003 * k, 0.002) for k in range(4)]
    assert safe_choice(options, 0.0101, safety=1) == 1
    assert safe_choice(options, 0.0101, safety=3) == 2


def test_a_step_goes_past_options_that_are_worse_bargains() -> None:
    options = [Option(0.40, 0.009, 0.01), Option(0.45, 0.0089, 0.01), Option(0.46, 0.002, 0.001)]
    assert safe_choice(options, 0.01) == 2


def test_where_nothing_is_allowed_an_error_is_the_scale() -> None:
    options = [Option(0.5, 0.0, 0.002), Option(0.55, -0.001, 0.002), Option(1.0, -0.0011, 0.0)]
    assert safe_choice(options, 0.0) == 1


def table(*rows: tuple[float, float, float, float, float]) -> PolicyTable:
    """Rows of cost, score and the three errors; the last expert costs 10 and scores 0.9."""
    made = [PolicyRow(k / 10, Policy((0.1 * k,)), *figures) for k, figures in enumerate(rows)]
    return PolicyTable(tuple(made), reference_cost=10.0, reference_score=0.9)


def test_a_table_chooses_on_the_safe_side() -> None:
    made = table((3.0, 0.891, 0.3, 0.01, 0.004), (3.5, 0.895, 0.3, 0.01, 0.003), (9.0, 0.9, 0.1, 0.01, 0.0))
    assert made.choose(max_drop=0.01, safety=0).cost == 3.0
    assert made.choose(max_drop=0.01).cost == 3.5
    assert made.choose(target=0.89, safety=0).cost == 3.0
    assert made.choose(target=0.89).cost == 3.5
    assert made.choose(budget=3.6, safety=0).cost == 3.5
    assert made.choose(budget=3.6).cost == 3.0
    assert made.choose(budget=3.1).cost == 3.0  # none is safe: within by its estimate


def test_errors_survive_json_and_old_rows_have_none() -> None:
    made = table((3.0, 0.891, 0.3, 0.01, 0.004))
    assert PolicyTable.from_dict(made.to_dict()) == made
    old = {"preference": 0.5, "cost": 1.0, "score": 0.8, **Policy((0.5,)).to_dict()}
    assert PolicyRow.from_dict(old) == PolicyRow(0.5, Policy((0.5,)), 1.0, 0.8)
    assert PolicyRow.from_dict(old).to_dict() == old


def test_a_negative_safety_is_refused() -> None:
    with pytest.raises(OrxeError, match="safety is -1: expected a number of standard errors of at least 0"):
        table((3.0, 0.891, 0.3, 0.01, 0.004)).choose(max_drop=0.01, safety=-1)
