"""Tells torch's FLOP counter what a deformable convolution of torchvision costs, which it does not know by itself."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import torchvision  # noqa: F401  registers torch.ops.torchvision
from torch.utils.flop_counter import flop_registry, register_flop_formula


def count_deformable_convolutions() -> None:
    """Register the formula with ``torch.utils.flop_counter``, once."""
    op = torch.ops.torchvision.deform_conv2d
    if op not in flop_registry:
        register_flop_formula(op)(deformable_convolution_flops)


def deformable_convolution_flops(
    input_shape: Any, weight_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """FLOPs of the matrix products; the bilinear samples are element-wise work, which is not counted.

    Args:
        input_shape: (B, C, H, W).
        weight_shape: (O, C / groups, kH, kW).
        out_shape: (B, O, H', W').
    """
    return 2 * prod(out_shape) * prod(weight_shape[1:])
