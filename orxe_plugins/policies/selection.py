"""Selection: what is asked of a policy table."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, fields
from typing import Any

from orxe_plugins.errors import OrxeError, shortened
from orxe_plugins.policies.policy import check_preference

#: of these, exactly one is asked for
GOALS = ("preference", "budget", "target", "max_drop")


@dataclass(frozen=True, repr=False)
class Selection:
    """Which policy of a table is wanted: one goal (the first four), and limits of memory.

    >>> Selection(budget=1.2, max_experts=2)
    Selection(budget=1.2, max_experts=2)
    >>> Selection(budget=1.2, target=0.9)
    Traceback (most recent call last):
    orxe_plugins.errors.OrxeError: expected one of preference, budget, target and max_drop, but got budget and target

    Attributes:
        preference: the policy of the nearest preference; 0 = only cost counts, 1 = only performance counts.
        budget: the best score whose mean cost per sample is at most this, in the table's unit.
        target: the least cost whose score on the fitting split is at least this.
        max_drop: the least cost whose score on the fitting split is at most this much below the last expert's.
        confidence: with ``max_drop`` alone: the drop was promised with at least this probability, by a test on a
            choosing split (:mod:`orxe_plugins.search.promise`).
        max_experts: only policies that come to at most so many experts (:attr:`~orxe_plugins.Policy.reachable`).
        max_params: only policies whose experts have at most so many parameters together.
        safety: how many standard errors to be on the safe side by, with budget, target or ``max_drop``; see
            :mod:`orxe_plugins.policies.safety`. 0 goes by the table's figures as if they were exact.

    Raises:
        OrxeError: not exactly one goal is given, a value is no number or out of range, ``confidence`` goes with
            another goal than ``max_drop``, or ``safety`` with one that it says nothing of.
    """

    preference: float | None = None
    budget: float | None = None
    target: float | None = None
    max_drop: float | None = None
    confidence: float | None = None
    max_experts: int | None = None
    max_params: float | None = None
    safety: float | None = None

    def __post_init__(self) -> None:
        goals = [name for name in GOALS if getattr(self, name) is not None]
        if len(goals) != 1:
            *names, last = GOALS
            raise OrxeError(f"expected one of {', '.join(names)} and {last}, but got {' and '.join(goals) or 'none'}")
        if self.confidence is not None and self.goal != "max_drop":
            raise OrxeError(f"confidence={self.confidence!r} goes with max_drop, not with {self.goal}")
        check_number("safety", self.safety)
        if self.safety is not None and self.safety < 0:
            raise OrxeError(f"safety is {self.safety!r}: expected a number of standard errors of at least 0")
        if self.safety is not None and (self.goal == "preference" or self.confidence is not None):
            other = "preference" if self.confidence is None else "a promised drop (confidence)"
            raise OrxeError(f"safety={self.safety!r} goes with budget, target or max_drop, not with {other}")
        if self.preference is not None:
            object.__setattr__(self, "preference", check_preference(self.preference))
        for name in GOALS[1:]:
            check_number(name, getattr(self, name))
        for name in ("max_experts", "max_params"):
            check_number(name, getattr(self, name), finite=False)
        if self.confidence is not None:
            check_number("confidence", self.confidence)
            if not 0 < self.confidence < 1:
                raise OrxeError(f"confidence is {self.confidence!r}: expected a number between 0 and 1, such as 0.95")

    @classmethod
    def of(cls, asked: float | Selection | None, **more: Any) -> Selection:
        """The selection that a method was given: as one object, or as a preference and other fields by name.

        Raises:
            OrxeError: both ways are mixed, or as :class:`Selection` raises.
        """
        if not isinstance(asked, Selection):
            return cls(asked, **more)
        given = [f"{name}={value!r}" for name, value in more.items() if value is not None]
        if given:
            raise OrxeError(f"{asked!r} and {', '.join(given)} are given: say all of it in one Selection")
        return asked

    @property
    def goal(self) -> str:
        """Name of the goal: "preference", "budget", "target" or "max_drop"."""
        return next(name for name in GOALS if getattr(self, name) is not None)

    @property
    def limits(self) -> tuple[str, ...]:
        """Names of the other fields that are given."""
        return tuple(
            name for name in ("confidence", "max_experts", "max_params", "safety") if getattr(self, name) is not None
        )

    def __repr__(self) -> str:
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        return f"Selection({', '.join(f'{name}={getattr(self, name)!r}' for name in given)})"


def check_number(name: str, value: Any, finite: bool = True) -> None:
    """Refuse what is no number; None is let through, as nothing is asked then.

    Raises:
        OrxeError: ``value`` is no number, not a number (NaN), or infinite though it must be finite.
    """
    if value is None:
        return
    number = not isinstance(value, bool) and isinstance(value, numbers.Real) and not math.isnan(value)
    if not number or (finite and math.isinf(value)):
        raise OrxeError(f"{name} is {shortened(value)}: expected a number")
