"""Recipes: what they say, and the steps of running one."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.fitted import read_fitted
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recipe import Recipe
    from orxe_plugins.run.recipe_file import load_recipe, recipe_out
    from orxe_plugins.run.recipe_folders import recipe_names
    from orxe_plugins.run.recording import read_recorded, record_pool
    from orxe_plugins.run.run import Run
    from orxe_plugins.run.samples import metric_of, samples_of
    from orxe_plugins.run.searching import search
    from orxe_plugins.run.splits import splits_of
else:
    _PLACES = {
        "Recipe": "orxe_plugins.run.recipe",
        "Run": "orxe_plugins.run.run",
        "load_recipe": "orxe_plugins.run.recipe_file",
        "metric_of": "orxe_plugins.run.samples",
        "prepare": "orxe_plugins.run.preparing",
        "read_fitted": "orxe_plugins.run.fitted",
        "read_recorded": "orxe_plugins.run.recording",
        "recipe_names": "orxe_plugins.run.recipe_folders",
        "recipe_out": "orxe_plugins.run.recipe_file",
        "record_pool": "orxe_plugins.run.recording",
        "samples_of": "orxe_plugins.run.samples",
        "search": "orxe_plugins.run.searching",
        "splits_of": "orxe_plugins.run.splits",
        "with_confidences": "orxe_plugins.run.confidences",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Recipe",
    "Run",
    "load_recipe",
    "metric_of",
    "prepare",
    "read_fitted",
    "read_recorded",
    "recipe_names",
    "recipe_out",
    "record_pool",
    "samples_of",
    "search",
    "splits_of",
    "with_confidences",
]
