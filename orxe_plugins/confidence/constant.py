"""No confidence: what an expert has whose outputs say nothing of how good they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence


@register_confidence("constant")
class Constant(ConfidenceProvider):
    """One half for every sample: all of them exit, or none does."""

    def forward(self, outputs: Any, features: Tensor | None = None) -> Tensor:
        """0.5, float32 of shape (B,)."""
        device = outputs.device if isinstance(outputs, Tensor) else None
        return torch.full((len(outputs),), 0.5, device=device)
