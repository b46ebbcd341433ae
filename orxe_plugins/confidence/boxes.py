"""Confidence of a detector: how sure it is of its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError


@register_confidence("mean_box_score")
class MeanBoxScore(ConfidenceProvider):
    """Mean score of the boxes above ``min_score``; 0 where there is none (TinySaver, section 4.5).

    An image without a box is never confident: it goes on to the costlier experts, which may see
    what the first one missed.
    """

    def __init__(self, min_score: float = 0.05) -> None:
        super().__init__()
        if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
            raise OrxeError(f"min_score is {min_score!r}: expected a number in [0, 1]")
        self.min_score = self.ignores_up_to = float(min_score)

    def options(self) -> dict[str, Any]:
        return {} if self.min_score == 0.05 else {"min_score": self.min_score}

    def forward(self, outputs: Sequence[Detections], features: Tensor | None = None) -> Tensor:
        """Confidence of B images, float32 of shape (B,)."""
        if not outputs:
            return torch.zeros(0)
        device = outputs[0].scores.device
        # One transfer for the whole batch; and float64, which some devices lack, rounds as replay does.
        scores = torch.cat([detections.scores.to(device) for detections in outputs]).cpu()  # (sum of K,)
        image = torch.repeat_interleave(torch.tensor([len(detections) for detections in outputs]))  # (sum of K,)
        kept = scores > self.min_score
        total = torch.zeros(len(outputs), dtype=torch.float64).index_add_(0, image[kept], scores[kept].double())
        count = torch.bincount(image[kept], minlength=len(outputs))
        return (total / count.clamp(min=1)).float().to(device)
