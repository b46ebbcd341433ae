"""The polish on a metric that is no mean of scores: never worse by it than what it began with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import Records, fit_policies, replay
from orxe_plugins.search import polished, with_choices

PREFERENCES = (0.0, 0.3, 0.6, 0.9, 1.0)


def made(seed: int, n: int = 3, m: int = 80) -> Records:
    rng = np.random.default_rng(seed)
    confidence = rng.random((n, m)).astype(np.float32)
    return Records.from_arrays([f"e{i}" for i in range(n)], 4.0 ** np.arange(n), confidence, rng.random((n, m)))


def worst_tenth(records: Records) -> object:
    """A metric that no mean of per-sample scores gives: the mean of the lowest tenth of them."""
    return lambda expert: float(np.sort(records.score[expert, np.arange(len(records))])[: len(records) // 10].mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_it_is_never_worse_by_the_metric(seed: int, n: int) -> None:
    records = made(seed, n)
    metric = worst_tenth(records)
    before = with_choices(fit_policies(records, PREFERENCES), records)
    after = polished(before, records, metric)  # type: ignore[arg-type]
    whole = records.standalone_cost[-1]
    for old, new in zip(before, after, strict=True):
        outcome, was = replay(records, new.policy), replay(records, old.policy)
        assert new.preference == old.preference and new.cost == pytest.approx(outcome.cost)
        assert new.score == pytest.approx(metric(outcome.expert))  # type: ignore[operator]
        p = new.preference
        value, old_value = (
            (1 - p) * one.cost / whole + p * (1 - metric(one.expert))
            for one in (outcome, was)  # type: ignore[operator]
        )
        assert value <= old_value + 1e-9
    offered = after.offered
    assert all(a.cost <= b.cost + 1e-12 and a.score <= b.score + 1e-12 for a, b in pairwise(offered))
    assert after.reference_score == pytest.approx(metric(np.full(len(records), n - 1)))  # type: ignore[operator]


def test_it_measures_no_more_often_than_it_may() -> None:
    records, asked = made(1), []
    metric = worst_tenth(records)

    def counted(expert: np.ndarray) -> float:
        asked.append(1)
        return metric(expert)  # type: ignore[operator,no-any-return]

    table = with_choices(fit_policies(records, PREFERENCES), records)
    found = polished(table, records, counted, evaluations=20)
    assert found.details["polished"]["evaluations"] <= 20 + len(table.compact)
    assert len(asked) <= 20 + len(table.compact)
