"""Overlaps of rotated boxes, and their non-maximum suppression, as ``mmcv._ext`` calls them.

A rotated box is x, y of its centre, width, height, and the angle in radians by which its width is turned from
the x axis towards the y axis. Two of them share a convex polygon, whose area is computed exactly, in double precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orxe_mmdet.ops.overlaps import IOU

#: pairs of boxes that are intersected at once: about 50 MB of intermediate values
_PAIRS = 1 << 15
#: how far outside, as a share of the box's size, a point may lie that counts as inside: rounding, nothing else
_TOLERANCE = 1e-9


def box_iou_rotated(boxes1: Tensor, boxes2: Tensor, ious: Tensor, *, mode_flag: int, aligned: bool) -> None:
    """Intersection over union of rotated boxes, or intersection over the area of the first ("foreground").

    Args:
        boxes1: (M, 5).
        boxes2: (N, 5).
        ious: (M * N,), or (M,) if aligned; overwritten. A box without an area overlaps nothing.
        mode_flag: 0 for the union, 1 for the foreground.
        aligned: row i of the first with row i of the second, instead of all with all; M = N then.
    """
    if aligned:
        ious.copy_(_overlaps(boxes1, boxes2, mode_flag))
        return
    rows, columns = len(boxes1), len(boxes2)
    for start in range(0, rows * columns, _PAIRS):
        pair = torch.arange(start, min(start + _PAIRS, rows * columns), device=boxes1.device)
        ious[pair] = _overlaps(boxes1[pair // columns], boxes2[pair % columns], mode_flag).to(ious.dtype)


def nms_rotated(
    dets: Tensor,
    scores: Tensor,
    order: Tensor,
    dets_sorted: Tensor,
    labels: Tensor,
    iou_threshold: float,
    multi_label: int,
) -> Tensor:
    """Indices of the rotated boxes that stay, in order of falling scores.

    A box goes if its IoU with a kept one of a higher score is greater than the threshold, whatever the labels of both
    are: mmcv's kernels do not read them either.

    Args:
        dets: (N, 5), or (N, 6) with a label in the last column.
        scores: (N,).
        order: (N,), the boxes by falling scores.
        dets_sorted: ``dets`` in that order.
        labels: (N,), or empty.
        iou_threshold: largest IoU that two kept boxes may have.
        multi_label: whether there are labels.
    """
    kept: list[Tensor] = []
    left, boxes = order, dets_sorted[:, :5]
    while len(left):
        kept.append(left[0])
        first = boxes[:1].expand(len(boxes) - 1, 5)
        stays = _overlaps(first, boxes[1:], IOU) <= iou_threshold
        left, boxes = left[1:][stays], boxes[1:][stays]
    return torch.stack(kept) if kept else order


def _overlaps(boxes1: Tensor, boxes2: Tensor, mode_flag: int) -> Tensor:
    """Overlaps of P pairs of boxes, each (P, 5), as a double tensor (P,)."""
    first, second = boxes1.double(), boxes2.double()
    middle = (first[:, :2] + second[:, :2]) / 2
    shared = _shared_area(_corners(first, middle), _corners(second, middle))
    area1, area2 = first[:, 2] * first[:, 3], second[:, 2] * second[:, 3]
    base = area1 + area2 - shared if mode_flag == IOU else area1
    there = (area1 > 1e-14) & (area2 > 1e-14)
    return torch.where(there, shared / base.where(there, torch.ones_like(base)), torch.zeros_like(base))


def _corners(boxes: Tensor, origin: Tensor) -> Tensor:
    """Corners (P, 4, 2) of boxes (P, 5), one after the other around the box, seen from an origin (P, 2)."""
    x, y = boxes[:, 4].cos(), boxes[:, 4].sin()
    along = torch.stack([x, y], dim=1) * boxes[:, 2:3] / 2
    across = torch.stack([-y, x], dim=1) * boxes[:, 3:4] / 2
    around = torch.stack([along + across, across - along, -along - across, along - across], dim=1)
    return (boxes[:, :2] - origin).unsqueeze(1) + around


def _shared_area(corners1: Tensor, corners2: Tensor) -> Tensor:
    """Area (P,) of what P pairs of convex quadrangles, each (P, 4, 2), have in common.

    Its corners are where edges cross, and those corners of either that lie in the other.
    """
    crossings, crossed = _crossings(corners1, corners2)
    points = torch.cat([crossings, corners1, corners2], dim=1)  # (P, 24, 2)
    counts = torch.cat([crossed, _inside(corners1, corners2), _inside(corners2, corners1)], dim=1)
    # A point that does not count gives way to one that does, which adds no area.
    some = counts.int().argmax(dim=1)
    points = torch.where(counts.unsqueeze(2), points, points[torch.arange(len(points)), some].unsqueeze(1))
    centre = points.mean(dim=1, keepdim=True)
    spokes = points - centre
    turn = torch.atan2(spokes[..., 1], spokes[..., 0]).argsort(dim=1)
    around = spokes.gather(1, turn.unsqueeze(2).expand_as(spokes))
    area = _cross(around, around.roll(-1, dims=1)).sum(dim=1).abs() / 2
    return torch.where(counts.any(dim=1), area, torch.zeros_like(area))


def _crossings(corners1: Tensor, corners2: Tensor) -> tuple[Tensor, Tensor]:
    """Points (P, 16, 2) where an edge's line crosses another's, and whether (P, 16) that is within both edges."""
    start1, start2 = corners1.unsqueeze(2), corners2.unsqueeze(1)  # (P, 4, 1, 2) and (P, 1, 4, 2)
    edge1 = corners1.roll(-1, dims=1).unsqueeze(2) - start1
    edge2 = corners2.roll(-1, dims=1).unsqueeze(1) - start2
    slant = _cross(edge1, edge2)  # (P, 4, 4)
    between = start2 - start1
    crossing = slant.abs() > 1e-14
    safe = torch.where(crossing, slant, torch.ones_like(slant))
    along1, along2 = _cross(between, edge2) / safe, _cross(between, edge1) / safe
    within = crossing & (along1 >= 0) & (along1 <= 1) & (along2 >= 0) & (along2 <= 1)
    return (start1 + along1.unsqueeze(3) * edge1).flatten(1, 2), within.flatten(1)


def _inside(points: Tensor, corners: Tensor) -> Tensor:
    """Which of the points (P, 4, 2) lie in the quadrangle (P, 4, 2) or on its border: (P, 4)."""
    edges = corners.roll(-1, dims=1) - corners
    sides = _cross(edges.unsqueeze(1), points.unsqueeze(2) - corners.unsqueeze(1))  # (P, 4 points, 4 edges)
    slack = _TOLERANCE * edges.square().sum(dim=(1, 2))[:, None]
    return (sides.amin(dim=2) >= -slack) | (sides.amax(dim=2) <= slack)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
