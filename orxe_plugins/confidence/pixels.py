"""Confidence of a segmenter."""

from __future__ import annotations

import torch
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence


@register_confidence("mean_pixel")
class MeanPixelConfidence(ConfidenceProvider):
    """The largest class probability, mean over all pixels."""

    def forward(self, outputs: Tensor, features: Tensor | None = None) -> Tensor:
        """Confidence (B,) of logits (B, C, H, W)."""
        return torch.log_softmax(outputs.float(), dim=1).amax(dim=1).exp().mean(dim=(1, 2))
