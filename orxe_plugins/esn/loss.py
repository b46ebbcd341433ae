"""The loss of exits that a saver stands before."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def exit_loss(logits: Tensor, targets: Tensor, saver_logits: Tensor | None = None) -> Tensor:
    """Cross entropy of all exits; a sample of which the saver is sure counts little (TinySaver, Eq. 11).

    L_n = sum over m of 2 (1 - max softmax(y_S)) CE(y_n), taken as a mean over the batch and summed over exits.

    Args:
        logits: of E exits, (B, E, C).
        targets: class indices (B,), or class probabilities (B, C) of mixed images.
        saver_logits: (B, C); None weighs all samples alike.

    Returns:
        A scalar.
    """
    batch, exits, classes = logits.shape
    repeated = targets.repeat_interleave(exits, dim=0)  # (B * E,) or (B * E, C)
    each = F.cross_entropy(logits.reshape(-1, classes), repeated, reduction="none").view(batch, exits)
    return (each.sum(dim=1) * saver_weights(saver_logits, each)).mean()


def saver_weights(saver_logits: Tensor | None, like: Tensor) -> Tensor:
    """2 (1 - the saver's max softmax), (B,): 0 where it is sure, below 2; ones where there is no saver."""
    if saver_logits is None:
        return like.new_ones(len(like))
    return 2 * (1 - saver_logits.softmax(dim=-1).amax(dim=-1))
