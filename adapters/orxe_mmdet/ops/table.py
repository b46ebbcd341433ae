"""Which function stands in for which function of ``mmcv._ext``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orxe_mmdet.ops.attention import ms_deform_attn_backward, ms_deform_attn_forward
from orxe_mmdet.ops.deformable import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from orxe_mmdet.ops.focal import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward
from orxe_mmdet.ops.nms import nms, softnms
from orxe_mmdet.ops.overlaps import bbox_overlaps
from orxe_mmdet.ops.pooling import roi_align_backward, roi_align_forward, roi_pool_backward, roi_pool_forward
from orxe_mmdet.ops.rotated import box_iou_rotated, nms_rotated


def get_compiler_version() -> str:
    """What mmcv prints of itself in environment reports."""
    return "not compiled (orxe_mmdet on torchvision)"


def get_compiling_cuda_version() -> str:
    """What mmcv prints of itself in environment reports."""
    return "not available"


_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    nms,
    softnms,
    nms_rotated,
    bbox_overlaps,
    box_iou_rotated,
    roi_align_forward,
    roi_align_backward,
    roi_pool_forward,
    roi_pool_backward,
    deform_conv_forward,
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    modulated_deform_conv_forward,
    modulated_deform_conv_backward,
    ms_deform_attn_forward,
    ms_deform_attn_backward,
    sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward,
    get_compiler_version,
    get_compiling_cuda_version,
)

#: name in ``mmcv._ext`` -> the function that stands in for it
FALLBACKS: Mapping[str, Callable[..., Any]] = MappingProxyType({f.__name__: f for f in _FUNCTIONS})
