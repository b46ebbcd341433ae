"""Overlaps and non-maximum suppression of rotated boxes, called through mmcv, against clipped polygons."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

pytest.importorskip("mmcv")
orxe_ops = pytest.importorskip("orxe_mmdet.ops")
orxe_ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(not orxe_ops.is_fallback(), reason="this mmcv has compiled ops")


def corners_of(box: list[float]) -> list[tuple[float, float]]:
    """Corners of a rotated box, one after the other, against the clock in a plane whose y axis goes up."""
    x, y, width, height, angle = box
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    c, s = math.cos(angle), math.sin(angle)
    halves = [(a * width / 2, b * height / 2) for a, b in signs]
    return [(x + c * a - s * b, y + s * a + c * b) for a, b in halves]


def clipped_area(polygon: list[tuple[float, float]], window: list[tuple[float, float]]) -> float:
    """Area that two convex polygons share: one is cut along each edge of the other (Sutherland and Hodgman, 1974)."""
    for (x1, y1), (x2, y2) in zip(window, window[1:] + window[:1], strict=True):
        kept: list[tuple[float, float]] = []
        sides = [(x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for x, y in polygon]
        for i, (point, side) in enumerate(zip(polygon, sides, strict=True)):
            before, side_before = polygon[i - 1], sides[i - 1]
            if (side < 0) != (side_before < 0):
                t = side_before / (side_before - side)
                kept.append((before[0] + t * (point[0] - before[0]), before[1] + t * (point[1] - before[1])))
            if side >= 0:
                kept.append(point)
        polygon = kept
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def plain_rotated_iou(a: list[float], b: list[float]) -> float:
    shared = clipped_area(corners_of(a), corners_of(b))
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def rotated_crowd(n: int, seed: int) -> Tensor:
    """Rotated boxes (n, 5) that overlap a lot; some share an angle, some are upright."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(n, 2, generator=generator) * 20
    size = torch.rand(n, 2, generator=generator) * 15 + 0.5
    angle = torch.rand(n, 1, generator=generator) * 8 - 4
    angle[: n // 3] = angle[0]
    angle[n // 3 : n // 2] = 0.0
    return torch.cat([centre, size, angle], dim=1)


@pytest.mark.parametrize("mode", ["iou", "iof"])
@pytest.mark.parametrize("clockwise", [True, False])
def test_overlaps_of_rotated_boxes_are_those_of_polygons(mode: str, clockwise: bool) -> None:
    first, second = rotated_crowd(12, 0), rotated_crowd(12, 1)
    turned = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0 if clockwise else -1.0])
    expected = torch.zeros(12, 12)
    for i, a in enumerate((first * turned).double().tolist()):
        for j, b in enumerate((second * turned).double().tolist()):
            shared = clipped_area(corners_of(a), corners_of(b))
            expected[i, j] = shared / (a[2] * a[3] if mode == "iof" else a[2] * a[3] + b[2] * b[3] - shared)
    found = mmcv_ops.box_iou_rotated(first, second, mode, clockwise=clockwise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (expected > 0).sum() > 40
    aligned = mmcv_ops.box_iou_rotated(first, second, mode, aligned=True, clockwise=clockwise)
    torch.testing.assert_close(aligned, expected.diagonal(), rtol=0, atol=1e-5)


def test_many_pairs_of_rotated_boxes_go_in_parts() -> None:
    first, second = rotated_crowd(300, 2), rotated_crowd(200, 3)
    found = mmcv_ops.box_iou_rotated(first, second)
    torch.testing.assert_close(found[150:152], mmcv_ops.box_iou_rotated(first[150:152], second))


#: a box, another one, their IoU
SPECIAL = {
    "the same": ([5.0, 5, 4, 2, 0.3], [5.0, 5, 4, 2, 0.3], 1.0),
    "the same, turned by a half": ([5.0, 5, 4, 2, 0.3], [5.0, 5, 4, 2, 0.3 + math.pi], 1.0),
    "sides exchanged, turned by a quarter": ([0.0, 0, 4, 2, 0], [0.0, 0, 2, 4, math.pi / 2], 1.0),
    "one in the other": ([0.0, 0, 10, 10, 0.7], [0.0, 0, 2, 2, 0], 0.04),
    "they share an edge": ([0.0, 0, 2, 2, 0], [2.0, 0, 2, 2, 0], 0.0),
    "they share a corner": ([0.0, 0, 2, 2, 0], [2.0, 2, 2, 2, 0], 0.0),
    "half of each, along a common line": ([0.0, 0, 2, 2, 0], [1.0, 0, 2, 2, 0], 1 / 3),
    "a cross": ([0.0, 0, 6, 2, 0], [0.0, 0, 2, 6, 0], 0.2),
    "an octagon": ([0.0, 0, 2, 2, 0], [0.0, 0, 2, 2, math.pi / 4], math.sqrt(0.5)),
    "far away": ([0.0, 0, 2, 2, 0.5], [100.0, 0, 2, 2, 0.5], 0.0),
    "far from the origin": ([4000.0, 3000, 2, 2, 0], [4001.0, 3000, 2, 2, 0], 1 / 3),
    "without an area": ([0.0, 0, 0, 2, 0], [0.0, 0, 2, 2, 0], 0.0),
}


@pytest.mark.parametrize("name", list(SPECIAL))
def test_overlaps_of_special_rotated_boxes(name: str) -> None:
    first, second, expected = SPECIAL[name]
    for a, b in ((first, second), (second, first)):
        found = mmcv_ops.box_iou_rotated(torch.tensor([a]), torch.tensor([b]))
        assert float(found) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("threshold", [0.1, 0.5])
@pytest.mark.parametrize("labels", [None, torch.arange(40) % 3])
def test_rotated_nms_keeps_what_the_definition_keeps(threshold: float, labels: Tensor | None) -> None:
    for seed in range(3):
        boxes, scores = rotated_crowd(40, seed), torch.rand(40, generator=torch.Generator().manual_seed(seed))
        plain: list[int] = []
        for i in scores.argsort(descending=True).tolist():
            if all(plain_rotated_iou(boxes[i].tolist(), boxes[j].tolist()) <= threshold for j in plain):
                plain.append(i)
        # mmcv's own kernels do not read the labels either.
        dets, kept = mmcv_ops.nms_rotated(boxes, scores, threshold, None if labels is None else labels.float())
        assert kept.tolist() == plain
        assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[plain])
    assert mmcv_ops.nms_rotated(boxes[:0], scores[:0], threshold)[0].shape == (0, 5)
