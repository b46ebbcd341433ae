"""Pillow's own way to open an image, whatever other packages put in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image


def opened(source: Path | BinaryIO, formats: Sequence[str] | None = None) -> Image.Image:
    """An image whose pixels are not read yet.

    Ultralytics replaces ``Image.open`` by a function that installs a package where it does not know a file's format: a
    torn image must not do that. Plug-ins for more formats that are registered with Pillow are used.

    Args:
        source: the file.
        formats: the formats it may have; None for all.

    Raises:
        PIL.UnidentifiedImageError: its format is not known.
        OSError: it cannot be read.
    """
    image: Image.Image = _own(Image.open)(source, formats=formats)
    return image


def _own(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pillow's function among the names that the one in its place can call."""
    if function.__module__ == Image.__name__:
        return function
    known = getattr(function, "__globals__", {}).values()
    return next((one for one in known if _is_own(one)), function)


def _is_own(value: object) -> bool:
    return callable(value) and (getattr(value, "__module__", ""), getattr(value, "__name__", "")) == (
        Image.__name__,
        "open",
    )
