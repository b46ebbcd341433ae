"""Policy: the thresholds of a cascade."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orxe_plugins.errors import OrxeError, OrxeTypeError, check_type, shortened
from orxe_plugins.util.arguments import check_count


@dataclass(frozen=True, repr=False)
class Policy:
    """Thresholds that route a sample through N experts (the paper's "configuration").

    Both tuples have N - 1 elements: the last expert is never skipped and always answers.

    >>> Policy((0.9, None))  # three experts, of which the second is disabled
    Policy((0.9, None))
    >>> Policy((0.9, 0.8), (0.0, 0.3)).enabled
    (0, 1, 2)

    Attributes:
        exit_thresholds: one for each expert but the last (gate 2 in the paper). After expert i the sample is
            answered if its confidence is >= ``exit_thresholds[i]``. None is "never": the expert is
            disabled, it is not run and costs nothing (1.0 in the paper).
        skip_thresholds: one for each expert but the last (gate 1 in the paper). A sample that comes from an earlier
            expert with a confidence below ``skip_thresholds[i]`` skips expert i. 0 skips no sample; empty means all 0.
            Before the first enabled expert there is no confidence yet, so that its own element has no effect.

    Raises:
        OrxeError: a threshold is outside of [0, 1] or the lengths differ.
    """

    exit_thresholds: tuple[float | None, ...]
    skip_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        exits = _thresholds("exit", self.exit_thresholds, none=True)
        skips = _thresholds("skip", self.skip_thresholds) or (0.0,) * len(exits)
        if len(skips) != len(exits):
            raise OrxeError(
                f"{len(exits)} exit_thresholds, but {len(skips)} skip_thresholds: "
                "give one of each for every expert but the last"
            )
        object.__setattr__(self, "exit_thresholds", exits)
        object.__setattr__(self, "skip_thresholds", skips)

    def __repr__(self) -> str:
        skips = f", {self.skip_thresholds}" if any(self.skip_thresholds) else ""
        return f"Policy({self.exit_thresholds}{skips})"

    @classmethod
    def never(cls, n_experts: int) -> Policy:
        """Every sample goes straight to the last of ``n_experts`` experts."""
        return cls((None,) * (check_count("n_experts", n_experts, 1) - 1))

    @classmethod
    def only(cls, expert: int, n_experts: int) -> Policy:
        """Every sample is answered by expert number ``expert`` alone."""
        check_count("n_experts", n_experts, 1)
        if not 0 <= check_count("expert", expert) < n_experts:
            raise OrxeError(f"expert {expert} of {n_experts}: expected 0 to {n_experts - 1}")
        return cls(tuple(0.0 if i == expert else None for i in range(n_experts - 1)))

    @classmethod
    def uniform(cls, threshold: float, n_experts: int) -> Policy:
        """One common exit threshold, the usual hand-written cascade."""
        return cls((threshold,) * (check_count("n_experts", n_experts, 1) - 1))

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
        """Indices of the experts that a sample can reach: those that have to be in memory for this policy.

        An enabled expert with an exit threshold of 0 answers every sample that reaches it. No sample
        goes on from there, unless a skip threshold lets some skip it.
        """
        reached: list[int] = []
        for i in self.enabled:
            reached.append(i)
            if i == self.n_experts - 1 or (
                self.exit_thresholds[i] == 0 and (len(reached) == 1 or self.skip_thresholds[i] == 0)
            ):
                break
        return tuple(reached)

    def check_n_experts(self, n_experts: int) -> None:
        """Refuse any other number of experts than the policy is for.

        Raises:
            OrxeError: the policy is not for ``n_experts`` experts.
        """
        if self.n_experts != check_count("n_experts", n_experts, 1):
            raise OrxeError(
                f"{len(self.exit_thresholds)} exit_thresholds for {n_experts} experts: "
                f"expected {n_experts - 1}, one for every expert but the last"
            )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; a disabled expert's threshold is null."""
        return {"exit_thresholds": list(self.exit_thresholds), "skip_thresholds": list(self.skip_thresholds)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Policy:
        """The inverse of :meth:`to_dict`."""
        check_type("data", data, dict, "Policy.to_dict() gives one")
        if "exit_thresholds" not in data:
            raise OrxeError(f"data has the keys {', '.join(map(str, data)) or 'none'}: expected exit_thresholds")
        return cls(data["exit_thresholds"], data.get("skip_thresholds", ()))


def _thresholds(kind: str, values: Any, none: bool = False) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes)) or not _is_flat(values):
        hint = f", such as ({values},)" if isinstance(values, numbers.Real) else ""
        raise OrxeTypeError(
            f"{kind}_thresholds is {shortened(values)}: expected one threshold for every expert but the last{hint}"
        )
    return tuple(_threshold(kind, i, value, none) for i, value in enumerate(values))


def _threshold(kind: str, index: int, value: Any, none: bool) -> float | None:
    if value is None and none:
        return None
    if not _is_share(value):
        way_out = "a number in [0, 1]" + (", or None for never" if none else "")
        raise OrxeError(f"{kind}_thresholds[{index}] is {shortened(value)}: expected {way_out}")
    return float(value)


def check_preference(preference: float) -> float:
    """``preference`` as a float, or an error when it is not a number in [0, 1]."""
    if not _is_share(preference):
        raise OrxeError(f"preference is {shortened(preference)}: expected a number in [0, 1]")
    return float(preference)


def check_preferences(preferences: Iterable[float]) -> tuple[float, ...]:
    """Every preference checked, without repeats and rising."""
    return check_shares("preferences", preferences)


def check_shares(name: str, values: Iterable[float]) -> tuple[float, ...]:
    """Several numbers in [0, 1], without repeats and rising.

    Raises:
        OrxeError: there is none, one is out of range, or ``values`` is something else.
    """
    if isinstance(values, (str, bytes)) or not _is_flat(values):
        hint = ""
        if isinstance(values, int) and values > 1:
            hint = f"; for {values} of them: numpy.linspace(0, 1, {values})"
        raise OrxeTypeError(
            f"{name} is {shortened(values)}: expected several numbers in [0, 1], such as [0.2, 0.5, 0.8]{hint}"
        )
    checked = tuple(sorted({_checked_share(name, value) for value in values}))
    if not checked:
        raise OrxeError(f"no {name.removesuffix('s')} is given: expected at least one number in [0, 1]")
    return checked


def _checked_share(name: str, value: Any) -> float:
    if not _is_share(value):
        raise OrxeError(f"{name.removesuffix('s')} is {shortened(value)}: expected a number in [0, 1]")
    return float(value)


def _is_share(value: Any) -> bool:
    # Compared as it is: a whole number of hundreds of digits is no float.
    real: Any = value
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and bool(0 <= real <= 1)


def _is_flat(values: Any) -> bool:
    """Whether something can be gone through, and is no number in the shape of an array."""
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) == 1
