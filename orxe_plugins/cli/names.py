"""``orxe list``: the names that recipes, addresses and options may use. Neither torch nor a framework is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

import yaml

from orxe_plugins.cli import console
from orxe_plugins.confidence.names import BUILT_IN as CONFIDENCES
from orxe_plugins.errors import unknown
from orxe_plugins.run.recipe_folders import recipe_names
from orxe_plugins.tasks.names import installed_tasks


def print_names(what: str) -> None:
    """Print one list of names, or all of them.

    Args:
        what: "recipes", "adapters", "tasks", "confidences" or "all".

    Raises:
        OrxeError: there is no such list.
    """
    if what not in (*_LISTS, "all"):
        raise unknown("list", what, [*_LISTS, "all"])
    for head, names in _LISTS.items():
        if what in (head, "all"):
            console.out.print(head, style="bold", markup=False)
            for name, note in names().items():
                console.tell(f"  {name:<24}{note}".rstrip())


def _recipes() -> dict[str, str]:
    """Each recipe with its description."""
    found = {}
    for name, path in recipe_names().items():
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[name] = str(raw.get("description", "")).strip()
    return found


def _adapters() -> dict[str, str]:
    """Each adapter with its package."""
    return {point.name: point.value for point in entry_points(group="orxe_plugins.adapters")}


_LISTS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "recipes": _recipes,
    "adapters": _adapters,
    "tasks": lambda: dict.fromkeys(installed_tasks(), ""),
    "confidences": lambda: dict.fromkeys(CONFIDENCES, ""),
}
