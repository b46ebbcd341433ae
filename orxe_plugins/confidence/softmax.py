"""Confidences of a classifier: how sure its own class probabilities are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence
from orxe_plugins.errors import OrxeError


class SoftmaxConfidence(ConfidenceProvider):
    """A confidence out of the softmax probabilities.

    Args:
        temperature: the logits are divided by it first; above 1 makes a classifier less sure of
            itself. See :func:`fit_temperature`.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0 or not math.isfinite(temperature):
            raise OrxeError(f"temperature is {temperature!r}: expected a number above 0")
        self.temperature = float(temperature)

    def options(self) -> dict[str, Any]:
        return {} if self.temperature == 1.0 else {"temperature": self.temperature}

    def forward(self, outputs: Tensor, features: Tensor | None = None) -> Tensor:
        """Confidence, float32 of shape (B,), of logits or log-probabilities of shape (B, C)."""
        # In half precision, probabilities near 1 fall together and thresholds lose their meaning.
        log_p = torch.log_softmax(outputs.float() / self.temperature, dim=-1)  # (B, C)
        return self.from_log_probs(log_p)

    def from_log_probs(self, log_p: Tensor) -> Tensor:
        """Confidence of normalised log-probabilities (B, C)."""
        raise NotImplementedError


@register_confidence("max_softmax")
class MaxSoftmax(SoftmaxConfidence):
    """The largest class probability (TinySaver, section 3.2; ORXE supplement, section E)."""

    def from_log_probs(self, log_p: Tensor) -> Tensor:
        return log_p.amax(dim=-1).exp()


@register_confidence("margin")
class Margin(SoftmaxConfidence):
    """The largest class probability less the second largest."""

    def from_log_probs(self, log_p: Tensor) -> Tensor:
        top = log_p.topk(2, dim=-1).values.exp()  # (B, 2)
        return top[:, 0] - top[:, 1]


@register_confidence("negative_entropy")
class NegativeEntropy(SoftmaxConfidence):
    """1 - entropy / log C: 1 for one certain class, 0 for a uniform distribution over C classes."""

    def from_log_probs(self, log_p: Tensor) -> Tensor:
        # A class of probability 0 adds nothing; without the clamp it adds 0 * -inf.
        entropy = -(log_p.exp() * log_p.clamp(min=-1e4)).sum(dim=-1)  # (B,)
        return (1 - entropy / math.log(log_p.shape[-1])).clamp(0, 1)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least negative log-likelihood.

    Args:
        logits: logits or log-probabilities of all classes, (M, C).
        labels: true classes, integers of shape (M,).

    Returns:
        The temperature, in [0.05, 20].
    """
    scores = np.asarray(logits, dtype=np.float64)
    rows = np.arange(len(scores))

    def loss(log_t: float) -> float:
        return float(-log_softmax(scores / math.exp(log_t), axis=1)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20.0)), method="bounded")
    return math.exp(found.x)
