"""Deformable convolution v1 (Dai et al., 2017) and v2 (Zhu et al., 2019) as ``mmcv._ext`` calls them.

The arguments mean: ``input`` (B, C, H, W); ``weight`` (O, C / groups, kH, kW); ``offset``
(B, 2 * G * kH * kW, H', W') with G deformable groups, as y, x pairs; ``mask`` (B, G * kH * kW, H', W');
``output`` (B, O, H', W'), overwritten. Number of groups and kernel size follow from the shapes. mmcv's
scratch buffers and ``im2col_step`` only tell its kernels how to use memory.

At a sample exactly one pixel before the image, where the plain value is 0 and bends, mmcv's gradient of the offset
is 0, and torchvision's is the slope towards the image. Every layer with padding starts there, as its offsets are
first 0, so that the gradients are mmcv's.
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor

from orxe_mmdet.ops.gradients import gradients

Pair = tuple[int, int]


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor, **geometry: Any
) -> None:
    """Deformable convolution v1, without a bias."""
    output.copy_(torchvision.ops.deform_conv2d(input, offset, weight, None, *_geometry_v1(geometry)))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry: Any,
) -> None:
    """Gradients of v1 with regard to input and offset, into ``grad_input`` and ``grad_offset``."""

    def convolve(x: Tensor, o: Tensor) -> Tensor:
        return torchvision.ops.deform_conv2d(x, o, weight, None, *_geometry_v1(geometry))

    of_input, of_offset = gradients(convolve, [input, offset], grad_output)
    grad_input.copy_(of_input)
    inside = _inside(offset, input, weight, *_geometry_v1(geometry))
    grad_offset.copy_(of_offset * inside)


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    scale: float = 1.0,
    **geometry: Any,
) -> None:
    """Gradient of v1 with regard to the weight, times ``scale``, added to ``grad_weight``."""

    def convolve(w: Tensor) -> Tensor:
        return torchvision.ops.deform_conv2d(input, offset, w, None, *_geometry_v1(geometry))

    # The convolution is linear in the weight, so that any weight has this gradient.
    (grad,) = gradients(convolve, [torch.zeros_like(grad_weight)], grad_output)
    grad_weight.add_(grad, alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    with_bias: bool,
    **geometry: Any,
) -> None:
    """Deformable convolution v2: each sample is multiplied by its mask."""
    shift = bias if with_bias else None
    output.copy_(torchvision.ops.deform_conv2d(input, offset, weight, shift, *_geometry_v2(geometry), mask=mask))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    with_bias: bool,
    **geometry: Any,
) -> None:
    """Gradients of v2 with regard to all five inputs, into the tensors that are named for them."""

    def convolve(x: Tensor, w: Tensor, o: Tensor, m: Tensor) -> Tensor:
        return torchvision.ops.deform_conv2d(x, o, w, None, *_geometry_v2(geometry), mask=m)

    of_input, of_weight, of_offset, of_mask = gradients(convolve, [input, weight, offset, mask], grad_output)
    inside = _inside(offset, input, weight, *_geometry_v2(geometry))
    for target, grad in (
        (grad_input, of_input), (grad_weight, of_weight), (grad_offset, of_offset * inside), (grad_mask, of_mask)
    ):  # fmt: skip
        target.copy_(grad)
    if with_bias:
        grad_bias.copy_(torch.sum(grad_output, dim=(0, 2, 3)))


def _inside(offset: Tensor, input: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Whether a sample lies less than one pixel outside of the image, of the shape of ``offset``."""
    kernel, sides = weight.shape[-2:], input.shape[-2:]
    samples = offset.unflatten(1, (-1, *kernel, 2))  # (B, G, kH, kW, 2, H', W')
    inside = torch.ones_like(samples[:, :, :, :, 0], dtype=torch.bool)  # (B, G, kH, kW, H', W')
    for axis in (0, 1):
        # Where the sample of each kernel element would be without an offset, for each output along this axis.
        steps = torch.arange(offset.shape[-2 + axis], device=offset.device) * stride[axis] - padding[axis]
        places = torch.arange(kernel[axis], device=offset.device)[:, None] * dilation[axis] + steps
        places = places[:, None, :, None] if axis == 0 else places[None, :, None, :]  # (kH, kW, H', W')
        position = places + samples[:, :, :, :, axis]
        inside &= (position > -1) & (position < sides[axis])
    return inside.unsqueeze(4).expand_as(samples).flatten(1, 4)


def _geometry_v1(geometry: dict[str, Any]) -> tuple[Pair, Pair, Pair]:
    """Stride, padding and dilation, each as (vertical, horizontal)."""
    return (
        (geometry["dH"], geometry["dW"]),
        (geometry["padH"], geometry["padW"]),
        (geometry["dilationH"], geometry["dilationW"]),
    )


def _geometry_v2(geometry: dict[str, Any]) -> tuple[Pair, Pair, Pair]:
    """Stride, padding and dilation, each as (vertical, horizontal)."""
    return (
        (geometry["stride_h"], geometry["stride_w"]),
        (geometry["pad_h"], geometry["pad_w"]),
        (geometry["dilation_h"], geometry["dilation_w"]),
    )
