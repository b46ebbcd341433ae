"""Gradients of an op by running it again under autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def gradients(op: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor) -> tuple[Tensor, ...]:
    """Gradient of ``sum(op(*inputs) * grad_output)`` with regard to every input.

    mmcv calls the backward functions of its module outside of the graph that autograd built, with
    the saved inputs only. Its memory stays low that way, at the cost of one more forward pass.

    Args:
        op: a differentiable function of all inputs.
        inputs: floating point tensors.
        grad_output: gradient of the loss with regard to the op's output, of the output's shape.

    Returns:
        One gradient per input, each of the input's shape.
    """
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in inputs]
        return torch.autograd.grad(op(*leaves), leaves, grad_output)
