"""Each op that stands in for a compiled one of mmcv, called through mmcv, against its definition."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("mmcv")
orxe_ops = pytest.importorskip("orxe_mmdet.ops")
orxe_ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(not orxe_ops.is_fallback(), reason="this mmcv has compiled ops")


# --- non-maximum suppression ------------------------------------------------------------------------


def iou(a: list[float], b: list[float], offset: int) -> float:
    """Intersection over union of two boxes, in plain Python."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def plain_nms(boxes: list[list[float]], scores: list[float], threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def plain_soft_nms(
    boxes: list[list[float]],
    scores: list[float],
    threshold: float,
    sigma: float,
    min_score: float,
    method: str,
    offset: int,
) -> list[tuple[int, float]]:
    left = dict(enumerate(scores))
    kept = []
    while left:
        best = max(left, key=lambda i: left[i])
        kept.append((best, left.pop(best)))
        for i in list(left):
            overlap = iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                left[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                left[i] *= 0.0 if method == "naive" else 1 - overlap
            if left[i] < min_score:
                del left[i]
    return kept


def crowd(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Boxes that overlap a lot, (n, 4), and distinct scores, (n,)."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 30, (n, 2), generator=generator).float()
    size = torch.randint(1, 25, (n, 2), generator=generator).float()
    return torch.cat([corner, corner + size], dim=1), torch.rand(n, generator=generator)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.12, 0.51, 0.93])
def test_nms_keeps_what_the_definition_keeps(threshold: float, offset: int) -> None:
    for seed in range(5):
        boxes, scores = crowd(40, seed)
        dets, kept = mmcv_ops.nms(boxes, scores, threshold, offset=offset)
        expected = plain_nms(boxes.tolist(), scores.tolist(), threshold, offset)
        assert kept.tolist() == expected
        assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[expected])


def test_the_offset_of_nms_matters() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])  # they touch, or share a column of pixels
    scores = torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, 0.3, offset=0)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, 0.3, offset=1)[1].tolist() == [0]


def test_nms_of_no_box_keeps_none() -> None:
    dets, kept = mmcv_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and kept.shape == (0,)


def test_batched_nms_works_within_classes() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]] * 3)
    scores, classes = torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0, 0, 1])
    dets, kept = mmcv_ops.batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.5})
    assert kept.tolist() == [1, 2]
    assert torch.equal(dets[:, :4], boxes[:2])


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_decays_scores_as_defined(method: str, offset: int) -> None:
    for seed in range(5):
        boxes, scores = crowd(30, seed)
        options = {"sigma": 0.5, "min_score": 0.05, "method": method, "offset": offset}
        dets, kept = mmcv_ops.soft_nms(boxes, scores, 0.3, **options)
        expected = plain_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, 0.05, method, offset)
        assert kept.tolist() == [index for index, _ in expected]
        assert torch.equal(dets[:, :4], boxes[kept])
        assert torch.allclose(dets[:, 4], torch.tensor([score for _, score in expected]), atol=1e-5)


def test_soft_nms_of_no_box_keeps_none() -> None:
    dets, kept = mmcv_ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert len(dets) == len(kept) == 0


# --- overlaps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("mode", ["iou", "iof"])
def test_overlaps_of_upright_boxes(mode: str, offset: int) -> None:
    first, second = crowd(7, 0)[0], crowd(7, 1)[0]
    expected = torch.tensor([[iou(a, b, offset) for b in second.tolist()] for a in first.tolist()])
    if mode == "iof":
        sides1, sides2 = (box[:, 2:] - box[:, :2] + offset for box in (first, second))
        area1, area2 = sides1.prod(dim=1)[:, None], sides2.prod(dim=1)
        # iou = shared / (area1 + area2 - shared)
        expected = expected / (1 + expected) * (area1 + area2) / area1
    options = {"mode": mode, "offset": offset}
    torch.testing.assert_close(mmcv_ops.bbox_overlaps(first, second, **options), expected)
    aligned = mmcv_ops.bbox_overlaps(first, second, aligned=True, **options)
    torch.testing.assert_close(aligned, expected.diagonal())
    assert mmcv_ops.bbox_overlaps(first[:0], second).shape == (0, 7)


