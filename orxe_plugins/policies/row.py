"""PolicyRow and Promise: what a policy table says of its policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orxe_plugins.errors import OrxeError, check_known, check_type
from orxe_plugins.policies.policy import Policy, check_preference
from orxe_plugins.util.arguments import check_real
from orxe_plugins.util.pareto import pareto_front

#: scores are means of floats: what is exactly allowed must not fail by a rounding error
ROUNDING = 1e-12
_ERRORS = ("cost_error", "score_error", "drop_error")


@dataclass(frozen=True, repr=False)
class PolicyRow:
    """One policy of a table, with its cost and score by replay on the fitting split.

    It may be given wherever a :class:`~orxe_plugins.Policy` is expected.

    Attributes:
        preference: lambda in [0, 1]; 0 = only cost counts, 1 = only performance counts.
        policy: the thresholds.
        cost: mean cost per sample, in the table's unit.
        score: mean score per sample; of expected scores where the table was searched on these.
        cost_error, score_error: standard errors of the two; 0 where they are not known.
        drop_error: standard error of the last expert's score less this one's, which are paired.
    """

    preference: float
    policy: Policy
    cost: float
    score: float
    cost_error: float = 0.0
    score_error: float = 0.0
    drop_error: float = 0.0

    def __post_init__(self) -> None:
        check_preference(self.preference)
        check_type("policy", self.policy, Policy, "such as Policy((0.9, None))")
        check_real("cost", self.cost)
        check_real("score", self.score)

    def __repr__(self) -> str:
        return f"PolicyRow({self.preference:g}, {self.policy!r}, cost={self.cost:.6g}, score={self.score:.6g})"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        errors = {name: value for name in _ERRORS if (value := getattr(self, name))}
        return {
            "preference": self.preference,
            "cost": self.cost,
            "score": self.score,
            **errors,
            **self.policy.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyRow:
        """The inverse of :meth:`to_dict`."""
        errors = {name: data[name] for name in _ERRORS if name in data}
        return cls(data["preference"], Policy.from_dict(data), data["cost"], data["score"], **errors)


def as_policy(value: Policy | PolicyRow) -> Policy:
    """The policy of a row; a policy as it is.

    Raises:
        OrxeError: it is neither.
    """
    if isinstance(value, PolicyRow):
        return value.policy
    if isinstance(value, Policy):
        return value
    raise OrxeError(
        f"the policy is {value!r:.100}, a {type(value).__name__}: expected a Policy, such as Policy((0.9, None)), "
        "or a row of a PolicyTable, such as table.at(0.5)"
    )


def pareto_rows(rows: Iterable[PolicyRow]) -> tuple[PolicyRow, ...]:
    """The rows that no other one beats in cost and score, cheapest first; the first of those that are equal in both."""
    some = list(rows)
    front = pareto_front([row.cost for row in some], [row.score for row in some])
    return tuple(some[k] for k in front)


@dataclass(frozen=True)
class Promise:
    """What was tested on a choosing split; :func:`orxe_plugins.search.promise.promise` makes one.

    Attributes:
        max_drop: the drop of the mean score against the last expert that is allowed.
        confidence: the probability, over the draw of the choosing split, with which no policy of ``rows`` drops
            by more.
        n_samples: number of samples of the choosing split.
        tried: number of policies that were tested.
        rows: the policies that passed, costliest first; empty if no policy can promise this.
        drops: observed drop of each of them on the choosing split.
        p_values: p-value of each of them.
        test: name of the test.
        reason: why no policy can promise this; empty if one can.
        relative_to: the expert whose answers stood for labels, so that a drop is disagreement with it; empty where
            there were labels.
    """

    max_drop: float
    confidence: float
    n_samples: int
    tried: int
    rows: tuple[PolicyRow, ...] = ()
    drops: tuple[float, ...] = ()
    p_values: tuple[float, ...] = ()
    test: str = ""
    reason: str = ""
    relative_to: str = ""

    @property
    def row(self) -> PolicyRow | None:
        """The cheapest policy that passed; None if none did."""
        return self.rows[-1] if self.rows else None

    @property
    def text(self) -> str:
        """What is promised, in words."""
        what = f"disagreement with {self.relative_to}" if self.relative_to else "a drop"
        return f"{what} of at most {self.max_drop:g} with {100 * self.confidence:g} % confidence"

    def within(self, fits: Callable[[PolicyRow], bool]) -> Promise:
        """The promise with only those policies that ``fits`` accepts. It still holds: all were tested together."""
        kept = [k for k, row in enumerate(self.rows) if fits(row)]
        if len(kept) == len(self.rows):
            return self
        reason = "" if kept else f"{self.text} is promised, but by no policy within these limits"
        rows, drops, p_values = (tuple(some[k] for k in kept) for some in (self.rows, self.drops, self.p_values))
        return replace(self, rows=rows, drops=drops, p_values=p_values, reason=reason)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        known = {key: value for key, value in self.__dict__.items() if value or key != "relative_to"}
        return {**known, "rows": [row.to_dict() for row in self.rows],
                "drops": list(self.drops), "p_values": list(self.p_values)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Promise:
        """The inverse of :meth:`to_dict`."""
        check_known("key of a promise", map(str, data), [field.name for field in fields(cls)])
        rows = tuple(PolicyRow.from_dict(row) for row in data["rows"])
        return cls(**{**data, "rows": rows, "drops": tuple(data["drops"]), "p_values": tuple(data["p_values"])})


def mildest(promises: Sequence[Promise], max_drop: float, confidence: float) -> Promise:
    """Of the promises that are at least as strict as is asked for, the mildest, whether or not a policy passed.

    Raises:
        OrxeError: no such promise was tested.
    """
    strict = [p for p in promises if p.max_drop <= max_drop + ROUNDING and p.confidence >= confidence - ROUNDING]
    if not strict:
        known = "; ".join(f"max_drop {p.max_drop:g}, confidence {p.confidence:g}" for p in promises)
        raise OrxeError(
            f"this table promises no drop of at most {max_drop:g} with {100 * confidence:g} % confidence (tested: "
            f"{known or 'nothing'}): give the recipe promise: {{max_drop: {max_drop:g}, "
            f"confidence: {confidence:g}}} and data.split.choose, and search again"
        )
    return max(strict, key=lambda p: (p.max_drop, -p.confidence))
