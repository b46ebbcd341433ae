"""Classes that files and recipes call by a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes by name. Built-in ones are imported when they are asked for, others register themselves.

    Args:
        what: what messages call such a class, as "task".
        built_in: name of each class of this project, with the module that registers it.
    """

    def __init__(self, what: str, built_in: Mapping[str, str]) -> None:
        self.what = what
        self.built_in = built_in
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator: offer a class under a name.

        Raises:
            ValueError: the name is taken.
        """

        def register(cls: type[T]) -> type[T]:
            owner = self._classes.get(name) or self.built_in.get(name, cls.__module__)
            if owner != cls.__module__:
                raise ValueError(f"{self.what} {name!r} is registered twice: {owner} and {cls}")
            self._classes[name] = cls
            return cls

        return register

    def find(self, name: str) -> type[T] | None:
        """The class of a name; None if there is none."""
        if name not in self._classes and name in self.built_in:
            import_module(self.built_in[name])
        return self._classes.get(name)

    def names(self) -> tuple[str, ...]:
        """All names, sorted: built-in ones and those that are registered."""
        return tuple(sorted({*self.built_in, *self._classes}))
