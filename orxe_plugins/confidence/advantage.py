"""Advantage: a confidence that is low where the next expert is expected to do better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence
from orxe_plugins.confidence.summary import summary_named
from orxe_plugins.errors import OrxeError

#: inputs further from the mean than so many standard deviations are pulled in
FARTHEST = 5.0


@register_confidence("advantage")
class Advantage(ConfidenceProvider):
    """Sigmoid of a line over a summary of the expert's output; the line is fitted on records.

    It falls with what the next expert is expected to score more: see :func:`orxe_plugins.records.signals.fit_signals`.

    Args:
        summary: what it sees of an output, a name of :mod:`orxe_plugins.confidence.summary`.
        weights: of the D numbers of the summary, once they are brought to mean 0 and spread 1.
        centre, scale: what is taken from them for that, and what they are multiplied by then, D numbers each.
        bias: added to the line.

    Raises:
        OrxeError: there is no such summary, or the lists are no finite numbers of one length.
    """

    weights: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(
        self, summary: str, weights: Sequence[float], centre: Sequence[float], scale: Sequence[float], bias: float = 0.0
    ) -> None:
        super().__init__()
        summary_named(summary)  # raises now rather than at the first image
        self.summary = summary
        lists = {"weights": weights, "centre": centre, "scale": scale}
        for name, values in lists.items():
            if not isinstance(values, (list, tuple)) or len(values) != len(weights) or not all(map(_is_finite, values)):
                raise OrxeError(f"{name} of an advantage is {values!r:.80}: expected as many finite numbers as weights")
        if not weights or not _is_finite(bias):
            raise OrxeError(f"an advantage of {len(weights)} weights and bias {bias!r}: expected some, and a number")
        self.bias = float(bias)
        for name, values in lists.items():
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float32), persistent=False)

    def options(self) -> dict[str, Any]:
        lists = {name: getattr(self, name).tolist() for name in ("weights", "centre", "scale")}
        return {"summary": self.summary, **lists, "bias": self.bias}

    @property
    def gmacs(self) -> float:
        return 2 * len(self.weights) / 1e9

    def forward(self, outputs: Any, features: Tensor | None = None) -> Tensor:
        """Confidence (B,) of B outputs."""
        if isinstance(outputs, (list, tuple)) and not outputs:
            return torch.zeros(0)
        return self.of_summary(summary_named(self.summary)(outputs))

    def of_summary(self, seen: Tensor) -> Tensor:
        """Confidence (B,) of summaries (B, D)."""
        if seen.shape[1] != len(self.weights):
            raise OrxeError(
                f"an advantage with {len(self.weights)} weights, but this expert's summary has {seen.shape[1]} numbers"
            )
        centre, scale, weights = (each.to(seen.device) for each in (self.centre, self.scale, self.weights))
        standard = ((seen - centre) * scale).clamp(-FARTHEST, FARTHEST)
        # One number after the other: a matrix product may round otherwise in batches of another size.
        return ((standard * weights).sum(dim=1) + self.bias).sigmoid()


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
