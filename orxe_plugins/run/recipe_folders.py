"""The recipes that come with the project: where they lie, and where a run of one writes."""

from __future__ import annotations

from pathlib import Path

from orxe_plugins.errors import unknown

RECIPE_FILE = "recipe.yaml"


def recipe_names() -> dict[str, Path]:
    """The recipes that come with the project: name -> file."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel they lie inside the package, in a checkout beside it.
    found: dict[str, Path] = {}
    for folder in (package.parent / "recipes", package / "recipes"):
        found.update({path.parent.name: path for path in sorted(folder.glob(f"*/{RECIPE_FILE}"))})
    return found


def recipe_out(recipe: str | Path) -> Path:
    """The default output folder of a recipe: ``runs/`` and the recipe's name."""
    return Path("runs") / find_recipe(recipe).parent.name


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe.

    Args:
        recipe: the file, the folder that holds it, or the name of a recipe that comes with the project.

    Raises:
        OrxeError: there is no such recipe.
    """
    path = Path(recipe)
    if path.is_dir():
        path = path / RECIPE_FILE
    if path.is_file():
        return path.resolve()
    known = recipe_names()
    if str(recipe) in known:
        return known[str(recipe)]
    raise unknown("recipe", str(recipe), known)
