"""Sigmoid focal loss (Lin et al., 2017, equation 5) as ``mmcv._ext`` calls it.

MMDetection computes the loss in plain torch on the CPU and calls the compiled op on a GPU only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from orxe_mmdet.ops.gradients import gradients


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Loss of each logit.

    Args:
        input: logits (N, C).
        target: int64 (N,), the true class of each row; C is the background, of which no class is true.
        weight: (C,), one factor per true class, or empty.
        output: (N, C), overwritten.
        gamma: how much less a logit counts that is already right.
        alpha: share of the positive logits in the loss.
    """
    output.copy_(_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Gradient of the loss with regard to each logit, into ``grad_input`` (N, C)."""

    def loss(logits: Tensor) -> Tensor:
        return _loss(logits, target, weight, gamma, alpha)

    (grad,) = gradients(loss, [input], torch.ones_like(input))
    grad_input.copy_(grad)


def _loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    positive = target.unsqueeze(1) == torch.arange(logits.shape[1], device=logits.device)  # (N, C)
    p = logits.sigmoid()
    hit = -alpha * (1 - p) ** gamma * F.logsigmoid(logits)
    miss = -(1 - alpha) * p**gamma * F.logsigmoid(-logits)
    loss = torch.where(positive, hit, miss)
    if weight.numel():
        # The background has no factor of its own.
        loss = loss * torch.cat([weight, weight.new_ones(1)])[target].unsqueeze(1)
    return loss
