"""Route: which expert answered each sample of a batch, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from orxe_plugins.cascade.faults import NOT_FINITE, Fault


@dataclass(frozen=True, eq=False)
class Route:
    """Which expert answered each of B samples.

    The tensors stay on the device that the confidences are on; :meth:`to_host` brings them over together.

    Attributes:
        expert: index of the expert that answered, int64 of shape (B,); -1 where none did.
        confidence: that expert's confidence, float32 of shape (B,).
        cost: cost of all experts that the sample was handed to, float64 of shape (B,); NaN where a cost is not known.
            An expert that failed on it counts once, however often it was tried.
        ran: which experts the sample was handed to, bool of shape (B, N).
        failed: experts that failed on samples while other experts answered them.
        unsound: which answers hold NaN or infinite values, bool of shape (B,); None where none of them holds numbers.
        confidences: confidence of each expert that the sample was handed to, float32 of shape (B, N); NaN for the
            others. None where they are not known.
    """

    expert: Tensor
    confidence: Tensor
    cost: Tensor
    ran: Tensor
    failed: tuple[Fault, ...] = ()
    unsound: Tensor | None = None
    confidences: Tensor | None = None

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What went wrong with which samples at which experts, by row; empty as a rule. The host waits for it."""
        if self.unsound is None:
            return self.failed
        experts = self.expert.tolist()
        rows = [row for row, is_bad in enumerate(self.unsound.tolist()) if is_bad]
        return tuple(sorted({*self.failed, *(Fault(row, experts[row], NOT_FINITE) for row in rows)}))

    def to_host(self) -> Route:
        """The same route in tensors on the CPU, brought over in one transfer; itself if it is there."""
        parts = (self.expert, self.confidence, self.cost, self.ran, self.unsound, self.confidences)
        if all(part is None or part.device.type == "cpu" for part in parts):
            return self
        return _unpacked(_packed(self).cpu(), self)

    def exit_share(self) -> Tensor:
        """Share of the samples that each expert answered, float64 of shape (N,)."""
        counts = torch.bincount(self.expert[self.expert >= 0], minlength=self.ran.shape[1])
        return counts.double() / max(len(self.expert), 1)


def _packed(route: Route) -> Tensor:
    """All of a route's values in float64, which holds each of them exactly, (B, 3 + N) or more columns."""
    optional = (part for part in (route.unsound, route.confidences) if part is not None)
    parts = [route.expert, route.confidence, route.cost, route.ran, *optional]
    device = route.cost.device
    return torch.cat([part.detach().to(device).double().reshape(len(part), -1) for part in parts], dim=1)


def _unpacked(packed: Tensor, like: Route) -> Route:
    n = like.ran.shape[1]
    expert, confidence, cost = packed[:, :3].unbind(dim=1)
    unsound = None if like.unsound is None else packed[:, 3 + n].bool()
    confidences = None if like.confidences is None else packed[:, -n:].float()
    return Route(
        expert.long(), confidence.float(), cost, packed[:, 3 : 3 + n].bool(), like.failed, unsound, confidences
    )
