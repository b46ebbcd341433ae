"""The scale at which a detector's test pipeline shows it an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orxe_mmdet.configs import type_name
from orxe_plugins.errors import OrxeError

Scale = tuple[int, int]


def read_scale(scale: str | int | Sequence[int]) -> Scale:
    """Width and height in pixels, as mmdet's configs have them.

    >>> read_scale("1333x800"), read_scale([1333, 800]), read_scale(640)
    ((1333, 800), (1333, 800), (640, 640))

    Raises:
        OrxeError: it is something else.
    """
    sides: tuple[Any, ...] = ()
    if isinstance(scale, str):
        found = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", scale)
        sides = () if found is None else (int(found[1]), int(found[2]))
    elif isinstance(scale, int):
        sides = (scale, scale)
    elif isinstance(scale, Sequence):
        sides = tuple(scale)
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise OrxeError(f"scale is {scale!r}: expected width and height in pixels, such as 1333x800 or [1333, 800]")
    return sides[0], sides[1]


def at_scale(pipeline: Sequence[Any], scale: str | int | Sequence[int]) -> list[Any]:
    """A test pipeline whose ``Resize`` goes to another scale, and whose ``Pad`` to a fixed size goes there too.

    Raises:
        OrxeError: ``scale`` is none, or the pipeline has no ``Resize``.
    """
    size = read_scale(scale)
    if scale_of(pipeline) is None:
        steps = ", ".join(type_name(step) for step in pipeline)
        raise OrxeError(f"scale={scale!r} has no effect: the config's test pipeline has no Resize, but {steps}")
    return [_step_at(step, size) for step in pipeline]


def scale_of(pipeline: Sequence[Any]) -> Scale | None:
    """The scale that a test pipeline's ``Resize`` goes to; None if it has none."""
    for step in pipeline:
        if type_name(step) == "Resize" and isinstance(step.get("scale"), (tuple, list, int)):
            return read_scale(step["scale"])
    return None


def _step_at(step: Mapping[str, Any], size: Scale) -> Mapping[str, Any]:
    name = type_name(step)
    if name == "Resize":
        return {**step, "scale": size}
    if name == "Pad" and step.get("size") is not None:
        return {**step, "size": size}
    return step
