"""The first step: the recipe's own ``prepare``, which makes data or experts."""

from __future__ import annotations

from orxe_plugins.run.run import Run


def prepare(run: Run) -> None:
    """Run the recipe's ``prepare``, which skips what exists already; nothing to do for a recipe without one."""
    if run.recipe.prepare is not None:
        module = run.module_beside(run.recipe.prepare, "prepare")
        module.prepare(run.recipe, run.out, run.progress, **run.recipe.prepare_options)
