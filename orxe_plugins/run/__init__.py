"""Recipes: what they say, and the steps of running one."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.run.pipeline import Run
    from orxe_plugins.run.recipe import Recipe
    from orxe_plugins.run.recipe_file import load_recipe
    from orxe_plugins.run.recipe_folders import recipe_names, recipe_out
else:
    _PLACES = {
        "Recipe": "orxe_plugins.run.recipe",
        "Run": "orxe_plugins.run.pipeline",
        "load_recipe": "orxe_plugins.run.recipe_file",
        "recipe_names": "orxe_plugins.run.recipe_folders",
        "recipe_out": "orxe_plugins.run.recipe_folders",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Recipe",
    "Run",
    "load_recipe",
    "recipe_names",
    "recipe_out",
]
