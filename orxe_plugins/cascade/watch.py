"""Whether a model is still the one that something was made of: the same parts, which hold the same values."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

_POINTER = Tensor.data_ptr
_VERSION = attrgetter("_version")


class Watch:
    """Notes what models consist of, to tell later whether anything was exchanged, moved or written since.

    It goes by identities, addresses and torch's version counters, and compares no values: tens of microseconds for
    hundreds of parts. What is written through ``tensor.data`` has no version and is not seen.

    Args:
        modules: the models.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        parts = [part for module in modules for part in module.modules()]
        kinds = [kind for part in parts for kind in (part._modules, part._parameters, part._buffers)]
        self._members: list[dict[str, Any]] = [kind for kind in kinds if kind]
        # Empty ones are watched as well: a part may come to have a first member.
        self._empty = [kind for kind in kinds if not kind]
        # They are held, so that nothing else can come to have the same identity or address.
        self._parts = list(self._all())
        self._tensors = [one for one in self._parts if isinstance(one, Tensor)]
        self._storages = [one.detach() for one in self._tensors]
        self._counted = [one for one in self._tensors if not one.is_inference()]
        self._noted = self._state()

    def holds(self) -> bool:
        """Whether all is as it was."""
        return self._noted == self._state()

    def _all(self) -> Iterable[Any]:
        return chain.from_iterable(map(dict.values, self._members))

    def _state(self) -> tuple[Any, ...]:
        return (
            list(map(id, self._all())),
            any(self._empty),
            list(map(_POINTER, self._tensors)),
            list(map(_VERSION, self._counted)),
        )


def numbers_of(module: nn.Module) -> dict[str, Any]:
    """Settings of a module that are plain numbers or words, as a graph has them built in."""
    kinds = (int, float, str, torch.dtype)
    return {key: value for key, value in vars(module).items() if isinstance(value, kinds) and key != "training"}
