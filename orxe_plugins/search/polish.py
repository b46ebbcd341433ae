"""Polish: the last step of a search where a data set's metric is no mean of scores, as with COCO's AP.

The search itself works on scores that add up. Here the policies that it found, and their neighbours, are measured by
the metric itself, and each preference takes the best of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, pareto_rows
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.objective import best_per_preference
from orxe_plugins.search.replay import replay
from orxe_plugins.util.arguments import check_count

#: shares of the samples by which an exit threshold is moved
_STEPS = (-0.05, -0.02, 0.02, 0.05)
_ROUNDS = 3


def polished(
    table: PolicyTable, records: Records, metric: Callable[[np.ndarray], float], *, evaluations: int = 200
) -> PolicyTable:
    """The table with scores by a metric, and with the best known policy for each preference by it.

    All rows are measured, then neighbours of the best ones: each exit threshold is moved past 2 and 5 % of the samples,
    for up to three rounds. Costs are those of replay; ``reference_score`` is the last expert's metric. The standard
    errors of rows that were there stay, those of new ones are their nearest neighbour's.

    Args:
        table: what was searched, with the rows between.
        records: the fitting split.
        metric: of the expert that answers each sample, (M,); higher is better, and 1 is the best there is.
        evaluations: measure so many policies at most; many of them may route all samples alike and count once.
    """
    check_count("evaluations", evaluations, 1)
    measured = _Measured(records, metric, evaluations)
    rows = {row.policy: row for row in (*table.compact, *table.pareto, *table.rows)}
    for policy in (*(row.policy for row in table), Policy.never(table.n_experts), *_spread(table.pareto)):
        measured.add(policy)
    ranked = [np.sort(row) for row in records.confidence[:-1]]
    for _ in range(_ROUNDS):
        best = measured.best(table.preferences)
        before = len(measured.known)
        for policy in dict.fromkeys(best):
            for moved in _moves(policy, ranked):
                measured.add(moved)
        if len(measured.known) == before:
            break
    last = measured.known[Policy.never(table.n_experts)]
    fitted = [
        _row(preference, policy, measured, rows)
        for preference, policy in zip(table.preferences, measured.best(table.preferences), strict=True)
    ]
    taken = {row.policy for row in fitted}
    costs, preferences = [row.cost for row in fitted], [row.preference for row in fitted]
    others = [
        _row(float(np.interp(cost, costs, preferences)), policy, measured, rows)
        for policy, (cost, _) in measured.known.items()
        if policy not in taken
    ]
    between = [
        row
        for row in pareto_rows([*fitted, *others])
        if row.policy not in taken and all((row.cost - one.cost) * (row.score - one.score) > 0 for one in fitted)
    ]
    compact = [replace(row, score=measured.score(row.policy)) for row in table.compact]
    # Objectives and bounds were those of the scores that were searched on.
    searched = {
        k: v for k, v in table.details.get("search", {}).items() if k not in ("objective", "lower_bound", "gap")
    }
    details = {**table.details, "search": searched, "polished": {"evaluations": measured.evaluations}}
    return replace(
        table, rows=tuple(fitted), pareto=tuple(between), compact=tuple(compact), reference_score=last[1],
        details=details,
    )  # fmt: skip


class _Measured:
    """Cost and metric of policies, each routing measured once."""

    def __init__(self, records: Records, metric: Callable[[np.ndarray], float], most: int) -> None:
        self.records, self._metric, self._most = records, metric, most
        self.known: dict[Policy, tuple[float, float]] = {}
        self._routings: dict[bytes, float] = {}

    @property
    def evaluations(self) -> int:
        """How many routings were measured."""
        return len(self._routings)

    def add(self, policy: Policy) -> None:
        """Measure a policy, unless it is known or there were enough."""
        if policy not in self.known and (self.evaluations < self._most or not self.known):
            outcome = replay(self.records, policy)
            self.known[policy] = (outcome.cost, self._of(outcome.expert))

    def score(self, policy: Policy) -> float:
        """The metric of any policy."""
        return self.known[policy][1] if policy in self.known else self._of(replay(self.records, policy).expert)

    def best(self, preferences: Sequence[float]) -> list[Policy]:
        """The best known policy for each preference."""
        policies = list(self.known)
        cost, score = (np.array(values) for values in zip(*self.known.values(), strict=True))
        whole = float(self.records.standalone_cost[-1]) or 1.0
        return [policies[k] for k in best_per_preference(cost / whole, 1 - score, preferences)]

    def _of(self, expert: np.ndarray) -> float:
        key = expert.tobytes()
        if key not in self._routings:
            self._routings[key] = float(self._metric(expert))
        return self._routings[key]


def _row(preference: float, policy: Policy, measured: _Measured, rows: dict[Policy, PolicyRow]) -> PolicyRow:
    cost, score = measured.known[policy]
    near = rows.get(policy) or min(rows.values(), key=lambda row: abs(row.cost - cost))
    return replace(near, preference=preference, policy=policy, cost=cost, score=score)


def _moves(policy: Policy, ranked: Sequence[np.ndarray]) -> Iterator[Policy]:
    """Policies with one exit threshold moved past a share of the samples, whose sorted confidences are given."""
    for i, threshold in enumerate(policy.exit_thresholds):
        if threshold is None:
            continue
        confidence = ranked[i]
        place = np.searchsorted(confidence, np.float32(threshold))
        for step in _STEPS:
            moved = int(np.clip(place + round(step * len(confidence)), 0, len(confidence) - 1))
            exits = list(policy.exit_thresholds)
            exits[i] = float(confidence[moved])
            yield Policy(tuple(exits), policy.skip_thresholds)


def _spread(rows: Sequence[PolicyRow]) -> list[Policy]:
    """Policies of rows in an order in which any first part is spread over all of them."""
    order = sorted(range(len(rows)), key=lambda k: int(f"{k:016b}"[::-1], 2))
    return [rows[k].policy for k in order]
