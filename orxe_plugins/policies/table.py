"""PolicyTable: one policy for each preference, and further policies that may be chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, overload

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import Policy, check_preference
from orxe_plugins.policies.row import ROUNDING, PolicyRow, Promise, as_policy, mildest, pareto_rows
from orxe_plugins.policies.safety import BUDGET_SAFETY, SAFETY, Option, safe_choice
from orxe_plugins.policies.schema import TableContent
from orxe_plugins.policies.selection import Selection, check_number
from orxe_plugins.util.arguments import check_count, check_real
from orxe_plugins.util.json_files import checked
from orxe_plugins.util.wording import plain


@dataclass(frozen=True, repr=False)
class PolicyTable:
    """One policy for each preference, in order of rising preference.

    ``table[i]`` and iteration give the fitted rows. :meth:`choose` picks among all rows.

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

    Raises:
        OrxeError: there is no row, or rows or ``params`` are for different numbers of experts.
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
        for name, kind in (("rows", PolicyRow), ("pareto", PolicyRow), ("compact", PolicyRow), ("promises", Promise)):
            _check_rows(name, getattr(self, name), kind)
        check_type("cost_unit", self.cost_unit, str, "such as 'GMACs'")
        for name in ("reference_cost", "reference_score"):
            check_real(name, getattr(self, name))
        check_count("n_samples", self.n_samples)
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

    @overload
    def __getitem__(self, index: int) -> PolicyRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PolicyRow, ...]: ...
    def __getitem__(self, index: int | slice) -> PolicyRow | tuple[PolicyRow, ...]:
        return self.rows[index]

    def __repr__(self) -> str:
        preferences, costs, scores = (
            _span([getattr(row, name) for row in self.rows]) for name in ("preference", "cost", "score")
        )
        return (
            f"PolicyTable({len(self.rows)} rows for {self.n_experts} experts: preference {preferences}, "
            f"cost {costs} {self.cost_unit}, score {scores})"
        )

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

    def check_n_experts(self, n_experts: int) -> None:
        """Refuse any other number of experts than the policies are for.

        Raises:
            OrxeError: the policies are not for ``n_experts`` experts.
        """
        self.rows[0].policy.check_n_experts(n_experts)

    # --- choosing -----------------------------------------------------------------------------

    def choose(
        self,
        preference: float | Selection | None = None,
        *,
        budget: float | None = None,
        target: float | None = None,
        max_drop: float | None = None,
        confidence: float | None = None,
        max_experts: int | None = None,
        max_params: float | None = None,
        safety: float | None = None,
    ) -> PolicyRow:
        """The row that is asked for: ``choose(0.8)``, ``choose(budget=1.2)`` or ``choose(Selection(budget=1.2))``.

        The arguments are those of :class:`~orxe_plugins.policies.selection.Selection`.

        >>> from orxe_plugins import Policy, PolicyRow, PolicyTable
        >>> table = PolicyTable((PolicyRow(0.2, Policy((0.5,)), 1.0, 0.86), PolicyRow(0.8, Policy((0.9,)), 2.0, 0.9)))
        >>> table.choose(0.3)
        PolicyRow(0.2, Policy((0.5,)), cost=1, score=0.86)
        >>> table.choose(target=0.88)
        PolicyRow(0.8, Policy((0.9,)), cost=2, score=0.9)

        Raises:
            OrxeError: not exactly one of preference, budget, target and max_drop is given, or no row fits.
        """
        asked = Selection.of(
            preference, budget=budget, target=target, max_drop=max_drop,
            confidence=confidence, max_experts=max_experts, max_params=max_params, safety=safety,
        )  # fmt: skip
        table = self.within(max_experts=asked.max_experts, max_params=asked.max_params)
        if asked.preference is not None:
            return table.at(asked.preference)
        if asked.budget is not None:
            return table.at_budget(asked.budget, asked.safety)
        if asked.target is not None:
            return table.at_target(asked.target, asked.safety)
        assert asked.max_drop is not None
        if asked.confidence is None:
            return table.at_max_drop(asked.max_drop, asked.safety)
        return table.at_promise(asked.max_drop, asked.confidence)

    def at(self, preference: float | None = None, **other: Any) -> PolicyRow:
        """The row whose preference is nearest to ``preference``; the cheaper one of two equally near."""
        if other or preference is None:
            asked = ", ".join(f"{name}={value!r}" for name, value in other.items())
            raise OrxeError(f"table.at() takes a preference alone: use table.choose({asked or 'budget=...'})")
        check_preference(preference)
        # A fitted row comes before one between that has the same preference.
        return min((*self.rows, *self.pareto), key=lambda row: (abs(row.preference - preference), row.preference))

    def at_budget(self, budget: float, safety: float | None = None) -> PolicyRow:
        """The row with the best score among those that cost at most ``budget``; the cheapest of equals.

        The cost is to stay within the budget with ``safety`` standard errors added, if any row does that.
        """
        check_number("budget", budget)
        fits = [row for row in self.offered if row.cost <= budget]
        if not fits:
            cheapest = min(row.cost for row in self.offered)
            raise OrxeError(
                f"no policy costs at most {budget:g} {self.cost_unit}: "
                f"the cheapest one costs {plain(cheapest)} {self.cost_unit}"
            )
        margin = BUDGET_SAFETY if safety is None else safety
        safe = [row for row in fits if row.cost + margin * row.cost_error <= budget]
        return max(safe or fits, key=lambda row: (row.score, -row.cost))

    def at_target(self, target: float, safety: float | None = None) -> PolicyRow:
        """The cheapest row whose score is at least ``target``, on the safe side by up to ``safety`` standard errors.

        How far it goes to the safe side: :func:`orxe_plugins.policies.safety.safe_choice`.
        """
        check_number("target", target)
        row = self._safe("score_error", self._top - target, safety)
        if row is None:
            best = max(self.offered, key=lambda row: (row.score, -row.cost))
            raise OrxeError(
                f"no policy scores at least {target:g}: the best one scores {best.score:.4f} "
                f"at {plain(best.cost)} {self.cost_unit}"
            )
        return row

    def at_max_drop(self, max_drop: float, safety: float | None = None) -> PolicyRow:
        """The cheapest row whose score is at most ``max_drop`` below the last expert's, on the safe side.

        How far it goes to the safe side, by up to ``safety`` standard errors:
        :func:`orxe_plugins.policies.safety.safe_choice`.
        """
        check_number("max_drop", max_drop)
        row = self._safe("drop_error", max_drop, safety)
        if row is None:
            best = max(row.score for row in self.offered)
            raise OrxeError(
                f"no policy drops by at most {max_drop:g} from {self.reference_score:.4f}: "
                f"the best one scores {best:.4f}; allow a larger max_drop or fit higher preferences"
            )
        return row

    @property
    def _top(self) -> float:
        """What drops are counted from: the last expert's score; 0 where it is not known."""
        return 0.0 if math.isnan(self.reference_score) else self.reference_score

    def _safe(self, error: str, allowed: float, safety: float | None) -> PolicyRow | None:
        """The row that a safe choice takes; None if no row drops by at most ``allowed``."""
        rows = self.offered
        whole = self.reference_cost if self.reference_cost > 0 else max(row.cost for row in rows) or 1.0
        options = [Option(row.cost / whole, self._top - row.score, getattr(row, error)) for row in rows]
        taken = safe_choice(options, allowed + ROUNDING, SAFETY if safety is None else safety)
        return None if taken is None else rows[taken]

    def at_promise(self, max_drop: float, confidence: float) -> PolicyRow:
        """The cheapest row of the promise that is asked for, or else of the mildest one that is stricter.

        Which promise is used does not depend on which of them passed: to pick the luckiest of several
        would break them all.

        Raises:
            OrxeError: no such promise was tested, or no policy could give it.
        """
        check_number("max_drop", max_drop)
        check_number("confidence", confidence)
        promise = mildest(self.promises, max_drop, confidence)
        if promise.row is None:
            raise OrxeError(promise.reason)
        return promise.row

    def within(self, *, max_experts: int | None = None, max_params: float | None = None) -> PolicyTable:
        """The table with only those rows that fit into a memory.

        Args:
            max_experts: a policy may come to at most so many experts (:attr:`Policy.reachable`).
            max_params: they may have at most so many parameters together.

        Raises:
            OrxeError: no row fits, or the parameters of the experts are not known.
        """
        if max_experts is None and max_params is None:
            return self
        check_number("max_experts", max_experts, finite=False)
        check_number("max_params", max_params, finite=False)
        if max_params is not None and not self.params:
            raise OrxeError("max_params: this table does not know its experts' numbers of parameters; use max_experts")

        def fits(row: PolicyRow) -> bool:
            few = max_experts is None or len(row.policy.reachable) <= max_experts
            return few and (max_params is None or self.params_of(row.policy) <= max_params)

        rows, more = (tuple(filter(fits, some)) for some in (self.rows, (*self.pareto, *self.compact)))
        if not rows and not more:
            limits = {"experts": max_experts, "parameters": max_params}
            text = " and ".join(f"{limit:,} {what}" for what, limit in limits.items() if limit is not None)
            raise OrxeError(f"no policy gets by with {text}: {self._least(max_params is not None)}")
        # Beaten rows were only kept because the better ones are too large here.
        unbeaten = {(row.cost, row.score) for row in pareto_rows((*rows, *more))}
        more = tuple(row for row in dict.fromkeys(more) if row not in rows and (row.cost, row.score) in unbeaten)
        promises = tuple(promise.within(fits) for promise in self.promises)
        return replace(self, rows=rows or more, pareto=more if rows else (), compact=(), promises=promises)

    def params_of(self, policy: Policy | PolicyRow) -> int:
        """Parameters of all experts that a policy can come to."""
        return sum(self.params[i] for i in as_policy(policy).reachable)

    def _least(self, params: bool) -> str:
        reach = [row.policy for row in (*self.offered, *self.compact)]
        text = f"the smallest one comes to {min(len(policy.reachable) for policy in reach)} experts"
        return text + (f", and the least parameters are {min(map(self.params_of, reach)):,}" if params else "")

    # --- rows and JSON ------------------------------------------------------------------------

    def to_rows(self) -> list[dict[str, Any]]:
        """The fitted rows as dicts of preference, cost, score, exit_thresholds and skip_thresholds."""
        return [row.to_dict() for row in self.rows]

    def to_frame(self) -> Any:
        """The fitted rows as a ``pandas.DataFrame``, with the columns of :meth:`to_rows`.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame() needs pandas, and to_rows() does not: pip install pandas") from error
        return pandas.DataFrame(self.to_rows())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "cost_unit": self.cost_unit,
            "reference_cost": self.reference_cost,
            "reference_score": self.reference_score,
            "n_samples": self.n_samples,
            "details": self.details,
            "rows": self.to_rows(),
            "pareto": [row.to_dict() for row in self.pareto],
            "compact": [row.to_dict() for row in self.compact],
            "params": list(self.params),
            "promises": [promise.to_dict() for promise in self.promises],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyTable:
        """The inverse of :meth:`to_dict`.

        Raises:
            OrxeError: it is not what :meth:`to_dict` gave; keys that are wrong are named.
        """
        checked(TableContent, data, "the policy table")
        keys = ("cost_unit", "reference_cost", "reference_score", "n_samples", "details")
        return cls(
            tuple(PolicyRow.from_dict(row) for row in data["rows"]),
            **{key: data[key] for key in keys if key in data},
            pareto=tuple(PolicyRow.from_dict(row) for row in data.get("pareto", ())),
            compact=tuple(PolicyRow.from_dict(row) for row in data.get("compact", ())),
            params=tuple(data.get("params", ())),
            promises=tuple(Promise.from_dict(promise) for promise in data.get("promises", ())),
        )


def _check_rows(name: str, rows: Any, kind: type) -> None:
    """Refuse what is not several rows, or promises, of a table."""
    check_type(name, rows, (tuple, list), f"several {kind.__name__} objects")
    for row in rows:
        check_type(f"an element of {name}", row, kind, "fit_policies(records, preferences) gives a whole table")


def _span(values: list[float]) -> str:
    low, high = plain(min(values)), plain(max(values))
    return low if low == high else f"{low} to {high}"
