"""Policies between the fitted ones, and the experts that fit into a memory.

Preferences only reach the convex hull of cost and score. A budget is met better by policies that lie
between: interpolated ones (ORXE, supplement B), and those that move one exit threshold of a known
policy. All are replayed before they are offered, and those that another one beats are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import Policy, check_preferences
from orxe_plugins.policies.row import PolicyRow, pareto_rows
from orxe_plugins.policies.selection import check_number
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.exit_lines import ExitLines
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.fit import fit_policies
from orxe_plugins.search.pool import PREFERENCES, select_pool
from orxe_plugins.search.replay import replay
from orxe_plugins.search.scores import SearchScores
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.pareto import pareto_front, thinned

_BATCH = 16
#: experts x samples x policies that are replayed, at most
_REPLAYS = 2_000_000_000


def with_choices(
    table: PolicyTable,
    records: Records,
    *,
    max_rows: int = 100,
    max_samples: int = 8192,
    expansions: int = 160,
    seed: int = 0,
) -> PolicyTable:
    """The table with policies between its rows, for budgets, targets and limits of memory.

    ``pareto`` gets policies that lie strictly between fitted rows in cost and in score, so that neither falls
    along the preference of all that is offered. ``compact`` gets those that no policy of as few experts beats. Scores
    are those that the table was searched on.

    Args:
        table: what was fitted.
        records: the fitting split.
        max_rows: at most that many in each of the two.
        max_samples: look for policies on that many samples at most; all are replayed on all samples.
        expansions: of how many policies to move thresholds.
        seed: of the draw of these samples.

    Raises:
        OrxeError: the table is for another number of experts.
    """
    check_type("table", table, PolicyTable, "fit_policies(records, preferences) gives one")
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    table.check_n_experts(records.n_experts)
    for name, value in (("max_rows", max_rows), ("max_samples", max_samples), ("expansions", expansions)):
        check_count(name, value, 1)
    check_count("seed", seed)
    searched = SearchScores.of_table(table, records)
    records = searched.records
    explored = _explore(table, records, max_samples, expansions, seed)
    # A replay takes time in proportion to N x M: with very many samples, fewer policies are replayed.
    affordable = max(max_rows // 2, min(20 * max_rows, _REPLAYS // (records.n_experts * len(records))))
    found = searched.with_errors(_replayed(records, thinned(explored, affordable), table))
    fitted = {row.policy for row in table}
    pareto = [row for row in pareto_rows(found) if row.policy not in fitted and _between(row, table.rows)]
    known: dict[Policy, PolicyRow] = {}
    for count in range(1, table.n_experts):
        for row in pareto_rows(each for each in found if len(each.policy.reachable) <= count):
            known.setdefault(row.policy, row)
    compact = list(known.values())
    params = () if records.params is None else tuple(int(p) for p in records.params)
    return replace(table, pareto=thinned(pareto, max_rows), compact=thinned(compact, max_rows), params=params)


def choose_experts(
    records: Records,
    preferences: Iterable[float] = PREFERENCES,
    *,
    max_experts: int | None = None,
    max_params: float | None = None,
    seed: int = 0,
) -> tuple[str, ...]:
    """The experts of the best cascade that fits into a memory, cheapest first (ORXE, Table D2, keeps 2 to 5).

    For each size up to ``max_experts``, experts are chosen by :func:`~orxe_plugins.search.pool.select_pool`;
    while they have too many parameters together, the largest of them is removed from the pool. The set
    with the least objective, summed over the preferences, wins.

    Args:
        records: of the whole pool, on the fitting split.
        preferences: what the cascade is for.
        max_experts: at most so many.
        max_params: at most so many parameters together.
        seed: of the draws of samples.

    Raises:
        OrxeError: not even one expert fits, or parameters are limited but not known.
    """
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    check_number("max_params", max_params)
    check_count("seed", seed)
    if max_experts is not None and check_count("max_experts", max_experts) < 1:
        raise OrxeError(f"max_experts is {max_experts!r}: expected at least one")
    if max_params is not None and records.params is None:
        raise OrxeError("max_params: these records do not say how many parameters the experts have: use max_experts")
    wanted = check_preferences(preferences)
    sizes = range(1, min(max_experts or records.n_experts, records.n_experts) + 1)
    tried = {names for k in sizes if (names := _fitting_pool(records, k, max_params, wanted, seed))}
    if not tried:
        assert records.params is not None
        smallest = int(np.argmin(records.params))
        raise OrxeError(
            f"no expert has at most {max_params:,.0f} parameters: the smallest one, {records.names[smallest]}, "
            f"has {records.params[smallest]:,}"
        )
    if len(tried) == 1:
        return tried.pop()
    part = _some(records, 8192, seed)
    objective = Objective.of(part)

    def total(names: tuple[str, ...]) -> float:
        table = fit_policies(part.experts(names), wanted, skip_gates=False, seed=seed)
        return sum(objective(row.preference, row.cost, row.score) for row in table)

    return min(sorted(tried), key=total)


def _fitting_pool(
    records: Records, k: int, max_params: float | None, preferences: Sequence[float], seed: int
) -> tuple[str, ...]:
    """The best ``k`` experts with at most so many parameters; empty if no k experts have so few."""
    pool = records
    while pool.n_experts >= k:
        names = select_pool(pool, k, preferences, seed=seed)
        if max_params is None:
            return names
        assert records.params is not None
        params = {name: int(records.params[records.index(name)]) for name in names}
        if sum(params.values()) <= max_params:
            return names
        largest = max(names, key=lambda name: params[name])
        rest = [i for i, name in enumerate(pool.names) if name != largest and not _needs(pool, i, largest)]
        if not rest:
            return ()
        pool = pool.experts(rest)
    return ()


def _needs(records: Records, expert: int, name: str) -> bool:
    return records.needs[expert] >= 0 and records.names[records.needs[expert]] == name


def _explore(table: PolicyTable, records: Records, max_samples: int, expansions: int, seed: int) -> list[Policy]:
    """Policies near the known ones that no known one of as few experts beats, on some of the samples."""
    part = _some(records, max_samples, seed)
    lines = ExitLines(part)
    start = [*(row.policy for row in table), *interpolated(table)]
    start += [Policy.only(i, table.n_experts) for i in range(table.n_experts)]
    known: dict[Policy, tuple[float, float, int]] = {}
    for policy in dict.fromkeys(start):
        known[policy] = lines.measure(policy)
    known = _unbeaten(known)
    done: set[Policy] = set()
    while len(done) < expansions:
        waiting = [policy for policy in known if policy not in done]
        if not waiting:
            break
        for pick in thinned(waiting, _BATCH)[: expansions - len(done)]:
            done.add(pick)
            known.update(lines.moves(pick))
        known = _unbeaten(known)
    return list(known)


def interpolated(table: PolicyTable, steps: int = 9) -> Iterator[Policy]:
    """Policies whose thresholds lie between those of neighbouring rows with the same experts."""
    for a, b in zip(table.rows, table.rows[1:], strict=False):
        if a.policy.enabled != b.policy.enabled or a.policy == b.policy:
            continue
        for share in np.arange(1, steps + 1) / (steps + 1):
            exits, skips = (
                tuple(None if t is None or u is None else float((1 - share) * t + share * u) for t, u in pairs)
                for pairs in (
                    zip(a.policy.exit_thresholds, b.policy.exit_thresholds, strict=True),
                    zip(a.policy.skip_thresholds, b.policy.skip_thresholds, strict=True),
                )
            )
            yield Policy(exits, skips)  # type: ignore[arg-type]


def _unbeaten(known: dict[Policy, tuple[float, float, int]]) -> dict[Policy, tuple[float, float, int]]:
    """The policies that no other one of as few experts beats, by rising cost; values are (cost, score, experts)."""
    policies = list(known)
    front = pareto_front(*zip(*known.values(), strict=True))
    return {policies[k]: known[policies[k]] for k in front}


def _replayed(records: Records, policies: Sequence[Policy], table: PolicyTable) -> list[PolicyRow]:
    """Rows of policies, by replay on all samples, with the preference at which their cost would lie."""
    costs, preferences = [row.cost for row in table], [row.preference for row in table]
    rows = []
    for policy in policies:
        outcome = replay(records, policy)
        preference = float(np.interp(outcome.cost, costs, preferences))
        rows.append(PolicyRow(preference, policy, outcome.cost, outcome.score))
    return rows


def _between(row: PolicyRow, fitted: Sequence[PolicyRow]) -> bool:
    """Whether every fitted row that is cheaper scores less, and every one that costs more scores more."""
    return all((row.cost - one.cost) * (row.score - one.score) > 0 for one in fitted)


def _some(records: Records, count: int, seed: int) -> Records:
    if len(records) <= count:
        return records
    return records.samples(np.sort(np.random.default_rng(seed).permutation(len(records))[:count]))
