"""Overlaps of upright boxes as ``mmcv._ext`` calls them."""

from __future__ import annotations

import torch
from torch import Tensor

IOU, IOF = 0, 1


def bbox_overlaps(bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, *, mode: int, aligned: bool, offset: int) -> None:
    """Intersection over union of boxes, or intersection over the area of the first ("foreground").

    Args:
        bboxes1: corners x1, y1, x2, y2, of shape (M, 4).
        bboxes2: (N, 4).
        ious: (M, N), or (M,) if aligned; overwritten.
        mode: 0 for the union, 1 for the foreground.
        aligned: row i of the first with row i of the second, instead of all with all; M = N then.
        offset: 0, or 1 if x2 and y2 are the last pixels inside: a side is ``x2 - x1 + offset`` long.
    """
    first = bboxes1 if aligned else bboxes1.unsqueeze(1)
    shared = torch.minimum(first[..., 2:], bboxes2[..., 2:]) - torch.maximum(first[..., :2], bboxes2[..., :2])
    overlap = (shared + offset).clamp(min=0).prod(dim=-1)
    base = _area(first, offset)
    if mode == IOU:
        base = base + _area(bboxes2, offset) - overlap
    ious.copy_(overlap / base)


def _area(boxes: Tensor, offset: int) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2] + offset).prod(dim=-1)
