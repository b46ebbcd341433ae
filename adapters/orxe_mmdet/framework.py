"""Imports mmdet, of open-mmlab or of its fork, or says how to install it."""

from __future__ import annotations

from types import ModuleType

from orxe_plugins.experts.registry import import_framework


def import_mmdet() -> ModuleType:
    """The module ``mmdet``.

    Raises:
        ImportError: it is not installed, or refuses the versions of mmcv and mmengine that are.
    """
    try:
        return import_framework("mmdet", "mmdet")
    except AssertionError as error:
        raise ImportError(
            f"mmdet does not take what is installed beside it: {error} The packages of open-mmlab (extra mmdet) and of "
            "its fork (onedl-..., extra mmdet-onedl) have modules of the same names: install one of the two extras, in "
            "an environment without the other"
        ) from error
