"""Promises from fewer labels: control variates, and labels that are asked for one by one. The stated rate holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orxe_plugins import OrxeError, PolicyTable, Records, fit_policies, replay
from orxe_plugins.search import Controls, LabelRequests
from orxe_plugins.search.promise import fixed_sequence, with_promises

MAX_DROP, CONFIDENCE = 0.02, 0.9


def population(m: int, seed: int) -> Records:
    """Three classifiers of ten classes; confidences tell how likely they are right, and records keep their answers."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(m) ** 2
    chance = np.clip(np.array([1.1, 1.25, 1.4])[:, None] - hardness, 0.05, 0.98)
    # What is hard for one is hard for all.
    luck = np.where(rng.random((3, m)) < 0.8, rng.random(m), rng.random((3, m)))
    right = luck < chance
    label = rng.integers(0, 10, m)
    answer = np.where(right, label, (label + rng.integers(1, 10, (3, m))) % 10)
    confidence = np.clip(chance + rng.normal(0, 0.05, (3, m)), 0, 1)
    return Records.from_arrays(
        ["s", "m", "l"], [1, 3, 10], confidence, right.astype(np.uint8), labels=label,
        predictions={"classes": answer[:, :, None]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Records:
    return population(1000, 1)


@pytest.fixture(scope="module")
def table(fitted: Records) -> PolicyTable:
    return fit_policies(fitted, np.linspace(0, 1, 11))


@pytest.fixture(scope="module")
def large() -> Records:
    return population(100_000, 2)


def asked(table: PolicyTable, images: Records, **more: int) -> LabelRequests:
    requests = LabelRequests(table, replace(images, score=np.zeros_like(images.score)), MAX_DROP, CONFIDENCE, **more)
    assert images.labels is not None
    for sample in requests:
        requests.answer(images.labels[sample])
    return requests


def broken(table: PolicyTable, large: Records, count: int, rows_of: Callable[[np.random.Generator], tuple]) -> int:  # type: ignore[type-arg]
    """How many of so many promises name a policy whose true drop is larger than what was promised."""
    true = {row.policy: large.mean_score[-1] - replay(large, row.policy).score for row in fixed_sequence(table)}
    assert min(true.values()) < MAX_DROP < max(true.values())
    rng, wrong, made = np.random.default_rng(3), 0, 0
    for _ in range(count):
        rows = rows_of(rng)
        made += bool(rows)
        wrong += any(true[row.policy] > MAX_DROP for row in rows)
    assert made > count / 3, "a promise that is hardly ever made proves nothing"
    return wrong


def draw(large: Records, rng: np.random.Generator, m: int) -> Records:
    return large.samples(rng.integers(0, len(large), m))


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.long)])
def test_control_variates_break_no_more_promises_than_is_said(
    table: PolicyTable, fitted: Records, large: Records, count: int
) -> None:
    def rows(rng: np.random.Generator) -> tuple:  # type: ignore[type-arg]
        controls = Controls.of(draw(large, rng, 3000), fitted)
        return with_promises(table, draw(large, rng, 500), [(MAX_DROP, CONFIDENCE)], controls=controls).promises[0].rows

    assert broken(table, large, count, rows) <= (1 - CONFIDENCE) * count


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_labels_one_by_one_break_no_more_promises_than_is_said(table: PolicyTable, large: Records, count: int) -> None:
    def rows(rng: np.random.Generator) -> tuple:  # type: ignore[type-arg]
        return asked(table, draw(large, rng, 1500), max_labels=150).promise.rows

    assert broken(table, large, count, rows) <= (1 - CONFIDENCE) * count


def test_corrected_drops_have_the_mean_and_less_spread(table: PolicyTable, fitted: Records, large: Records) -> None:
    controls = Controls.of(large.samples(slice(0, 60_000)), fitted)
    records = large.samples(slice(60_000, 90_000))
    for row in fixed_sequence(table):
        drop = records.score[-1] - replay(records, row.policy).sample_score
        corrected, greatest = controls.corrected(row.policy, records, drop)
        assert corrected.mean() == pytest.approx(drop.mean(), abs=5 * drop.std() / 30_000**0.5)
        assert corrected.max() <= greatest + 1e-9 and corrected.var() <= drop.var() * 1.001


def test_labels_are_asked_for_only_where_answers_differ_and_less_often_than_a_choosing_split_has_them(
    table: PolicyTable, large: Records
) -> None:
    images = large.samples(slice(2500, 5000))
    found = asked(table, images)
    plain = with_promises(table, images, [(MAX_DROP, CONFIDENCE)]).promises[0]
    assert found.promise.row is not None and plain.row is not None
    answers = images.predictions["classes"][:, :, 0]
    assert set(found._known) <= set(np.flatnonzero((answers != answers[-1]).any(axis=0)).tolist())
    assert 0 < found.labels < len(images) / 3
    assert found.promise.row.cost <= 1.3 * plain.row.cost
    again = PolicyTable.from_dict(replace(table, promises=(found.promise,)).to_dict())
    assert again.choose(max_drop=MAX_DROP, confidence=CONFIDENCE) == found.promise.row


def test_a_budget_of_labels_ends_it(table: PolicyTable, large: Records) -> None:
    none = asked(table, large.samples(slice(0, 2500)), max_labels=0)
    assert none.labels == 0 and none.promise.row is None and "with 0 labels" in none.promise.reason


def test_wrong_use_is_said(table: PolicyTable, large: Records, fitted: Records) -> None:
    requests = LabelRequests(table, large.samples(slice(0, 500)), MAX_DROP)
    with pytest.raises(OrxeError, match="iterate to the end first"):
        _ = requests.promise
    with pytest.raises(OrxeError, match="no sample is waiting"):
        requests.answer(1)
    with pytest.raises(OrxeError, match="got no label"):
        list(requests)
    with pytest.raises(OrxeError, match="keep: top5"):
        LabelRequests(table, replace(fitted, predictions={}), MAX_DROP)
    with pytest.raises(OrxeError, match="record both with the same ones"):
        Controls.of(large.experts(["s"]), fitted)
    with pytest.raises(OrxeError, match="leave them out"):
        Controls.of(large.samples([]), fitted)
