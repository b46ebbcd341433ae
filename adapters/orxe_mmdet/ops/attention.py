"""Multi-scale deformable attention (Zhu et al., 2021, equation 3) as ``mmcv._ext`` calls it.

mmcv itself computes it in plain torch on the CPU and calls the compiled op on a GPU only.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from orxe_mmdet.ops.gradients import gradients


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sum of values that are sampled at P points on each of L feature maps.

    Args:
        value: (B, S, M, D): the L maps one after the other, flattened, for M heads.
        value_spatial_shapes: (L, 2), height and width of each map; S is the sum of their products.
        value_level_start_index: (L,); follows from the shapes.
        sampling_locations: (B, Q, M, L, P, 2), as x, y in [0, 1]; outside of a map it is zero.
        attention_weights: (B, Q, M, L, P).
        im2col_step: how mmcv's kernel splits the batch; has no effect here.

    Returns:
        (B, Q, M * D).
    """
    batch, _, heads, depth = value.shape
    queries = sampling_locations.shape[1]
    shapes = [(int(h), int(w)) for h, w in value_spatial_shapes.tolist()]
    grid = (2 * sampling_locations - 1).transpose(1, 2).flatten(0, 1)  # (B * M, Q, L, P, 2)
    weights = attention_weights.transpose(1, 2).flatten(0, 1)  # (B * M, Q, L, P)
    result = value.new_zeros(batch * heads, depth, queries)
    for level, maps in enumerate(value.split([h * w for h, w in shapes], dim=1)):
        height, width = shapes[level]
        features = maps.permute(0, 2, 3, 1).reshape(batch * heads, depth, height, width)
        sampled = F.grid_sample(features, grid[:, :, level], mode="bilinear", align_corners=False)  # (B * M, D, Q, P)
        result = result + (sampled * weights[:, None, :, level]).sum(dim=-1)
    return result.view(batch, heads * depth, queries).transpose(1, 2).contiguous()


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, into the three tensors that are named for them."""

    def attend(v: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return ms_deform_attn_forward(v, value_spatial_shapes, value_level_start_index, locations, weights, im2col_step)

    grads = gradients(attend, [value, sampling_locations, attention_weights], grad_output)
    for target, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True):
        target.copy_(grad)