# --- pooling ----------------------------------------------------------------------------------------


def interpolate(plane: Tensor, y: float, x: float) -> float:
    """Bilinear value of a plane (H, W) at a point, by RoIAlign's rule at the border."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = plane[top, left] * (1 - (x - left)) + plane[top, right] * (x - left)
    lower = plane[bottom, left] * (1 - (x - left)) + plane[bottom, right] * (x - left)
    return float(upper * (1 - (y - top)) + lower * (y - top))


def plain_roi_align(features: Tensor, rois: Tensor, size: int, scale: float, ratio: int, aligned: bool) -> Tensor:
    result = torch.zeros(len(rois), features.shape[1], size, size, dtype=features.dtype)
    for k, (image, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - (0.5 if aligned else 0.0) for value in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        n_y, n_x = ratio or math.ceil(height / size), ratio or math.ceil(width / size)
        for c in range(features.shape[1]):
            for i in range(size):
                for j in range(size):
                    samples = [
                        interpolate(
                            features[int(image), c],
                            y1 + (i + (a + 0.5) / n_y) * height / size,
                            x1 + (j + (b + 0.5) / n_x) * width / size,
                        )
                        for a in range(n_y)
                        for b in range(n_x)
                    ]
                    result[k, c, i, j] = sum(samples) / len(samples)
    return result


ROIS = torch.tensor(
    [[0, 1.5, 2.0, 17.0, 14.5], [1, 0.0, 0.0, 23.0, 19.0], [1, 9.0, 3.0, 9.5, 3.25], [0, -6.0, 10.0, 30.0, 40.0]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_averages_bilinear_samples(aligned: bool, ratio: int) -> None:
    features = torch.randn(2, 3, 10, 12, dtype=torch.float64)
    found = mmcv_ops.roi_align(features, ROIS, (3, 3), 0.5, ratio, "avg", aligned)
    assert torch.allclose(found, plain_roi_align(features, ROIS, 3, 0.5, ratio, aligned), atol=1e-9)


def test_roi_align_has_the_gradient_of_its_definition() -> None:
    features = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mmcv_ops.roi_align(x, ROIS, (2, 2), 0.25, 2, "avg", True), [features])


def test_roi_align_without_a_maximum_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"roi_align.*'max'"):
        mmcv_ops.roi_align(torch.zeros(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 3, 3]]), (2, 2), 1.0, 2, "max", True)


def plain_roi_pool(features: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
    height, width = features.shape[-2:]
    result = torch.zeros(len(rois), features.shape[1], size, size, dtype=features.dtype)
    for k, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top, right, bottom = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        for i in range(size):
            for j in range(size):
                inside = [
                    features[int(image), :, y, x]
                    for y in range(height)
                    for x in range(width)
                    if math.floor(top + i * (bottom - top) / size)
                    <= y
                    < math.ceil(top + (i + 1) * (bottom - top) / size)
                    and math.floor(left + j * (right - left) / size)
                    <= x
                    < math.ceil(left + (j + 1) * (right - left) / size)
                ]
                if inside and right > left and bottom > top:
                    result[k, :, i, j] = torch.stack(inside).amax(dim=0)
    return result


def test_roi_pool_takes_the_maximum_of_each_bin() -> None:
    features = torch.randn(2, 3, 10, 12, dtype=torch.float64)
    outside = torch.tensor([[0, 60.0, 60.0, 70.0, 70.0], [1, 8.0, 8.0, 2.0, 2.0]], dtype=torch.float64)
    rois = torch.cat([ROIS, outside])  # beyond the border, and turned inside out: nothing to pool
    found = mmcv_ops.RoIPool((3, 3), 0.5)(features, rois)
    assert torch.equal(found, plain_roi_pool(features, rois, 3, 0.5))
    assert not found[-2:].any()


def test_roi_pool_has_the_gradient_of_its_definition() -> None:
    features = torch.randn(2, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mmcv_ops.roi_pool(x, ROIS, (2, 2), 0.25), [features])


# --- deformable convolution ---------------------------------------------------------------------------


def sample(plane: Tensor, y: float, x: float) -> float:
    """Bilinear value of a plane (H, W) that is surrounded by zeros."""
    height, width = plane.shape
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                value += float(plane[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def plain_deform_conv(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    deform_groups: int,
    mask: Tensor | None = None,
) -> Tensor:
    outputs, per_group, kernel_h, kernel_w = weight.shape
    result = torch.zeros(x.shape[0], outputs, *offset.shape[-2:], dtype=x.dtype)
    for n, o, i, j in torch.cartesian_prod(*(torch.arange(side) for side in result.shape)).tolist():
        total = 0.0
        for c in range(per_group):
            channel = o // (outputs // groups) * per_group + c
            group = channel // (x.shape[1] // deform_groups)
            for a in range(kernel_h):
                for b in range(kernel_w):
                    k = (group * kernel_h + a) * kernel_w + b
                    y = i * stride[0] - padding[0] + a * dilation[0] + float(offset[n, 2 * k, i, j])
                    z = j * stride[1] - padding[1] + b * dilation[1] + float(offset[n, 2 * k + 1, i, j])
                    scale = 1.0 if mask is None else float(mask[n, k, i, j])
                    total += float(weight[o, c, a, b]) * scale * sample(x[n, channel], y, z)
        result[n, o, i, j] = total
    return result


GEOMETRY = [
    # stride, padding, dilation, groups, deform_groups
    ((1, 1), (1, 1), (1, 1), 1, 1),
    ((2, 1), (1, 2), (1, 2), 2, 2),
]


def deformable_inputs(geometry: tuple, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input, offset, mask and weight that fit a geometry."""
    stride, padding, dilation, groups, deform_groups = geometry
    size = [
        (side + 2 * p - d * 2 - 1) // s + 1 for side, p, d, s in zip((5, 6), padding, dilation, stride, strict=True)
    ]
    x = torch.randn(2, 4, 5, 6, dtype=dtype)
    offset = torch.randn(2, 2 * deform_groups * 9, *size, dtype=dtype) * 2
    mask = torch.rand(2, deform_groups * 9, *size, dtype=dtype)
    weight = torch.randn(2, 4 // groups, 3, 3, dtype=dtype)
    return x, offset, mask, weight


@pytest.mark.parametrize("geometry", GEOMETRY)
def test_deformable_convolution_samples_at_the_offsets(geometry: tuple) -> None:
    x, offset, _, weight = deformable_inputs(geometry)
    found = mmcv_ops.deform_conv2d(x, offset, weight, *geometry)
    assert torch.allclose(found, plain_deform_conv(x, offset, weight, *geometry), atol=1e-9)


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("bias", [False, True])
def test_modulated_deformable_convolution_weighs_the_samples(geometry: tuple, bias: bool) -> None:
    x, offset, mask, weight = deformable_inputs(geometry)
    shift = torch.randn(2, dtype=torch.float64) if bias else None
    found = mmcv_ops.modulated_deform_conv2d(x, offset, mask, weight, shift, *geometry)
    expected = plain_deform_conv(x, offset, weight, *geometry, mask=mask)
    if shift is not None:
        expected += shift[:, None, None]
    assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("geometry", GEOMETRY)
def test_deformable_convolutions_have_the_gradients_of_their_definition(geometry: tuple) -> None:
    x, offset, mask, weight = (value.requires_grad_() for value in deformable_inputs(geometry))
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
    v1, v2 = mmcv_ops.deform_conv2d, mmcv_ops.modulated_deform_conv2d
    assert torch.autograd.gradcheck(lambda *given: v1(*given, *geometry), [x, offset, weight], fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda *given: v2(*given, *geometry), [x, offset, mask, weight, bias], fast_mode=True
    )


def slopes(plane: Tensor, y: float, x: float) -> tuple[float, float]:
    """mmcv's gradient of ``sample`` by y and x: towards larger values at a bend, none one pixel outside or further."""
    height, width = plane.shape
    if not (-1 < y < height and -1 < x < width):
        return 0.0, 0.0
    top, left = math.floor(y), math.floor(x)

    def at(row: int, column: int) -> float:
        return float(plane[row, column]) if 0 <= row < height and 0 <= column < width else 0.0

    down = [at(top + 1, column) - at(top, column) for column in (left, left + 1)]
    right = [at(row, left + 1) - at(row, left) for row in (top, top + 1)]
    return (
        down[0] * (left + 1 - x) + down[1] * (x - left),
        right[0] * (top + 1 - y) + right[1] * (y - top),
    )


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRY)
def test_offsets_have_mmcvs_gradient_where_samples_meet_the_border(modulated: bool, geometry: tuple) -> None:
    """All offsets are whole numbers, as zeros are, with which a layer starts: samples lie on pixels, -1 and beyond."""
    stride, padding, dilation, groups, deform_groups = geometry
    x, offset, mask, weight = deformable_inputs(geometry)
    offset = torch.where(torch.rand_like(offset) < 0.5, torch.zeros_like(offset), offset.round()).requires_grad_()
    if modulated:
        out = mmcv_ops.modulated_deform_conv2d(x, offset, mask, weight, None, *geometry)
    else:
        out, mask = mmcv_ops.deform_conv2d(x, offset, weight, *geometry), torch.ones_like(mask)
    into = torch.randn_like(out)
    (found,) = torch.autograd.grad(out, offset, into)
    expected, offset = torch.zeros_like(offset), offset.detach()
    outputs, per_group = weight.shape[:2]
    for n, o, i, j in torch.cartesian_prod(*(torch.arange(side) for side in out.shape)).tolist():
        for c, a, b in torch.cartesian_prod(*(torch.arange(side) for side in weight.shape[1:])).tolist():
            channel = o // (outputs // groups) * per_group + c
            k = (channel // (x.shape[1] // deform_groups) * 3 + a) * 3 + b
            y = i * stride[0] - padding[0] + a * dilation[0] + float(offset[n, 2 * k, i, j])
            z = j * stride[1] - padding[1] + b * dilation[1] + float(offset[n, 2 * k + 1, i, j])
            factor = float(into[n, o, i, j] * weight[o, c, a, b] * mask[n, k, i, j])
            for axis, slope in enumerate(slopes(x[n, channel], y, z)):
                expected[n, 2 * k + axis, i, j] += factor * slope
    torch.testing.assert_close(found, expected)


def test_a_deformable_layer_without_offsets_is_a_convolution() -> None:
    layer = mmcv_ops.ModulatedDeformConv2dPack(4, 6, 3, padding=1)  # offsets start at 0, masks at 0.5
    x = torch.randn(2, 4, 7, 8)
    expected = torch.nn.functional.conv2d(x, layer.weight, padding=1) * 0.5 + layer.bias[:, None, None]
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_macs_of_a_deformable_convolution_are_counted() -> None:
    from orxe_plugins.cost.macs import count_macs

    layer = mmcv_ops.DeformConv2dPack(4, 6, 3, padding=1)
    offsets = 7 * 8 * 9 * 4 * 18
    assert count_macs(layer, torch.randn(1, 4, 7, 8)) == offsets + 7 * 8 * 9 * 4 * 6


# --- attention and loss -------------------------------------------------------------------------------


def attention_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Value, shapes, start index, locations and weights for 2 maps, 2 heads and 3 points."""
    shapes = torch.tensor([[4, 5], [2, 3]])
    value = torch.randn(2, 26, 2, 3, dtype=torch.float64)
    locations = torch.rand(2, 4, 2, 2, 3, 2, dtype=torch.float64) * 1.4 - 0.2  # some outside of the maps
    weights = torch.rand(2, 4, 2, 2, 3, dtype=torch.float64)
    return value, shapes, torch.tensor([0, 20]), locations, weights


def test_deformable_attention_sums_weighted_samples() -> None:
    value, shapes, starts, locations, weights = attention_inputs()
    function = mmcv_ops.multi_scale_deform_attn.MultiScaleDeformableAttnFunction
    found = function.apply(value, shapes, starts, locations, weights, 64)
    expected = torch.zeros(2, 4, 2, 3, dtype=torch.float64)
    for n, q, m, d in torch.cartesian_prod(*(torch.arange(side) for side in expected.shape)).tolist():
        for level, (height, width) in enumerate(shapes.tolist()):
            start = int(starts[level])
            plane = value[n, start : start + height * width, m, d].reshape(height, width)
            for p in range(3):
                x, y = locations[n, q, m, level, p].tolist()
                weight = float(weights[n, q, m, level, p])
                expected[n, q, m, d] += weight * sample(plane, y * height - 0.5, x * width - 0.5)
    assert torch.allclose(found, expected.flatten(2), atol=1e-9)


def test_deformable_attention_has_the_gradients_of_its_definition() -> None:
    value, shapes, starts, locations, weights = attention_inputs()
    function = mmcv_ops.multi_scale_deform_attn.MultiScaleDeformableAttnFunction
    inputs = [value.requires_grad_(), locations.requires_grad_(), weights.requires_grad_()]
    assert torch.autograd.gradcheck(lambda v, x, w: function.apply(v, shapes, starts, x, w, 64), inputs, fast_mode=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoid_focal_loss_follows_its_formula(weighted: bool) -> None:
    logits = torch.randn(5, 3, dtype=torch.float64)
    target = torch.tensor([0, 2, 3, 1, 0])  # 3 is the background
    weight = torch.rand(3, dtype=torch.float64) if weighted else None
    found = mmcv_ops.sigmoid_focal_loss(logits, target, 1.5, 0.3, weight, "none")
    for i, row in enumerate(logits.tolist()):
        for c, logit in enumerate(row):
            p = 1 / (1 + math.exp(-logit))
            hit = c == int(target[i])
            loss = -0.3 * (1 - p) ** 1.5 * math.log(p) if hit else -0.7 * p**1.5 * math.log(1 - p)
            if weight is not None and int(target[i]) < 3:
                loss *= float(weight[target[i]])
            assert float(found[i, c]) == pytest.approx(loss, abs=1e-9)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_sigmoid_focal_loss_has_the_gradient_of_its_formula(reduction: str) -> None:
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 2, 3, 1, 0])

    def loss(given: Tensor) -> Tensor:
        return mmcv_ops.sigmoid_focal_loss(given, target, 1.5, 0.3, None, reduction)

    assert torch.autograd.gradcheck(loss, [logits])


# --- the module itself --------------------------------------------------------------------------------


def test_an_op_without_a_fallback_raises_with_its_name() -> None:
    with pytest.raises(NotImplementedError, match="'nms_quadri'"):
        mmcv_ops.nms_quadri(torch.rand(2, 8), torch.rand(2), 0.5)
    with pytest.raises(NotImplementedError, match="'carafe_forward'"):
        mmcv_ops.carafe(torch.rand(1, 4, 4, 4), torch.rand(1, 9, 8, 8), 3, 1, 2)


def run_python(code: str) -> str:
    """The last line that the code prints: some mmdet prints a line when it is imported."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_compiled_module_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "_ext.py").write_text("def __getattr__(name):\n    return lambda *a, **k: 'compiled'\n")
    code = f"""
import mmcv
mmcv.__path__.append({str(tmp_path)!r})
import orxe_mmdet.ops
orxe_mmdet.ops.install()
import mmcv._ext
print(mmcv._ext.nms(), orxe_mmdet.ops.is_fallback())
"""
    assert run_python(code) == "compiled False"


def test_a_broken_compiled_module_is_not_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "_ext.py").write_text("raise ImportError('undefined symbol')\n")
    code = f"""
import mmcv
mmcv.__path__.append({str(tmp_path)!r})
try:
    import orxe_mmdet.ops
    orxe_mmdet.ops.install()
    import mmcv.ops
except ImportError as error:
    print(error)
"""
    assert run_python(code) == "undefined symbol"


def test_mmdet_is_importable_on_this_torch() -> None:
    assert run_python("import orxe_mmdet, mmdet.apis; print(orxe_mmdet.ops.is_fallback())") == "True"
