"""Offers ``mmcv._ext`` to Python's import system, after every other finder had its turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any, NoReturn

from orxe_mmdet.ops.flops import count_deformable_convolutions
from orxe_mmdet.ops.table import FALLBACKS

NAME = "mmcv._ext"
ORIGIN = "orxe_mmdet.ops (torchvision fallback)"


class _FallbackLoader(Loader):
    """Fills the module: the known ops, and for any other name a function that raises."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(FALLBACKS)
        # mmcv asserts at import that every op exists, also those that the program never calls.
        vars(module)["__getattr__"] = _missing_op


class _FallbackFinder(MetaPathFinder):
    """Finds ``mmcv._ext`` and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != NAME:
            return None
        return spec_from_loader(fullname, _FallbackLoader(), origin=ORIGIN)


def install() -> None:
    """Make ``mmcv.ops`` importable without compiled ops; call it before mmdet is imported.

    The finder is appended to ``sys.meta_path``: Python asks it only after the module was found
    nowhere else, so that a compiled ``mmcv._ext``, even a broken one, is what users get.
    """
    if not any(isinstance(finder, _FallbackFinder) for finder in sys.meta_path):
        sys.meta_path.append(_FallbackFinder())
    count_deformable_convolutions()


def is_fallback() -> bool:
    """Whether the ``mmcv._ext`` in use is this fallback; False if it is compiled or not imported yet."""
    spec = getattr(sys.modules.get(NAME), "__spec__", None)
    return spec is not None and spec.origin == ORIGIN


def _missing_op(name: str) -> Callable[..., Any]:
    if name.startswith("__"):
        raise AttributeError(f"module {NAME!r} has no attribute {name!r}")

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"mmcv op {name!r} has no fallback on torchvision: install an mmcv with compiled ops to use it"
        )

    missing.__name__ = name
    return missing
