"""Promises hold as often as they say, and are refused where the samples cannot carry them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable, Records, fit_policies, replay
from orxe_plugins.search.betting_test import p_value
from orxe_plugins.search.promise import fixed_sequence, promise, with_promises


def population(m: int, seed: int, real: bool = False) -> Records:
    """Three experts of rising quality whose confidence tells how likely they are right."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(m)
    chance = np.clip(np.array([1.15, 1.3, 1.5])[:, None] - hardness, 0.05, 0.98)
    score = (rng.random((3, m)) < chance).astype(np.uint8)
    confidence = np.clip(chance + rng.normal(0, 0.08, (3, m)), 0, 1)
    return Records.from_arrays(["s", "m", "l"], [1, 3, 10], confidence, 0.9 * score + 0.05 if real else score)


@pytest.fixture(scope="module")
def table() -> PolicyTable:
    return fit_policies(population(2000, seed=1), np.linspace(0, 1, 21))


def true_drops(table: PolicyTable, large: Records) -> dict[Policy, float]:
    return {row.policy: float(large.mean_score[-1]) - replay(large, row.policy).score for row in fixed_sequence(table)}


@pytest.mark.parametrize("real", [False, True])
def test_of_1000_promises_no_more_are_broken_than_the_confidence_allows(table: PolicyTable, real: bool) -> None:
    large = population(200_000, seed=2, real=real)
    true = true_drops(table, large)
    max_drop, confidence, rng = 0.02, 0.9, np.random.default_rng(3)
    assert min(true.values()) < max_drop < max(true.values())
    broken = made = 0
    for _ in range(1000):
        drawn = large.samples(rng.integers(0, len(large), 500))
        try:
            found = promise(table, drawn, max_drop, confidence)
        except OrxeError:
            continue
        made += 1
        broken += max(true[row.policy] for row in found.rows) > max_drop
    assert made > 500, "a promise that is hardly ever made proves nothing"
    assert broken / 1000 <= 1 - confidence


def test_the_worst_policies_pass_no_more_often_than_the_level() -> None:
    """All policies drop by just more than is allowed: whatever passes is an error."""
    m, max_drop, rng = 400, 0.03, np.random.default_rng(4)
    passed = 0
    for _ in range(1000):
        wrong = rng.random(m) < max_drop + 1e-4
        passed += p_value(wrong.astype(np.int8), max_drop, 0.1) <= 0.1
    assert passed / 1000 <= 0.1


@settings(max_examples=25)
@given(st.floats(0, 0.3), st.floats(0.01, 0.3), st.floats(0.02, 0.5), st.integers(0, 2**32 - 1))
def test_a_p_value_is_no_smaller_than_it_may_be(gains: float, max_drop: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chances = [max_drop + gains, gains, 1 - max_drop - 2 * gains]
    low = 0
    for _ in range(200):
        drop = rng.choice([1, -1, 0], size=60, p=np.clip(chances, 0, 1) / np.clip(chances, 0, 1).sum())
        low += p_value(drop, max_drop if chances[2] >= 0 else drop.mean() - 1, level) <= level
    # Six standard deviations of luck: a test that rejects too often still fails here.
    assert low / 200 <= level + 6 * np.sqrt(level / 200)


def test_the_sequence_runs_from_the_costliest_down_and_never_looks_at_the_choosing_split(table: PolicyTable) -> None:
    sequence = fixed_sequence(table)
    costs, scores = [row.cost for row in sequence], [row.score for row in sequence]
    assert costs == sorted(costs, reverse=True) and scores == sorted(scores, reverse=True)
    assert all(row.policy.reachable != (2,) for row in sequence)
    drawn = population(3000, seed=5)
    found = promise(table, drawn, 0.05, 0.95)
    assert found.rows == sequence[: len(found.rows)]
    assert found.tried == min(len(found.rows) + 1, len(sequence))
    assert found.row == found.rows[-1] and max(found.p_values) <= 1 - found.confidence + 1e-12
    for row, drop in zip(found.rows, found.drops, strict=True):
        assert drop == pytest.approx(drawn.mean_score[-1] - replay(drawn, row.policy).score)


def test_a_stricter_promise_is_never_cheaper(table: PolicyTable) -> None:
    drawn = population(4000, seed=6)
    costs = [promise(table, drawn, drop, 0.95).row.cost for drop in (0.02, 0.05, 0.2)]  # type: ignore[union-attr]
    assert costs == sorted(costs, reverse=True)


def test_few_samples_promise_nothing_and_the_error_says_how_many_would(table: PolicyTable) -> None:
    few = population(60, seed=7)
    with pytest.raises(OrxeError, match=r"no policy can promise a drop .* 0.01 .* with 60 samples: .*drops by 0"):
        promise(table, few, 0.01)
    tested = with_promises(table, few, [(0.01, 0.95), (0.9, 0.5)])
    assert [bool(p.rows) for p in tested.promises] == [False, True]
    with pytest.raises(OrxeError, match="no policy can promise"):
        tested.choose(max_drop=0.01, confidence=0.95)
    assert tested.choose(max_drop=0.9, confidence=0.5) == tested.promises[1].row
    assert PolicyTable.from_dict(tested.to_dict()) == tested


def test_policies_that_never_differ_need_as_many_samples_as_the_error_says() -> None:
    row = PolicyRow(0.5, Policy((0.5,)), 1.0, 1.0)
    table = PolicyTable((row,), reference_cost=2.0, reference_score=1.0)

    def alike(m: int) -> Records:
        return Records.from_arrays(["a", "b"], [1, 2], np.full((2, m), 0.9), np.ones((2, m), np.uint8))

    with pytest.raises(OrxeError, match="about 4[0-9]0 would be needed"):
        promise(table, alike(50), 0.01)
    assert promise(table, alike(430), 0.01).row == row


def test_the_last_expert_alone_is_no_promise() -> None:
    row = PolicyRow(1.0, Policy.never(2), 2.0, 0.9)
    table = PolicyTable((row,), reference_cost=2.0, reference_score=0.9)
    with pytest.raises(OrxeError, match=r"no fitted policy is cheaper than the last expert alone.*drops by 0 by defin"):
        promise(table, population(100, 0).experts([0, 2]), 0.1)


def test_bad_arguments_are_refused(table: PolicyTable) -> None:
    drawn = population(50, seed=8)
    for wrong in ({"max_drop": 0.0}, {"max_drop": 1.5}, {"max_drop": 0.1, "confidence": 95}):
        with pytest.raises(OrxeError, match="expected a number between 0 and 1"):
            promise(table, drawn, **wrong)
    with pytest.raises(OrxeError, match="holds no sample"):
        promise(table, drawn.samples([]), 0.1)
    with pytest.raises(OrxeError, match=r"scores lie in \[-"):
        promise(table, replace(drawn, score=drawn.score - 2.0), 0.1)
    with pytest.raises(OrxeError, match="2 experts"):
        promise(table, drawn.experts([0, 2]), 0.1)
