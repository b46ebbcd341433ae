"""Names that were given up: they work for one more release, with a warning that says the new one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(package: str, new_names: Mapping[str, tuple[str, Any]]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package whose names changed (PEP 562).

    Args:
        package: the package's ``__name__``.
        new_names: each former name, with the new name and what it stands for.

    >>> renamed("shapes", {"Quad": ("Rectangle", tuple)})("Circle")
    Traceback (most recent call last):
    AttributeError: module 'shapes' has no attribute 'Circle'
    """

    def get(name: str) -> Any:
        if name not in new_names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        new_name, value = new_names[name]
        warnings.warn(
            f"{package}.{name} is now {package}.{new_name}. The old name goes in version 0.3: see docs/migration.md.",
            DeprecationWarning,
            stacklevel=2,
        )
        return value

    return get
