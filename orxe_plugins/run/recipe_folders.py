"""Where recipes lie: those that come with the project, and the user's own."""

from __future__ import annotations

from pathlib import Path

from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.util.files import write_text

RECIPE_FILE = "recipe.yaml"
#: names the recipe whose results lie beside it
OWNER_FILE = "recipe.txt"


def recipe_names() -> dict[str, Path]:
    """The recipes that come with the project: name -> file."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel they lie inside the package, in a checkout beside it.
    found: dict[str, Path] = {}
    for folder in (package.parent / "recipes", package / "recipes"):
        found.update({path.parent.name: path for path in sorted(folder.glob(f"*/{RECIPE_FILE}"))})
    return found


def default_name(path: Path) -> str:
    """What a recipe is called that has no name: as its file, or as the folder of a ``recipe.yaml``."""
    return path.parent.name if path.name == RECIPE_FILE else path.stem


def claim_folder(folder: Path, recipe: Path) -> None:
    """Note whose results a folder under ``runs/`` holds.

    Args:
        folder: the output folder, which need not exist yet.
        recipe: the recipe's file.

    Raises:
        OrxeError: another recipe of the same name, which is still there, writes to it.
    """
    note = folder / OWNER_FILE
    if note.is_file():
        owner = Path(note.read_text(encoding="utf-8").strip())
        if owner != recipe and owner.is_file():
            raise OrxeError(
                f"{folder} holds results of {owner}, but this is {recipe}: give one of them a name of its own, "
                "or name another folder by --out"
            )
    if not note.is_file() or note.read_text(encoding="utf-8").strip() != str(recipe):
        write_text(note, f"{recipe}\n")


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
        if not path.is_file() and str(recipe) not in recipe_names():
            raise OrxeError(f"folder {str(recipe)!r} holds no {RECIPE_FILE}: name the recipe's file")
    if path.is_file():
        return path.resolve()
    known = recipe_names()
    if str(recipe) in known:
        return known[str(recipe)]
    if path.suffix.lower() in (".yaml", ".yml"):
        raise OrxeError(
            f"there is no recipe {str(recipe)!r}: name a file that is there, or write one by `orxe init --out {recipe}`"
        )
    raise unknown("recipe", str(recipe), known)
