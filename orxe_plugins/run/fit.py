"""What the search step does with records: choose experts and costs, fit the policy table."""

from __future__ import annotations

from dataclasses import replace

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.splits import Splits
from orxe_plugins.search.batched import batched_costs, policy_ms, stream_costs, with_costs, with_time
from orxe_plugins.search.controls import Controls
from orxe_plugins.search.fit import fit_policies
from orxe_plugins.search.pareto import choose_experts, with_choices
from orxe_plugins.search.polish import polished
from orxe_plugins.search.pool import select_pool
from orxe_plugins.search.promise import with_promises
from orxe_plugins.tasks.task import Task


def keep_experts(recipe: Recipe, splits: Splits) -> Splits:
    """The splits with only those experts that the recipe wants in the cascade; the fitting split decides."""
    names = splits.fit.names
    if recipe.select_pool is not None:
        names = select_pool(splits.fit, recipe.select_pool.k, recipe.preferences)
    if recipe.max_experts is not None or recipe.max_params is not None:
        names = choose_experts(
            splits.fit.experts(names),
            recipe.preferences,
            max_experts=recipe.max_experts,
            max_params=recipe.max_params,
        )
    return splits if names == splits.fit.names else splits.map(lambda records: records.experts(names))


def with_recipe_costs(recipe: Recipe, splits: Splits, latency: LatencyTable | None) -> Splits:
    """The splits with the costs that the recipe asks for; the fitting split decides at which sub-batches.

    Args:
        recipe: the recipe.
        splits: as recorded, in GMACs.
        latency: measured times, for a recipe whose cost is time.
    """
    if isinstance(recipe.cost.table, dict):
        energy = recipe.cost.table
        return splits.map(lambda records: with_costs(records, energy, "mJ"))
    if latency is None:
        return splits
    if recipe.cost.kind == "throughput":
        costs = stream_costs(splits.fit, latency, recipe.cost.batch_size)
    else:
        size = recipe.cost.batch_size
        costs = batched_costs(splits.fit, latency, recipe.preferences, size, skip_gates=recipe.skip_gates)
    return splits.map(lambda records: with_time(records, costs))


def fit_table(
    recipe: Recipe, splits: Splits, latency: LatencyTable | None = None, task: Task | None = None
) -> PolicyTable:
    """Fit policies on the fitting split, add good ones between them, test promises on the choosing split.

    Where a task has a metric that is no mean of scores, its policies are polished by it.
    """
    regulariser = {name: value for name, value in recipe.regulariser.model_dump().items() if value}
    table = fit_policies(
        splits.fit, recipe.preferences, skip_gates=recipe.skip_gates, scores=recipe.scores, **regulariser
    )
    # What a regulariser has refused must not come back as a policy between.
    if not regulariser:
        table = with_choices(table, splits.fit)
        if task is not None and splits.targets:
            metric = task.metric_of_routing(splits.fit.predictions, splits.targets)
            table = table if metric is None else polished(table, splits.fit, metric)
    if recipe.promise:
        assert splits.choose is not None
        controls = None if splits.unlabelled is None else Controls.of(splits.unlabelled, splits.fit)
        wanted = [(one.max_drop, one.confidence) for one in recipe.promise]
        table = with_promises(table, splits.choose, wanted, controls=controls)
    details = {**table.details, **_described(recipe, splits)}
    if latency is not None:
        kind = "throughput" if recipe.cost.kind == "throughput" else "latency"
        times = TimeCost(latency, recipe.cost.batch_size, kind)
        expected = [policy_ms(splits.fit, row.policy, times) for row in table]
        asked = {"kind": times.kind, "batch_size": times.batch_size, "expected_ms": expected}
        details["latency"] = {**asked, **latency.to_dict()}
    return replace(table, details=details)


def _described(recipe: Recipe, splits: Splits) -> dict[str, object]:
    return {
        "recipe": recipe.name,
        "fitted_on": dict(splits.fit.details),
        "split": recipe.described_split(),
        "reported_on_the_same_samples": splits.same,
    }
