"""Names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from orxe_plugins._moved import moved_names


def lazy_names(
    package: str, places: Mapping[str, str], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for the ``__init__.py`` of a package.

    ``from package import Name`` then imports the module that defines ``Name``, and no other one: a package of many
    parts costs what is used of it. No name may be that of a module in the package, since an import of the module
    would put the module in the name's place.

    Type checkers must not see the result, or they accept any name of the package: it stands in the ``else`` of the
    ``if TYPE_CHECKING:`` that imports the names for them.

    Args:
        package: the package's ``__name__``.
        places: each name that the package offers, with the module that defines it.
        modules: names of modules in the package that ``package.name`` imports as well.

    >>> __getattr__, __dir__ = lazy_names("orxe_plugins.util", {"Progress": "orxe_plugins.util.progress"})
    >>> __getattr__("Progress").__module__
    'orxe_plugins.util.progress'
    """
    inner = frozenset(modules)
    moved = moved_names(package)

    def get(name: str) -> Any:
        if name in places:
            value = getattr(import_module(places[name]), name)
        elif name in inner:
            value = import_module(f"{package}.{name}")
        else:
            return moved(name)
        # From here on the name is found without this function.
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({*own["__all__"], *inner, *(name for name in own if name.startswith("__"))})

    return get, names
