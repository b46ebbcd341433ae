"""A timm model in stages, found by watching it run once: what its ``feature_info`` names, run one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError

#: methods of a model that stand in the path as modules do: vision transformers add positions and tokens in one
_METHODS = ("_pos_embed",)


class StagedModel:
    """A timm model whose stages run one by one: a :class:`orxe_plugins.esn.Backbone`.

    Stage k ends where timm's ``out_indices=(k,)`` looks. The parts of a stage are modules (or
    methods) of the model that hand one tensor to the next one; the model itself is not changed.

    Args:
        model: a timm model with ``feature_info``, ``forward_features`` and ``forward_head``.
        example: one image as the model takes it, (1, C, H, W); the model runs on it.
        label: what errors call the model.

    Raises:
        OrxeError: the model has no intermediate features, does more between its stages than handing
            one tensor on, or answers otherwise when its stages run one by one.
    """

    def __init__(self, model: nn.Module, example: Tensor, label: str) -> None:
        self.model = model
        info = _feature_info(model, label)
        self.names = tuple(name for name, _ in info)
        self.widths = tuple(width for _, width in info)
        image = torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                self._parts, self._tail = _parts(model, self.names, image, label)
                self.shapes, self._channels_last = self._measure(image, label)
        finally:
            model.train(training)

    def stage(self, index: int, values: Tensor) -> Tensor:
        for part in self._parts[index]:
            values = _part(self.model, part)(values)
        return values

    def pool(self, index: int, values: Tensor) -> Tensor:
        if values.ndim == 3:
            return values.mean(dim=1)  # (B, T, F) -> (B, F)
        return values.mean(dim=(1, 2) if self._channels_last[index] else (2, 3))

    def head(self, values: Tensor) -> Tensor:
        for part in self._tail:
            values = _part(self.model, part)(values)
        return cast(Any, self.model).forward_head(values)

    def _measure(self, image: Tensor, label: str) -> tuple[tuple[tuple[int, ...], ...], tuple[bool, ...]]:
        """Shape of each stage's output, and whether its channels come last, after checking the logits."""
        shapes, values = [], image
        for index in range(len(self.names)):
            values = self.stage(index, values)
            shapes.append(tuple(values.shape[1:]))
        here, there = self.head(values), self.model(image)
        if here.shape != there.shape or not torch.allclose(here, there, rtol=1e-4, atol=1e-5):
            raise OrxeError(f"{label!r} answers otherwise when its stages run one by one: it cannot have exits")
        last = []
        for name, width, shape in zip(self.names, self.widths, shapes, strict=True):
            places = [place for place in ((0, -1) if len(shape) == 3 else (-1,)) if shape[place] == width]
            if len(shape) not in (2, 3) or not places:
                raise OrxeError(
                    f"stage {name!r} of {label!r} gives {shape} for one image, which has no side of {width} channels: "
                    "it cannot have exits"
                )
            last.append(places[0] == -1)
        return tuple(shapes), tuple(last)


def _feature_info(model: nn.Module, label: str) -> list[tuple[str, int]]:
    """Name of the module that each stage ends with, and its number of channels."""
    info = cast(Any, getattr(model, "feature_info", None))
    wanted = ("forward_features", "forward_head")
    if not info or not all(hasattr(model, name) for name in wanted):
        raise OrxeError(
            f"{label!r} has no intermediate features ({type(model).__name__} lacks feature_info, forward_features or "
            "forward_head): exits need a timm model that takes features_only=True"
        )
    return [(info[i]["module"], info[i]["num_chs"]) for i in range(len(info))]


@dataclass
class _Call:
    """One part of a model at work: one tensor in, one tensor out; ``after``: place of the first call behind it."""

    name: str
    given: Tensor
    gave: Tensor | None = None
    after: int = 0


def _parts(
    model: nn.Module, names: Sequence[str], image: Tensor, label: str
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The parts of each stage, and those behind the last stage up to the model's unpooled features."""
    with _watched(model) as calls:
        features = cast(Any, model).forward_features(image)
    stages, values, place = [], image, 0
    for name in names:
        parts, values, place = _chain(calls, values, place, names, name, None)
        if not parts or parts[-1] != name:
            raise OrxeError(
                f"{label!r} does not hand one tensor on from part to part up to {name!r}: it cannot have exits"
            )
        stages.append(tuple(parts))
    tail, values, _ = _chain(calls, values, place, (), None, features)
    if values is not features:
        raise OrxeError(f"{label!r} does not hand one tensor on behind {names[-1]!r}: it cannot have exits")
    return tuple(stages), tuple(tail)


def _chain(
    calls: Sequence[_Call], values: Tensor, place: int, ends: Sequence[str], until: str | None, features: Any
) -> tuple[list[str], Tensor, int]:
    """Parts that hand ``values`` on, outermost first, up to the one called ``until`` or to ``features``.

    A module that a stage ends inside of is gone into.
    """
    parts: list[str] = []
    while (parts[-1] if parts else None) != until or until is None:
        if until is None and values is features:
            break
        nexts = (
            i
            for i in range(place, len(calls))
            if calls[i].given is values and not any(end.startswith(calls[i].name + ".") for end in ends)
        )
        found = next(nexts, None)
        if found is None or calls[found].gave is None:
            break
        parts.append(calls[found].name)
        values = cast(Tensor, calls[found].gave)
        place = calls[found].after
    return parts, values, place


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[_Call]]:
    """Everything that runs in the model inside a ``with`` block, in the order in which it begins."""
    calls: list[_Call] = []
    open_calls: list[_Call | None] = []

    def begin(name: str, inputs: tuple[Any, ...]) -> None:
        alone = len(inputs) == 1 and isinstance(inputs[0], Tensor)
        open_calls.append(_Call(name, inputs[0]) if alone else None)
        if alone:
            calls.append(cast(_Call, open_calls[-1]))

    def end(output: Any) -> None:
        call = open_calls.pop()
        if call is not None and isinstance(output, Tensor):
            call.gave, call.after = output, len(calls)

    handles = []
    for name, part in model.named_modules():
        if part is not model:
            handles.append(part.register_forward_pre_hook(lambda _, inputs, name=name: begin(name, inputs)))
            handles.append(part.register_forward_hook(lambda _, __, output: end(output)))
    methods = [name for name in _METHODS if hasattr(model, name)]

    def watching(name: str, method: Any) -> Any:
        def watched(*inputs: Any) -> Any:
            begin(name, inputs)
            output = method(*inputs)
            end(output)
            return output

        return watched

    for name in methods:
        model.__dict__[name] = watching(name, getattr(model, name))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
        for name in methods:
            del model.__dict__[name]


def _part(model: nn.Module, name: str) -> Any:
    return getattr(model, name) if name in _METHODS else model.get_submodule(name)
