"""Non-maximum suppression, hard and soft, as ``mmcv._ext`` calls it."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

NAIVE, LINEAR, GAUSSIAN = 0, 1, 2


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that stay: a box goes if its IoU with a kept one of a higher score is too large.

    Args:
        boxes: corners x1, y1, x2, y2, of shape (N, 4).
        scores: of shape (N,).
        iou_threshold: largest IoU that two kept boxes may have.
        offset: 0, or 1 if x2 and y2 are the last pixels inside: a side is ``x2 - x1 + offset`` long.

    Returns:
        int64 tensor of shape (K,), in order of falling scores.
    """
    if offset:
        boxes = _half_open(boxes, offset)
    return torchvision.ops.nms(boxes, scores, iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., 2017): overlapping boxes lose score instead of going at once.

    Args:
        boxes: (N, 4), on the CPU as mmcv hands them in.
        scores: (N,).
        dets: (N, 5); its first K rows are overwritten by the kept boxes with their new scores.
        iou_threshold: IoU from which on the naive and the linear method act.
        sigma: width of the Gaussian method.
        min_score: boxes whose score falls below it go.
        method: 0 naive (as hard NMS), 1 linear, 2 Gaussian.
        offset: see :func:`nms`.

    Returns:
        int64 tensor of shape (K,): indices of the kept boxes, in the order in which they were chosen.
    """
    extents = _half_open(boxes, offset)
    index = torch.arange(len(boxes), device=boxes.device)
    current = scores.clone()
    kept: list[Tensor] = []
    while len(index):
        best = int(current.argmax())
        row = len(kept)
        dets[row, :4] = boxes[index[best]]
        dets[row, 4] = current[best]
        kept.append(index[best])
        rest = torch.arange(len(index), device=boxes.device) != best
        iou = torchvision.ops.box_iou(extents[index[best]].unsqueeze(0), extents[index[rest]]).squeeze(0)
        index = index[rest]
        current = current[rest] * _decay(iou, iou_threshold, sigma, method)
        stays = current >= min_score
        index, current = index[stays], current[stays]
    return torch.stack(kept) if kept else index


def _decay(iou: Tensor, iou_threshold: float, sigma: float, method: int) -> Tensor:
    if method == GAUSSIAN:
        return torch.exp(-iou * iou / sigma)
    overlapped = torch.zeros_like(iou) if method == NAIVE else 1 - iou
    return torch.where(iou >= iou_threshold, overlapped, torch.ones_like(iou))


def _half_open(boxes: Tensor, offset: int) -> Tensor:
    """Boxes whose sides are ``x2 - x1`` long, with the same overlaps."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
