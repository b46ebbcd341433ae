"""Features of an expert, caught on their way through the model: what ranking gates and exits look at."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError

# torch numbers its hooks without a lock: two threads that hook one module at once could be given the same number.
_REGISTERING = threading.Lock()


class FeatureTap:
    """Pools what passes a layer while a ``with`` block lasts; calls in other threads are not looked at.

    Args:
        module: the model.
        path: dotted name of a submodule.
        side: "input" or "output" of that submodule.
        in_order: several calls of the model come in the order of the batch, unless :meth:`next_call_on` says
            otherwise; False: :meth:`next_call_on` has to be called before each of them.
    """

    def __init__(self, module: nn.Module, path: str, side: str, in_order: bool = True) -> None:
        self._part = module.get_submodule(path)
        self._side = side
        self._in_order = in_order
        self._thread = threading.get_ident()
        self._pooled: list[Tensor] = []
        self._rows: list[Sequence[int]] = []

    def __enter__(self) -> FeatureTap:
        with _REGISTERING:
            if self._side == "input":
                self._hook = self._part.register_forward_pre_hook(lambda _, inputs: self._catch(inputs[0]))
            else:
                self._hook = self._part.register_forward_hook(lambda _, __, output: self._catch(output))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hook.remove()

    def next_call_on(self, rows: Sequence[int]) -> None:
        """The next call of the model is on these rows of the batch; a model that is called once need not say it."""
        self._rows.append(rows)

    def features(self, size: int) -> Tensor:
        """Pooled features of the whole batch, float32 (B, F), in the batch's order.

        Raises:
            OrxeError: other than B samples passed, or their order is not known.
        """
        if len(self._pooled) == 1:
            pooled = self._pooled[0]
        else:
            pooled = torch.cat(self._pooled) if self._pooled else torch.zeros(0, 0)
        if len(pooled) != size:
            raise OrxeError(f"{len(pooled)} of {size} samples passed the layer that a ranking gate looks at")
        if len(self._pooled) > 1 and not self._rows and not self._in_order:
            raise OrxeError(
                "the order of a batch's features is not known: the expert's forward(batch) overrides one that takes a "
                "context. Override forward(batch, context=None), and hand the context on"
            )
        if len(self._rows) < 2:
            return pooled
        order = torch.tensor([row for rows in self._rows for row in rows], device=pooled.device)
        return torch.empty_like(pooled).index_copy_(0, order, pooled)

    def _catch(self, value: Any) -> None:
        # Another thread may run the same model at the same time.
        if threading.get_ident() == self._thread:
            self._pooled.append(pool(value))


def pool(value: Any) -> Tensor:
    """Mean over all positions, float32 (B, F).

    Args:
        value: (B, F), (B, T, F) or (B, F, H, W); of a tuple, list or mapping the last value counts.
    """
    while not isinstance(value, Tensor):
        # The last letter of a text is a text again.
        if not isinstance(value, (Sequence, Mapping)) or isinstance(value, str) or not value:
            raise OrxeError(f"the layer that a ranking gate looks at gives a {type(value).__name__}: expected a tensor")
        value = list(value.values())[-1] if isinstance(value, Mapping) else value[-1]
    value = value.float()
    if value.ndim == 4:
        return value.mean(dim=(2, 3))  # (B, F, H, W) -> (B, F)
    return value.mean(dim=1) if value.ndim == 3 else value.flatten(1)
