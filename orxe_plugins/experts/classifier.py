"""ClassifierExpert: one view of an image in, logits out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.expert import Expert


class ClassifierExpert(Expert):
    """An image classifier: one view of an image in, logits out.

    Args:
        view: what the model was trained to see.
        num_classes: number of classes C.

    Attributes:
        input_view: the view that float tensors handed to the expert were made with; a cascade sets
            it to its own. Original images (PIL or uint8) do not need it.
        names: class names where they are known, else empty.
    """

    def __init__(self, name: str, module: nn.Module, *, view: ImageView, num_classes: int, **options: Any) -> None:
        super().__init__(name, module, **options)
        self.view = view
        self.num_classes = num_classes
        self.input_view = view
        self.names: tuple[str, ...] = ()

    def prepare(self, batch: Any) -> Tensor:
        """The expert's view, float tensor (B, C, h, w).

        Args:
            batch: a float tensor (B, C, H, W) as ``input_view`` makes it, or original images: a
                list of PIL images or uint8 arrays, or a uint8 tensor (B, C, H, W).
        """
        if isinstance(batch, Tensor) and batch.is_floating_point():
            return self.view.from_tensor(batch, self.input_view)
        return self.view.from_images(batch).to(self.device)

    def example(self) -> Tensor:
        return torch.zeros((1, self.view.channels, *self.view.size), device=self.device)
