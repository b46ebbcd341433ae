"""Policy: the thresholds of a cascade. PolicyTable: one policy for each preference."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class PolicyRow:
    """One policy of a table, with what replay on the fitting split says of it.

    Attributes:
        preference: lambda in [0, 1]; 0 = only cost counts, 1 = only performance counts.
        policy: the thresholds.
        cost: mean cost per sample, in the table's unit.
        score: mean score per sample.
    """

    preference: float
    policy: Policy
    cost: float
    score: float


@dataclass(frozen=True)
class PolicyTable:
    """One policy for each preference, in order of rising preference.

    Attributes:
        rows: the policies.
        cost_unit: unit of every cost in the table, such as "GMACs".
        reference_cost: mean cost if the last expert answers everything.
        reference_score: mean score of the last expert; allowed drops are counted from it.
        n_samples: number of samples that the table was fitted on.
        details: what else is known of the fit (data set, split, search), as JSON values.
    """

    rows: tuple[PolicyRow, ...]
    cost_unit: str = "GMACs"
    reference_cost: float = math.nan
    reference_score: float = math.nan
    n_samples: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = tuple(sorted(self.rows, key=lambda row: row.preference))
        if not rows:
            raise OrxeError("a policy table without a row: fit it with at least one preference")
        if len({row.policy.n_experts for row in rows}) != 1:
            raise OrxeError("the rows of a policy table are for different numbers of experts")
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PolicyRow]:
        return iter(self.rows)

    @property
    def n_experts(self) -> int:
        """Number of experts that the policies are for."""
        return self.rows[0].policy.n_experts

    @property
    def preferences(self) -> tuple[float, ...]:
        """The preferences, rising."""
        return tuple(row.preference for row in self.rows)

    def policies_for(self, n_experts: int) -> PolicyTable:
        """This table, after checking that its policies are for ``n_experts`` experts."""
        self.rows[0].policy.for_experts(n_experts)
        return self

    def at(self, preference: float) -> PolicyRow:
        """The row whose preference is nearest to ``preference``; the cheaper one of two equally near."""
        check_preference(preference)
        return min(self.rows, key=lambda row: (abs(row.preference - preference), row.preference))

    def at_budget(self, budget: float) -> PolicyRow:
        """The row with the best score among those that cost at most ``budget``; the cheapest of equals."""
        fits = [row for row in self.rows if row.cost <= budget]
        if not fits:
            cheapest = min(row.cost for row in self.rows)
            raise OrxeError(
                f"no policy costs at most {budget:g} {self.cost_unit}: "
                f"the cheapest one costs {cheapest:.4g} {self.cost_unit}"
            )
        return max(fits, key=lambda row: (row.score, -row.cost))

    def at_max_drop(self, max_drop: float) -> PolicyRow:
        """The cheapest row whose score on the fitting split is at most ``max_drop`` below the last expert's."""
        floor = self.reference_score - max_drop
        # Scores are means of floats: a drop of exactly max_drop must not fail by a rounding error.
        fits = [row for row in self.rows if row.score >= floor - 1e-12]
        if not fits:
            best = max(row.score for row in self.rows)
            raise OrxeError(
                f"no policy drops by at most {max_drop:g} from {self.reference_score:.4f}: "
                f"the best one scores {best:.4f}; allow a larger max_drop or fit higher preferences"
            )
        return min(fits, key=lambda row: (row.cost, -row.score))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "cost_unit": self.cost_unit,
            "reference_cost": self.reference_cost,
            "reference_score": self.reference_score,
            "n_samples": self.n_samples,
            "details": self.details,
            "rows": [
                {"preference": r.preference, "cost": r.cost, "score": r.score, **r.policy.to_dict()} for r in self.rows
            ],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyTable:
        """The inverse of :meth:`to_dict`."""
        rows = tuple(PolicyRow(r["preference"], Policy.from_dict(r), r["cost"], r["score"]) for r in data["rows"])
        keys = ("cost_unit", "reference_cost", "reference_score", "n_samples", "details")
        return cls(rows, **{key: data[key] for key in keys if key in data})


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
