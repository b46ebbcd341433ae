"""ClassifierExpert: one view of an image in, logits out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert


class ClassifierExpert(Expert):
    """An image classifier: one view of an image in, logits out.

    Args:
        view: what the model was trained to see.
        num_classes: number of classes C.

    Attributes:
        names: class names where they are known, else empty.
    """

    def __init__(self, name: str, module: nn.Module, *, view: ImageView, num_classes: int, **options: Any) -> None:
        super().__init__(name, module, **options)
        self.view = view
        self.num_classes = num_classes
        self.names: tuple[str, ...] = ()

    @property
    def input_view(self) -> ImageView:
        """The view that float tensors show which the expert is handed alone: its own one."""
        return self.view

    @input_view.setter
    def input_view(self, view: ImageView) -> None:
        raise OrxeError(
            f"the input_view of expert {self.name!r} is its own view: hand it expert.view.from_tensor(batch, view), or "
            "make a Cascade with input_view=view"
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters; what is prepared of original images has it too."""
        kinds = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        return next(kinds, torch.float32)

    def prepare(self, batch: Any) -> Tensor:
        """The expert's view, float tensor (B, C, h, w).

        Args:
            batch: a float tensor (B, C, H, W) as ``view`` makes it, or original images: a list of PIL images or uint8
                arrays, or a uint8 tensor (B, C, H, W).
        """
        if _is_float(batch):
            return self.view.from_tensor(batch, self.view)
        return self.view.from_images(batch).to(self.device, self.dtype)

    def as_if_alone(self, batch: Any, context: BatchContext) -> Any:
        """Float tensors of the cascade's input view as tensors of the expert's own; original images stay."""
        shown = context.setup.input_view
        return self.view.from_tensor(batch, shown) if shown is not None and _is_float(batch) else batch

    def example(self) -> Tensor:
        return torch.zeros((1, self.view.channels, *self.view.size), device=self.device, dtype=self.dtype)


def _is_float(batch: Any) -> bool:
    return isinstance(batch, Tensor) and batch.is_floating_point()
