"""Saver selection against a search through every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, Records, replay
from orxe_plugins.search import saver_curves, saver_table, select_saver, select_savers


def pair(confidence: list[float], saver: list[int], base: list[int], costs: tuple[float, float] = (1, 4)) -> Records:
    return Records.from_arrays(["s", "b"], costs, [confidence, [0.5] * len(saver)], [saver, base])


def test_the_largest_exit_ratio_wins_even_behind_a_dip() -> None:
    # Sums of saver - base by falling confidence: +1, 0, -1, -1, 0, -1: the fifth cut still matches.
    records = pair([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 0, 0, 1, 1, 0], [0, 1, 1, 1, 0, 1])
    (row,) = select_saver(records, "b")
    assert row.r_match == 5 / 6
    assert row.delta_c == pytest.approx(1 / 4 - 5 / 6)
    assert row.threshold == pytest.approx(0.45)


def test_samples_of_equal_confidence_exit_together() -> None:
    # Split at will, the tied pair would let the right one exit alone.
    records = pair([0.9, 0.8, 0.8], [1, 1, 0], [1, 0, 1])
    assert select_saver(records, "b")[0].r_match == 1.0
    records = pair([0.9, 0.8, 0.8, 0.8], [1, 1, 0, 0], [1, 0, 1, 1])
    row = select_saver(records, "b")[0]
    assert row.r_match == 1 / 4
    assert 0.8 < (row.threshold or 0) <= 0.9


def test_no_threshold_matches() -> None:
    row = select_saver(pair([0.9, 0.8], [0, 1], [1, 1]), "b")[0]
    assert (row.r_match, row.threshold, row.delta_c) == (0.0, None, 0.25)


def test_everything_exits_at_threshold_zero() -> None:
    row = select_saver(pair([0.9, 0.8], [1, 1], [1, 1]), "b")[0]
    assert (row.r_match, row.threshold) == (1.0, 0.0)


def test_candidates_are_cheaper_and_ranked_by_delta_c() -> None:
    rng = np.random.default_rng(0)
    records = Records.from_arrays("abcd", [1, 2, 3, 3], rng.random((4, 50)), rng.random((4, 50)) < 0.8)
    rows = select_saver(records, "c")
    assert {row.saver for row in rows} == {"a", "b"}
    assert rows[0].delta_c <= rows[1].delta_c
    assert select_savers(records, ["c", "d"])["c"] == rows
    with pytest.raises(OrxeError, match="no expert is cheaper than 'a'"):
        select_saver(records, "a")
    with pytest.raises(OrxeError, match="unknown expert 'x'"):
        select_saver(records, "x")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.booleans())
def test_equals_replay_at_every_threshold(random_records, seed: int, m: int, real: bool) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    records = random_records(rng, 2, m, real=real)
    if records.cost[0] >= records.cost[1]:
        return
    row = select_saver(records, 1)[0]
    matching = [0.0]
    cost, score = [records.cost.sum()], [records.mean_score[1]]
    for t in np.unique(records.confidence[0]):
        outcome = replay(records, Policy((float(t),)))
        out = outcome.expert == 0
        cost.append(outcome.cost)
        score.append(outcome.score)
        if records.score[0][out].sum() >= records.score[1][out].sum() - 1e-9:
            matching.append(out.mean())
    assert row.r_match == pytest.approx(max(matching))
    if row.threshold is not None:
        assert replay(records, Policy((row.threshold,))).exit_share[0] == pytest.approx(row.r_match)

    table = saver_table(records, 0, 1, drops=(0.3, 0.1, 0.0))
    assert table.best_score == pytest.approx(max(score))
    for drop, needed in zip(table.drops, table.needed_cost, strict=True):
        fits = [c for c, s in zip(cost, score, strict=True) if s >= records.mean_score[1] - drop - 1e-9]
        alone = records.mean_score[0] >= records.mean_score[1] - drop - 1e-9
        assert needed is None if alone else needed == pytest.approx(min(fits))

    curves = saver_curves(records, 0, 1)
    assert curves.crossing == row.r_match
    assert (np.diff(curves.exit_ratio) > 0).all()
    assert curves.exit_ratio[-1] == 1
    assert curves.saver_score[-1] == pytest.approx(records.mean_score[0])
    assert curves.base_score[-1] == pytest.approx(records.mean_score[1])
    for k in range(len(curves.exit_ratio)):
        out = records.confidence[0] >= np.float32(curves.threshold[k])
        assert out.mean() == pytest.approx(curves.exit_ratio[k])
        assert curves.saver_score[k] == pytest.approx(records.score[0][out].mean())


def test_columns_of_table_1() -> None:
    # The saver alone is 2 of 4 right, the base 3 of 4.
    records = pair([0.9, 0.7, 0.5, 0.3], [1, 1, 0, 0], [1, 0, 1, 1], costs=(1, 10))
    table = saver_table(records, "s", "b", drops=(0.5, 0.25, 0.0))
    assert table.needed_cost == (None, None, pytest.approx(1 + 10 / 4))
    assert table.best_score == 1.0
    assert table.best_cost == pytest.approx(1 + 10 / 2)
    assert table.change(table.best_cost) == pytest.approx(-0.4)
