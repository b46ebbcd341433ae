"""RoIAlign and RoIPool as ``mmcv._ext`` calls them: results go into tensors that the caller made."""

from __future__ import annotations

import math

import torch
import torchvision
from torch import Tensor

from orxe_mmdet.ops.gradients import gradients

AVERAGE = 1


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign (He et al., 2017), averaging; maxima are not offered.

    Args:
        input: features (B, C, H, W).
        rois: (K, 5): index of the image, then x1, y1, x2, y2 in pixels of the image.
        output: (K, C, aligned_height, aligned_width), overwritten.
        argmax_y, argmax_x: unused; what the maximum mode would fill.
        spatial_scale: features' pixels per image pixel.
        sampling_ratio: samples per bin and axis; 0 takes as many as the bin has pixels.
        pool_mode: 1 averages the samples of a bin, 0 takes their maximum.
        aligned: sample at pixel centres, shifted by half a pixel against the first version.
    """
    _check_mode(pool_mode)
    size = (aligned_height, aligned_width)
    output.copy_(torchvision.ops.roi_align(input, rois, size, spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward` with regard to the features, into ``grad_input`` (B, C, H, W)."""
    _check_mode(pool_mode)
    size = (aligned_height, aligned_width)

    def align(features: Tensor) -> Tensor:
        return torchvision.ops.roi_align(features, rois, size, spatial_scale, sampling_ratio, aligned)

    # RoIAlign is linear in the features, so that any features have this gradient.
    (grad,) = gradients(align, [torch.zeros_like(grad_input)], grad_output)
    grad_input.copy_(grad)


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """RoIPool (Girshick, 2015) as mmcv defines it: the maximum of each bin.

    torchvision's op rounds a region to whole pixels before it is cut into bins; mmcv's does not, so
    this one is written out. A region ends behind its last pixel: its width is ``x2 + 1 - x1``.

    Args:
        input: features (B, C, H, W).
        rois: (K, 5): index of the image, then x1, y1, x2, y2 in pixels of the image.
        output: (K, C, pooled_height, pooled_width), overwritten; 0 where a bin is empty.
        argmax: int32, of the same shape, overwritten: ``y * W + x`` of each maximum; -1 where a bin is empty.
        spatial_scale: features' pixels per image pixel.
    """
    height, width = input.shape[-2:]
    output.zero_()
    argmax.fill_(-1)
    for k, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        rows = _bins(y1 * spatial_scale, (y2 + 1) * spatial_scale, pooled_height, height)
        columns = _bins(x1 * spatial_scale, (x2 + 1) * spatial_scale, pooled_width, width)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if top >= bottom or left >= right:
                    continue
                region = input[int(image), :, top:bottom, left:right].flatten(1)  # (C, h * w)
                output[k, :, i, j], position = region.max(dim=1)
                y, x = position // (right - left) + top, position % (right - left) + left
                argmax[k, :, i, j] = (y * width + x).to(argmax.dtype)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradient of :func:`roi_pool_forward` with regard to the features, into ``grad_input`` (B, C, H, W)."""
    grad_input.zero_()
    flat = grad_input.view(*grad_input.shape[:2], -1)  # (B, C, H * W)
    for k, image in enumerate(rois[:, 0].long().tolist()):
        position = argmax[k].flatten(1).long()  # (C, h * w)
        grad = grad_output[k].flatten(1) * (position >= 0)
        flat[image].scatter_add_(1, position.clamp(min=0), grad)


def _bins(start: float, end: float, count: int, limit: int) -> list[tuple[int, int]]:
    """First pixel and the one behind the last of ``count`` bins between two coordinates, cut at the border."""
    if end <= start:
        return [(0, 0)] * count
    ends = [start + i * (end - start) / count for i in range(count + 1)]
    first = [min(max(math.floor(value), 0), limit) for value in ends[:-1]]
    behind = [min(max(math.ceil(value), 0), limit) for value in ends[1:]]
    return list(zip(first, behind, strict=True))


def _check_mode(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError("mmcv op 'roi_align' has a fallback for pool_mode='avg' only, not for 'max'")
