"""Recipe files: read one, change values of it, fill in its folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.recipe_folders import find_recipe
from orxe_plugins.util.validation import explain


def load_recipe(
    recipe: str | Path, *, out: Path, data: str | Path | None = None, overrides: Sequence[str] = ()
) -> Recipe:
    """Read a recipe.

    Args:
        recipe: a recipe file, a folder that holds one, or the name of one that comes with the project.
        out: the run's output folder; replaces ``{out}`` in every text of the recipe.
        data: the user's data folder; replaces ``{data}``. ``{recipe}`` is the recipe's own folder.
        overrides: ``key=value``, the key dotted as in ``data.split.fit=0.3``, the value in YAML. An entry of a list
            is named by its ``name`` or its number, as in ``experts.large.options.imgsz=128``.

    Raises:
        OrxeError: there is no such recipe, or a key or value in it does not fit.
    """
    path = find_recipe(recipe)
    raw = _unshared(_read_yaml(path))
    for override in overrides:
        _override(raw, override)
    places = {"out": str(out), "recipe": str(path.parent)}
    if data is not None:
        places["data"] = str(data)
    raw = _fill(raw, places, path)
    if isinstance(raw.get("experts"), str):
        raw["experts"] = list(read_experts_file(raw["experts"]))
    try:
        return Recipe.model_validate({**raw, "folder": path.parent})
    except ValidationError as error:
        raise OrxeError(f"{path}: {explain(error)}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise OrxeError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(raw, dict):
        raise OrxeError(f"{path} holds a {type(raw).__name__}: expected the keys of a recipe")
    return raw


def _unshared(value: Any) -> Any:
    """A copy in which no two places share a value, as YAML's aliases do: an override changes one place only."""
    if isinstance(value, dict):
        return {key: _unshared(part) for key, part in value.items()}
    return [_unshared(part) for part in value] if isinstance(value, list) else value


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise OrxeError(f"{override!r}: expected key=value, such as data.split.fit=0.3")
    *parents, last = key.split(".")
    place: Any = raw
    for parent in parents:
        if isinstance(place, dict) and place.get(parent) is None:
            place[parent] = {}
        place = place[_key(place, parent, override)]
    place[_key(place, last, override)] = yaml.safe_load(value)


def _key(place: Any, part: str, override: str) -> Any:
    """What one part of a dotted key means: a mapping's key, or an entry of a list by its name or its number."""
    if isinstance(place, dict):
        return part
    if not isinstance(place, list):
        raise OrxeError(f"{override!r}: {part!r} is a key inside of {place!r}, which has no keys")
    names = [str(entry.get("name") or "") if isinstance(entry, dict) else "" for entry in place]
    if part and part in names:
        return names.index(part)
    if part.isdecimal() and int(part) < len(place):
        return int(part)
    raise unknown(f"entry in {override!r}:", part, [name for name in names if name] or map(str, range(len(place))))


def _fill(value: Any, places: Mapping[str, str], path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _fill(part, places, path) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill(part, places, path) for part in value]
    if isinstance(value, str):
        if "{data}" in value and "data" not in places:
            raise OrxeError(f"{path.parent.name} needs your data: add --data FOLDER")
        for name, place in places.items():
            value = value.replace("{" + name + "}", place)
    return value
