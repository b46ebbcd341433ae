"""The fifth step: fit policies on the fitting split and write the cascade's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orxe_plugins.cascade.file import CascadeFile, put_cascade
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.run.confidences import Pool, with_confidences
from orxe_plugins.run.fit import fit_table, keep_experts, with_recipe_costs
from orxe_plugins.run.latency import latency_table
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.run import Run
from orxe_plugins.run.splits import Splits, splits_of
from orxe_plugins.util.files import write_json

#: what `orxe search` was asked for, beside ``cascade.json``
ASKED_FILE = "search.json"
#: keys of a recipe that the search depends on, and nothing before it
_SEARCH_KEYS = {
    "preferences",
    "skip_gates",
    "scores",
    "select_pool",
    "max_experts",
    "max_params",
    "cost",
    "regulariser",
    "promise",
}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted cascade and the samples that it was fitted and is reported on.

    Attributes:
        file: the cascade, as ``cascade.json`` keeps it.
        splits: the recorded samples as the cascade sees them: its experts, their confidences and costs.
    """

    file: CascadeFile
    splits: Splits


def search(run: Run, pool: Pool | None = None) -> Fitted:
    """Fit policies on the fitting split and write the cascade's folder.

    Args:
        run: the run.
        pool: what :func:`~orxe_plugins.run.confidences.with_confidences` gave; made of the records in the output
            folder by default.
    """
    pool = pool or with_confidences(run, splits_of(run))
    view = recorded_view(pool.splits.fit.details)
    latency = latency_table(run, view, list(pool.specs.values()))
    splits = keep_experts(run.recipe, with_recipe_costs(run.recipe, pool.splits, latency))
    table = fit_table(run.recipe, splits, latency, run.task)
    details = splits.fit.details
    specs = tuple(
        replace(_as_recorded(pool.specs[name], details), cost=cost, shared_cost=shared)
        for name, cost, shared in zip(
            splits.fit.names, splits.fit.cost.tolist(), splits.fit.shared_cost.tolist(), strict=True
        )
    )
    labels = details.get("labels") or details.get("dataset", {}).get("class_names")
    file = CascadeFile(specs, table, run.recipe.task, view, run.recipe.input_mode, tuple(labels) if labels else None)
    put_cascade(run.cascade_folder, file)
    write_json(run.cascade_folder / ASKED_FILE, asked_of(run.recipe))
    return Fitted(file, splits)


def priced_pool(run: Run) -> Pool:
    """The recorded pool with the confidences and the costs that the recipe asks for; times are measured if need be."""
    pool = with_confidences(run, splits_of(run))
    latency = latency_table(run, recorded_view(pool.splits.fit.details), list(pool.specs.values()))
    return replace(pool, splits=with_recipe_costs(run.recipe, pool.splits, latency))


def _as_recorded(spec: ExpertSpec, details: Mapping[str, Any]) -> ExpertSpec:
    """The spec with the weights and, of a classifier, the classes that were recorded: every front answers alike."""
    spec = replace(spec, fingerprint=details.get("weights", {}).get(spec.name))
    columns = details.get("columns", {}).get(spec.name)
    if columns is None:
        return spec
    answer_in = dict(zip(details["labels"], columns, strict=True))
    return replace(spec, options={**spec.options, "answer_in": answer_in})


def recorded_view(details: Mapping[str, Any]) -> ImageView | None:
    """The view of the one tensor that records were made with; None for records of original images.

    It is that of the whole pool, and inference must keep it when the cascade has fewer experts.

    Args:
        details: ``Records.details``.
    """
    view = details.get("input_view")
    return None if view is None else ImageView.from_dict(dict(view))


def asked_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe's keys that the search depends on, as JSON values."""
    return recipe.model_dump(mode="json", include=_SEARCH_KEYS)
