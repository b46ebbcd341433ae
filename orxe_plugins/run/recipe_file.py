"""Recipe files: read one, change values of it, fill in its folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.recipe_folders import default_name, find_recipe
from orxe_plugins.util.files import folder_name
from orxe_plugins.util.json_files import checked, values_of
from orxe_plugins.util.validation import known_keys
from orxe_plugins.util.yaml_files import parse_yaml, read_yaml

#: an adapter's name of several letters, so that a drive of Windows is none
_ADDRESS = re.compile(r"[A-Za-z_][\w-]+:.")


def load_recipe(
    recipe: str | Path,
    *,
    out: Path,
    data: str | Path | None = None,
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> Recipe:
    """Read a recipe.

    The caller names it, so that it is trusted with all that it says itself. An experts file that it names is trusted
    too if it lies in the recipe's folder; another one only with ``trust``.

    Args:
        recipe: a recipe file, a folder that holds one, or the name of one that comes with the project.
        out: the run's output folder; replaces ``{out}`` in every text of the recipe.
        data: the user's data folder; replaces ``{data}``. ``{recipe}`` is the recipe's own folder.
        overrides: ``key=value``, the key dotted as in ``data.split.fit=0.3``, the value in YAML. An entry of a list
            is named by its ``name`` or its number, as in ``experts.large.options.imgsz=128``.
        trust: the caller trusts an experts file from elsewhere, too.

    Raises:
        OrxeError: there is no such recipe, or a key or value in it does not fit.
    """
    path, raw = read_raw(recipe, overrides)
    places = {"out": str(out), "recipe": str(path.parent)}
    if data is not None:
        places["data"] = str(data)
    raw = _fill(raw, places, path)
    raw["experts"] = _listed_experts(raw.get("experts"), path, trust)
    for key in raw:
        if key == "folder" or not isinstance(key, str):
            raise OrxeError(f"{path}: unknown key {key!r}: known are {', '.join(sorted(known_keys(Recipe, ())))}")
    with values_of(str(path)):
        return checked(Recipe, {**raw, "folder": path.parent}, str(path))


def read_raw(recipe: str | Path, overrides: Sequence[str] = ()) -> tuple[Path, dict[str, Any]]:
    """A recipe's file, and its keys as they stand there, with some of them changed; its name is among them.

    Raises:
        OrxeError: there is no such recipe, it is no YAML with keys, or an override does not fit.
    """
    path = find_recipe(recipe)
    raw = _unshared(read_yaml(path))
    if not isinstance(raw, dict):
        held = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise OrxeError(f"{path} holds {held}: expected the keys of a recipe")
    for override in overrides:
        _override(raw, override)
    if raw.get("name") is None:
        raw["name"] = default_name(path)
    return path, raw


def recipe_out(recipe: str | Path, overrides: Sequence[str] = ()) -> Path:
    """The default output folder of a recipe: ``runs/`` and the recipe's name."""
    _, raw = read_raw(recipe, overrides)
    return Path("runs") / folder_name(str(raw["name"]))


def _listed_experts(experts: Any, path: Path, trust: bool) -> Any:
    """The experts as a list, where the key names one address or an experts file."""
    if not isinstance(experts, str):
        return experts
    if Path(experts).suffix.lower() in (".yaml", ".yml") and not _ADDRESS.match(experts):
        beside = Path(experts).resolve().is_relative_to(path.parent.resolve())
        return list(read_experts_file(experts, trust=trust or beside))
    if _ADDRESS.match(experts):
        return [experts]
    raise OrxeError(
        f"{path}: experts is {experts!r}: expected a list of experts, such as [timm:resnet18, timm:resnet50], or an "
        "experts file (.yaml)"
    )


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
    place[_key(place, last, override)] = parse_yaml(value, f"the value in {override!r}")


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
