"""PolicyTable: one policy for each preference, and what may be chosen beside them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.policy import Policy, check_preference
from orxe_plugins.policies.row import PolicyRow, Promise, pareto_rows

#: scores are means of floats: what is exactly allowed must not fail by a rounding error
_ROUNDING = 1e-12


@dataclass(frozen=True)
class PolicyTable:
    """One policy for each preference, in order of rising preference.

    Attributes:
        rows: the policies that were fitted, one for each preference.
        cost_unit: unit of every cost in the table, such as "GMACs".
        reference_cost: mean cost if the last expert answers everything.
        reference_score: mean score of the last expert; allowed drops are counted from it.
        n_samples: number of samples that the table was fitted on.
        details: what else is known of the fit (data set, split, search), as JSON values.
        pareto: more policies that no other one beats, between the fitted ones: see
            :func:`orxe_plugins.search.pareto.with_choices`. Their preference is interpolated.
        compact: policies that no other one of as few experts beats: what :meth:`within` may choose beside the rest.
        params: number of parameters of each expert; empty where that is not known.
        promises: what was tested on a choosing split.
    """

    rows: tuple[PolicyRow, ...]
    cost_unit: str = "GMACs"
    reference_cost: float = math.nan
    reference_score: float = math.nan
    n_samples: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    pareto: tuple[PolicyRow, ...] = ()
    compact: tuple[PolicyRow, ...] = ()
    params: tuple[int, ...] = ()
    promises: tuple[Promise, ...] = ()

    def __post_init__(self) -> None:
        rows, pareto = (tuple(sorted(some, key=lambda row: row.preference)) for some in (self.rows, self.pareto))
        if not rows:
            raise OrxeError("a policy table without a row: fit it with at least one preference")
        promised = [row for promise in self.promises for row in promise.rows]
        if len({row.policy.n_experts for row in (*rows, *pareto, *self.compact, *promised)}) != 1:
            raise OrxeError("the rows of a policy table are for different numbers of experts")
        if self.params and len(self.params) != rows[0].policy.n_experts:
            raise OrxeError(
                f"params has {len(self.params)} numbers: expected one for each of {rows[0].policy.n_experts} experts"
            )
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "pareto", pareto)

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
        """The fitted preferences, rising."""
        return tuple(row.preference for row in self.rows)

    @property
    def offered(self) -> tuple[PolicyRow, ...]:
        """All rows that may be chosen, fitted ones and those between them, in order of rising preference."""
        return tuple(sorted((*self.rows, *self.pareto), key=lambda row: (row.preference, row.cost)))

    def policies_for(self, n_experts: int) -> PolicyTable:
        """This table, after checking that its policies are for ``n_experts`` experts."""
        self.rows[0].policy.for_experts(n_experts)
        return self

    # --- choosing -----------------------------------------------------------------------------

    def choose(
        self,
        preference: float | None = None,
        *,
        budget: float | None = None,
        target: float | None = None,
        max_drop: float | None = None,
        confidence: float | None = None,
        max_experts: int | None = None,
        max_params: float | None = None,
    ) -> PolicyRow:
        """The row that is asked for by exactly one of preference, budget, target and max_drop.

        Args:
            preference: see :meth:`at`.
            budget: see :meth:`at_budget`.
            target: see :meth:`at_target`.
            max_drop: see :meth:`at_max_drop`; with ``confidence``: see :meth:`at_promise`.
            confidence: goes with ``max_drop`` alone.
            max_experts, max_params: choose among what :meth:`within` leaves.

        Raises:
            OrxeError: not exactly one of the four is given, or no row fits.
        """
        asked = {"preference": preference, "budget": budget, "target": target, "max_drop": max_drop}
        check_asked(asked, confidence)
        table = self.within(max_experts=max_experts, max_params=max_params)
        if preference is not None:
            return table.at(preference)
        if budget is not None:
            return table.at_budget(budget)
        if target is not None:
            return table.at_target(target)
        assert max_drop is not None
        return table.at_max_drop(max_drop) if confidence is None else table.at_promise(max_drop, confidence)

    def at(self, preference: float) -> PolicyRow:
        """The row whose preference is nearest to ``preference``; the cheaper one of two equally near."""
        check_preference(preference)
        # A fitted row comes before one between that has the same preference.
        return min((*self.rows, *self.pareto), key=lambda row: (abs(row.preference - preference), row.preference))

    def at_budget(self, budget: float) -> PolicyRow:
        """The row with the best score among those that cost at most ``budget``; the cheapest of equals."""
        _check_number("budget", budget)
        fits = [row for row in self.offered if row.cost <= budget]
        if not fits:
            cheapest = min(row.cost for row in self.offered)
            raise OrxeError(
                f"no policy costs at most {budget:g} {self.cost_unit}: "
                f"the cheapest one costs {cheapest:.4g} {self.cost_unit}"
            )
        return max(fits, key=lambda row: (row.score, -row.cost))

    def at_target(self, target: float) -> PolicyRow:
        """The cheapest row whose score on the fitting split is at least ``target``; the best of equals."""
        _check_number("target", target)
        fits = [row for row in self.offered if row.score >= target - _ROUNDING]
        if not fits:
            best = max(self.offered, key=lambda row: (row.score, -row.cost))
            raise OrxeError(
                f"no policy scores at least {target:g}: the best one scores {best.score:.4f} "
                f"at {best.cost:.4g} {self.cost_unit}"
            )
        return min(fits, key=lambda row: (row.cost, -row.score))

    def at_max_drop(self, max_drop: float) -> PolicyRow:
        """The cheapest row whose score on the fitting split is at most ``max_drop`` below the last expert's."""
        _check_number("max_drop", max_drop)
        floor = self.reference_score - max_drop
        fits = [row for row in self.offered if row.score >= floor - _ROUNDING]
        if not fits:
            best = max(row.score for row in self.offered)
            raise OrxeError(
                f"no policy drops by at most {max_drop:g} from {self.reference_score:.4f}: "
                f"the best one scores {best:.4f}; allow a larger max_drop or fit higher preferences"
            )
        return min(fits, key=lambda row: (row.cost, -row.score))

    def at_promise(self, max_drop: float, confidence: float) -> PolicyRow:
        """The cheapest row of the promise that is asked for; else of the mildest one that is stricter.

        Which promise is looked at does not depend on which of them passed: to pick the luckiest of several
        would break them all.

        Raises:
            OrxeError: no such promise was tested, or no policy could give it.
        """
        _check_number("max_drop", max_drop)
        _check_number("confidence", confidence)
        tested = [
            p for p in self.promises if p.max_drop <= max_drop + _ROUNDING and p.confidence >= confidence - _ROUNDING
        ]
        if not tested:
            known = "; ".join(f"max_drop {p.max_drop:g}, confidence {p.confidence:g}" for p in self.promises)
            raise OrxeError(
                f"this table promises no drop of at most {max_drop:g} with {100 * confidence:g} % confidence (tested: "
                f"{known or 'nothing'}): give the recipe promise: {{max_drop: {max_drop:g}, "
                f"confidence: {confidence:g}}} and data.split.choose, and search again"
            )
        promise = max(tested, key=lambda p: (p.max_drop, -p.confidence))
        if promise.row is None:
            raise OrxeError(promise.reason)
        return promise.row

    def within(self, *, max_experts: int | None = None, max_params: float | None = None) -> PolicyTable:
        """The table with those rows alone that fit into a memory.

        Args:
            max_experts: a policy may come to at most so many experts (:attr:`Policy.reachable`).
            max_params: they may have at most so many parameters together.

        Raises:
            OrxeError: no row fits, or the parameters of the experts are not known.
        """
        if max_experts is None and max_params is None:
            return self
        if max_params is not None and not self.params:
            raise OrxeError("max_params: this table does not know its experts' numbers of parameters; use max_experts")
        _check_number("max_experts", math.inf if max_experts is None else max_experts, finite=False)
        _check_number("max_params", math.inf if max_params is None else max_params, finite=False)

        def fits(row: PolicyRow) -> bool:
            few = max_experts is None or len(row.policy.reachable) <= max_experts
            return few and (max_params is None or self.params_of(row.policy) <= max_params)

        rows, more = (tuple(filter(fits, some)) for some in (self.rows, (*self.pareto, *self.compact)))
        if not rows and not more:
            limits = {"experts": max_experts, "parameters": max_params}
            text = " and ".join(f"{limit:,} {what}" for what, limit in limits.items() if limit is not None)
            raise OrxeError(f"no policy gets by with {text}: {self._least(max_params is not None)}")
        # Beaten rows only got in because the better ones are too large here.
        unbeaten = {(row.cost, row.score) for row in pareto_rows((*rows, *more))}
        more = tuple(row for row in dict.fromkeys(more) if row not in rows and (row.cost, row.score) in unbeaten)
        promises = tuple(promise.within(fits) for promise in self.promises)
        return replace(self, rows=rows or more, pareto=more if rows else (), compact=(), promises=promises)

    def params_of(self, policy: Policy) -> int:
        """Parameters of all experts that a policy can come to."""
        return sum(self.params[i] for i in policy.reachable)

    def _least(self, params: bool) -> str:
        reach = [row.policy for row in (*self.offered, *self.compact)]
        text = f"the smallest one comes to {min(len(policy.reachable) for policy in reach)} experts"
        return text + (f", and the least parameters are {min(map(self.params_of, reach)):,}" if params else "")

    # --- JSON ---------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "cost_unit": self.cost_unit,
            "reference_cost": self.reference_cost,
            "reference_score": self.reference_score,
            "n_samples": self.n_samples,
            "details": self.details,
            "rows": [row.to_dict() for row in self.rows],
            "pareto": [row.to_dict() for row in self.pareto],
            "compact": [row.to_dict() for row in self.compact],
            "params": list(self.params),
            "promises": [promise.to_dict() for promise in self.promises],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyTable:
        """The inverse of :meth:`to_dict`."""
        keys = ("cost_unit", "reference_cost", "reference_score", "n_samples", "details")
        return cls(
            tuple(PolicyRow.from_dict(row) for row in data["rows"]),
            **{key: data[key] for key in keys if key in data},
            pareto=tuple(PolicyRow.from_dict(row) for row in data.get("pareto", ())),
            compact=tuple(PolicyRow.from_dict(row) for row in data.get("compact", ())),
            params=tuple(data.get("params", ())),
            promises=tuple(Promise.from_dict(promise) for promise in data.get("promises", ())),
        )


def check_asked(asked: dict[str, float | None], confidence: float | None) -> str:
    """The name of the one thing that is asked for.

    Raises:
        OrxeError: none or several are given, or a confidence without ``max_drop``.
    """
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        *names, last = asked
        raise OrxeError(f"expected one of {', '.join(names)} and {last}, but got {' and '.join(given) or 'none'}")
    if confidence is not None and given != ["max_drop"]:
        raise OrxeError(f"confidence={confidence!r} goes with max_drop, not with {given[0]}")
    return given[0]


def _check_number(name: str, value: Any, finite: bool = True) -> None:
    number = not isinstance(value, bool) and isinstance(value, numbers.Real) and not math.isnan(value)
    if not number or (finite and math.isinf(value)):
        raise OrxeError(f"{name} is {value!r}: expected a number")
