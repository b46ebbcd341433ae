"""Route: which expert answered each sample of a batch, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from orxe_plugins.cascade.faults import NOT_FINITE, Fault


class Trace(Protocol):
    """What a route can be made of when somebody looks at it."""

    #: the device of the confidences
    device: torch.device

    def on(self, device: torch.device) -> Route:
        """The route, on a device."""


def _none() -> None:
    """A default that, unlike a value, leaves nothing in the class: what is not there yet is made by ``__getattr__``."""


@dataclass(frozen=True, eq=False)
class Route:
    """Which expert answered each of B samples.

    The tensors are on the device that the confidences are on, and are made when one of them is first asked for;
    :meth:`to_host` gives all of them on the host for one transfer at most.

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
    unsound: Tensor | None = field(default_factory=_none)
    confidences: Tensor | None = field(default_factory=_none)

    @staticmethod
    def of(trace: Trace) -> Route:
        """A route that is made of a trace when it is looked at."""
        route = object.__new__(Route)
        route.__dict__["_trace"] = trace
        return route

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in Route.__dataclass_fields__:
                self._settle()
                if name in self.__dict__:  # another thread may have settled it
                    return self.__dict__[name]
            raise AttributeError(f"a Route has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return self.__dict__

    def _settle(self) -> None:
        """Make what has not been looked at yet."""
        trace: Trace | None = self.__dict__.get("_trace")
        if trace is not None:
            self.__dict__.update(trace.on(trace.device).__dict__)
            self.__dict__.pop("_trace", None)

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
        trace: Trace | None = self.__dict__.get("_trace")
        if trace is not None and trace.device.type != "cpu":
            return trace.on(torch.device("cpu"))
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
