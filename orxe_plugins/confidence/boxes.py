"""Confidence of a detector: how sure it is of its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
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
        """Confidence of B images, float32 of shape (B,), on the host, where boxes are chosen."""
        if not outputs:
            return torch.zeros(0)
        scores, image = _scores_by_image(outputs)
        kept = scores > np.float32(self.min_score)
        total = np.bincount(image[kept], scores[kept], minlength=len(outputs))  # in float64
        count = np.bincount(image[kept], minlength=len(outputs))
        return torch.from_numpy((total / count.clip(min=1)).astype(np.float32))


@register_confidence("box_doubt")
class BoxDoubt(ConfidenceProvider):
    """1 / (1 + the doubt), where a box of score p is doubted by p (1 - p), and the image by the sum over its boxes.

    If scores were chances of being right, the doubt would be the variance of the number of right boxes. It is high
    where there is much that another detector may correct: many boxes, neither sure nor hopeless. An image without any
    box is not doubted: where the first detector often finds nothing though something is there, take another one.
    """

    def forward(self, outputs: Sequence[Detections], features: Tensor | None = None) -> Tensor:
        """Confidence of B images, float32 of shape (B,)."""
        if not outputs:
            return torch.zeros(0)
        scores, image = _scores_by_image(outputs)
        p = scores.astype(np.float64)
        doubt = np.bincount(image, p * (1 - p), minlength=len(outputs))
        return torch.from_numpy((1 / (1 + doubt)).astype(np.float32)).to(outputs[0].scores.device)


def _scores_by_image(outputs: Sequence[Detections]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all boxes of B images, float32 (sum of K,), and the image of each, on the host.

    One transfer serves the whole batch; sums in float64, which some devices lack, then round as replay does.
    """
    device = outputs[0].scores.device
    scores = torch.cat([detections.scores.detach().to(device) for detections in outputs]).float().cpu().numpy()
    return scores, np.repeat(np.arange(len(outputs)), [len(detections) for detections in outputs])
