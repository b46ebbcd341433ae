"""Policy: the thresholds of a cascade."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orxe_plugins.errors import OrxeError


@dataclass(frozen=True)
class Policy:
    """Thresholds that route a sample through N experts (the paper's "configuration").

    Both tuples have N - 1 elements: the last expert is never skipped and always answers.

    Attributes:
        exit_thresholds: gate 2, one for each expert but the last. After expert i the sample is
            answered if its confidence is >= ``exit_thresholds[i]``. None is "never": the expert is
            disabled, it is not run and costs nothing (1.0 in the paper).
        skip_thresholds: gate 1. A sample that comes from an earlier expert with a confidence below
            ``skip_thresholds[i]`` goes past expert i without running it. 0 skips nobody; empty
            means all 0. Nobody has a confidence yet before the first enabled expert, so the
            element of that expert has no effect.

    Raises:
        OrxeError: a threshold is outside of [0, 1] or the lengths differ.
    """

    exit_thresholds: tuple[float | None, ...]
    skip_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        exits = tuple(_threshold("exit", i, t, none=True) for i, t in enumerate(self.exit_thresholds))
        skips = tuple(_threshold("skip", i, t) for i, t in enumerate(self.skip_thresholds or [0.0] * len(exits)))
        if len(skips) != len(exits):
            raise OrxeError(
                f"{len(exits)} exit_thresholds, but {len(skips)} skip_thresholds: "
                "give one of each for every expert but the last"
            )
        object.__setattr__(self, "exit_thresholds", exits)
        object.__setattr__(self, "skip_thresholds", skips)

    @classmethod
    def never(cls, n_experts: int) -> Policy:
        """Every sample goes straight to the last of ``n_experts`` experts."""
        return cls((None,) * (n_experts - 1))

    @classmethod
    def only(cls, expert: int, n_experts: int) -> Policy:
        """Every sample is answered by expert number ``expert`` alone."""
        if not 0 <= expert < n_experts:
            raise OrxeError(f"expert {expert} of {n_experts}: expected 0 to {n_experts - 1}")
        return cls(tuple(0.0 if i == expert else None for i in range(n_experts - 1)))

    @classmethod
    def uniform(cls, threshold: float, n_experts: int) -> Policy:
        """One common exit threshold, the usual hand-written cascade."""
        return cls((threshold,) * (n_experts - 1))

    @property
    def n_experts(self) -> int:
        """Number of experts N that the policy is for."""
        return len(self.exit_thresholds) + 1

    @property
    def enabled(self) -> tuple[int, ...]:
        """Indices of the experts that may run, in routing order; the last one is always there."""
        exits = self.exit_thresholds
        return (*(i for i, t in enumerate(exits) if t is not None), len(exits))

    @property
    def reachable(self) -> tuple[int, ...]:
        """Indices of the experts that any sample can come to: what has to be in memory for this policy.

        An enabled expert with an exit threshold of 0 answers all that come to it, so that nobody goes
        on from there, unless a skip threshold leads some past it.
        """
        reached: list[int] = []
        for i in self.enabled:
            reached.append(i)
            if i == self.n_experts - 1 or (
                self.exit_thresholds[i] == 0 and (len(reached) == 1 or self.skip_thresholds[i] == 0)
            ):
                break
        return tuple(reached)

    def for_experts(self, n_experts: int) -> Policy:
        """This policy, after checking that it is for ``n_experts`` experts."""
        if self.n_experts != n_experts:
            raise OrxeError(
                f"{len(self.exit_thresholds)} exit_thresholds for {n_experts} experts: "
                f"expected {n_experts - 1}, one for every expert but the last"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; a disabled expert's threshold is null."""
        return {"exit_thresholds": list(self.exit_thresholds), "skip_thresholds": list(self.skip_thresholds)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Policy:
        """The inverse of :meth:`to_dict`."""
        return cls(tuple(data["exit_thresholds"]), tuple(data.get("skip_thresholds", ())))


def _threshold(kind: str, index: int, value: Any, none: bool = False) -> float | None:
    if value is None and none:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0.0 <= float(value) <= 1.0:
        way_out = "a number in [0, 1]" + (", or None for never" if none else "")
        raise OrxeError(f"{kind}_thresholds[{index}] is {value!r}: expected {way_out}")
    return float(value)


def check_preference(preference: float) -> float:
    """``preference`` as a float, or an error when it is not a number in [0, 1]."""
    if isinstance(preference, bool) or not isinstance(preference, numbers.Real) or not 0.0 <= float(preference) <= 1.0:
        raise OrxeError(f"preference is {preference!r}: expected a number in [0, 1]")
    return float(preference)


def check_preferences(preferences: Sequence[float] | Iterable[float]) -> tuple[float, ...]:
    """Every preference checked, without repeats and rising."""
    checked = tuple(sorted({check_preference(p) for p in preferences}))
    if not checked:
        raise OrxeError("no preference is given: expected at least one number in [0, 1]")
    return checked
