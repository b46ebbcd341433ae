"""What a stream gives for each sample, and how it may be asked to run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from orxe_plugins.cascade.faults import Fault, check_on_error
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.arguments import check_count


@dataclass(frozen=True, eq=False)
class StreamAnswer:
    """What a cascade answers to one sample of a stream.

    Attributes:
        index: the sample's place in the stream, from 0.
        output: the answer, as one row of what :meth:`orxe_plugins.Cascade.route` gives; None where there is none.
        expert: index of the expert that gave it; -1: none did.
        confidence: that expert's.
        cost: of all experts that the sample was handed to, as in a :class:`~orxe_plugins.Route`.
        error: why there is no answer; None as a rule.
        faults: experts that failed on it, though it may be answered; empty as a rule.
        ran: indices of the experts that it was handed to.
    """

    index: int
    output: Any
    expert: int
    confidence: float
    cost: float
    error: Exception | None = None
    faults: tuple[Fault, ...] = ()
    ran: tuple[int, ...] = ()


@dataclass(frozen=True)
class StreamOptions:
    """How a stream runs; see :meth:`orxe_plugins.Cascade.stream`.

    Raises:
        OrxeError: a value is out of range.
    """

    batch_size: int = 64
    max_wait: float | None = None
    ordered: bool = True
    on_error: str = "raise"
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size, 1)
        check_on_error(self.on_error)
        for name in ("max_wait", "timeout"):
            check_seconds(name, getattr(self, name))


def check_seconds(name: str, value: float | None) -> None:
    """Refuse what is no positive number of seconds; None is no limit."""
    if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
        raise OrxeError(f"{name} is {value!r}: expected a number of seconds above 0, or None for no limit")
