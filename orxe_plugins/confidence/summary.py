"""An expert's output of any kind as a short vector: what a ranking gate sees of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from orxe_plugins.detections import Detections
from orxe_plugins.errors import unknown

_TOP = 5
_BOXES = 10
_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75)
_QUANTILES = (0.05, 0.25, 0.5, 0.75)


def of_logits(logits: Tensor) -> Tensor:
    """Of a classifier's logits (B, C): the largest log-probabilities, falling, and the entropy; (B, 6)."""
    log_p = torch.log_softmax(logits.float(), dim=1).clamp(min=-20)  # (B, C)
    top = log_p.topk(min(_TOP, log_p.shape[1]), dim=1).values
    entropy = -(log_p.exp() * log_p).sum(dim=1, keepdim=True)
    return torch.cat([pad(top, (0, _TOP - top.shape[1]), value=-20.0), entropy], dim=1)


def of_values(values: Tensor) -> Tensor:
    """Of a regressor's outputs (B, D): themselves."""
    return values.float().flatten(1)


def of_boxes(found: Sequence[Detections]) -> Tensor:
    """Of B images' detections, whose order does not matter: (B, 20).

    How many boxes lie above each of five scores, the ten highest scores, mean score, mean and
    spread of the boxes' size (logarithm of the side in pixels), number of labels, share of the
    most frequent label.
    """
    return torch.stack([_of_image(boxes.best_first()) for boxes in found])


def of_pixels(logits: Tensor) -> Tensor:
    """Of a segmenter's logits (B, C, H, W): mean and quantiles of the pixels' confidence, and entropy; (B, 6)."""
    log_p = torch.log_softmax(logits.float(), dim=1)  # (B, C, H, W)
    sure = log_p.amax(dim=1).exp().flatten(1)  # (B, H * W)
    entropy = -(log_p.exp() * log_p.clamp(min=-1e4)).sum(dim=1).flatten(1).mean(dim=1, keepdim=True)
    # quantile() takes no more than 16 million values: a thinned row says the same.
    thin = sure[:, :: max(1, sure.shape[1] // 65_536)]
    quantiles = thin.quantile(torch.tensor(_QUANTILES, device=sure.device), dim=1).T  # (B, 4)
    return torch.cat([sure.mean(dim=1, keepdim=True), quantiles, entropy], dim=1)


#: by the name that gates are saved with
SUMMARIES: dict[str, Callable[..., Tensor]] = {
    "logits": of_logits,
    "values": of_values,
    "boxes": of_boxes,
    "pixels": of_pixels,
}


def summary_named(name: str) -> Callable[..., Tensor]:
    """The summary called ``name``."""
    if name not in SUMMARIES:
        raise unknown("output summary", name, SUMMARIES)
    return SUMMARIES[name]


def _of_image(found: Detections) -> Tensor:
    """Of one image's boxes, best first."""
    scores = found.scores.float()
    counts = torch.stack([(scores > level).sum() for level in _LEVELS]).log1p()
    top = pad(scores[:_BOXES], (0, max(0, _BOXES - len(scores))))
    seen = scores > _LEVELS[0]
    if not bool(seen.any()):
        return torch.cat([counts, top, scores.new_zeros(5)])
    boxes, labels = found.boxes[seen].float(), found.labels[seen]
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1).log() / 2  # (K,)
    frequent = torch.bincount(labels).max() / len(labels)
    kinds = torch.log1p(labels.unique().numel() * scores.new_ones(()))
    return torch.cat(
        [counts, top, torch.stack([scores[seen].mean(), side.mean(), side.std(correction=0), kinds, frequent])]
    )
