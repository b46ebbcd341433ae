"""What a search does with records: which experts are kept, at what costs, and what the table says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import OrxeError, Records
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.run.fit import fit_table, keep_experts, with_recipe_costs
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.splits import Splits

NAMES = ("small", "medium", "large")


def recipe(**keys: Any) -> Recipe:
    raw = {"name": "made", "data": {"root": "nowhere"}, "experts": [{"address": "timm:a"}], "folder": Path()}
    return Recipe.model_validate({"preferences": {"step": 0.25}, **raw, **keys})


def records(m: int = 200, seed: int = 0, **more: Any) -> Records:
    """Three experts whose score rises with their cost, and whose confidence knows a little of it."""
    rng = np.random.default_rng(seed)
    score = (rng.random((3, m)) < np.array([[0.6], [0.75], [0.9]])).astype(np.uint8)
    confidence = np.clip(0.5 * score + 0.5 * rng.random((3, m)), 0, 1)
    ids = [f"{seed}-{i}" for i in range(m)]
    return Records.from_arrays(NAMES, [1.0, 3.0, 10.0], confidence, score, ids, **more)


def splits(**more: Any) -> Splits:
    return Splits(records(seed=1, **more), records(seed=2, **more), False, choose=records(m=900, seed=3, **more))


def test_without_a_wish_the_splits_stay_as_they_are() -> None:
    given = splits()
    assert keep_experts(recipe(), given) is given
    assert with_recipe_costs(recipe(), given, None) is given


@pytest.mark.parametrize("wish", [{"select_pool": {"k": 2}}, {"max_experts": 2}, {"max_params": 60.0}])
def test_experts_that_are_kept_are_kept_in_every_split(wish: dict[str, Any]) -> None:
    given = splits(params=np.array([10, 50, 500]))
    kept = keep_experts(recipe(**wish), given)
    assert kept.choose is not None and len(kept.fit.names) <= 2
    assert kept.fit.names == kept.report.names == kept.choose.names
    np.testing.assert_array_equal(kept.report.score, given.report.experts(kept.report.names).score)


def test_the_fitting_split_alone_decides_which_experts_are_kept() -> None:
    given = splits()
    wish = recipe(select_pool={"k": 2})
    other = replace(given.report, score=1 - given.report.score)
    assert keep_experts(wish, replace(given, report=other)).fit.names == keep_experts(wish, given).fit.names


def test_energies_take_the_place_of_costs_and_of_the_order() -> None:
    energy = recipe(cost={"kind": "energy", "table": {"small": 5, "medium": 2, "large": 9, "other": 1}})
    for part in (with_recipe_costs(energy, splits(), None).fit, with_recipe_costs(energy, splits(), None).report):
        assert (part.names, part.cost.tolist(), part.cost_unit) == (("medium", "small", "large"), [2, 5, 9], "mJ")
    with pytest.raises(OrxeError, match="unknown expert with a cost 'medium'"):
        with_recipe_costs(recipe(cost={"kind": "energy", "table": {"small": 5}}), splits(), None)


def test_latencies_are_those_of_the_sub_batches_and_stand_in_the_table() -> None:
    wish = recipe(cost={"kind": "latency", "batch_size": 8})
    latency = LatencyTable((1, 8), {"small": (1.0, 4.0), "medium": (3.0, 12.0), "large": (10.0, 60.0)}, {})
    priced = with_recipe_costs(wish, splits(), latency)
    assert priced.fit.cost_unit == priced.report.cost_unit == "ms"
    np.testing.assert_array_equal(priced.fit.cost, priced.report.cost)
    # The first expert sees whole batches: 4 ms for 8 samples. Those behind see smaller ones, which cost more a sample.
    assert priced.fit.cost[0] == pytest.approx(0.5) and priced.fit.cost[-1] > 60 / 8
    table = fit_table(wish, priced, latency)
    told = table.details["latency"]
    assert told["batch_size"] == 8 and told["ms_per_batch"]["large"] == [10.0, 60.0]
    assert len(told["expected_ms"]) == len(table) and min(told["expected_ms"]) >= 0.5


def test_a_table_says_what_it_was_fitted_on() -> None:
    wish = recipe(data={"root": "nowhere", "split": {"fit": 0.3, "choose": 0.2, "seed": 4}})
    given = splits(details={"dataset": {"name": "made"}})
    table = fit_table(wish, replace(given, same=True))
    assert table.n_samples == 200
    assert table.details["recipe"] == "made"
    assert table.details["split"] == {"fit": 0.3, "choose": 0.2, "seed": 4}
    assert table.details["fitted_on"] == {"dataset": {"name": "made"}}
    assert table.details["reported_on_the_same_samples"] is True
    assert "latency" not in table.details and not table.promises


def test_a_regulariser_keeps_policies_out_that_rest_on_few_samples() -> None:
    given = splits()
    few = fit_table(recipe(regulariser={"min_exits": 60}), given)
    assert not few.pareto, "what it refuses must not come back between the fitted policies"
    assert fit_table(recipe(), given).pareto


def test_promises_are_tested_on_the_choosing_split() -> None:
    split = {"root": "nowhere", "split": {"fit": 0.3, "choose": 0.2}}
    wish = recipe(data=split, promise={"max_drop": 0.2})
    given = splits()
    (kept,) = fit_table(wish, given).promises
    assert kept.n_samples == 900 and kept.rows
    choose = records(m=900, seed=3)
    # There, unlike on the fitting split, whatever the cheaper experts answer is wrong.
    wrong = replace(choose, score=choose.score * np.array([[0], [0], [1]], dtype=np.uint8))
    (refused,) = fit_table(wish, replace(given, choose=wrong)).promises
    assert not [row for row in refused.rows if row.policy.enabled[0] != 2]
