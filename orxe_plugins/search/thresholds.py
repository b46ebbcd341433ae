"""Fit: the thresholds of both gates for every preference."""

from __future__ import annotations

from collections.abc import Iterable

from orxe_plugins.policy import PolicyRow, PolicyTable, check_preferences
from orxe_plugins.records import Records
from orxe_plugins.search.candidates import Settings
from orxe_plugins.search.grid import Grid
from orxe_plugins.search.ladder import climb
from orxe_plugins.search.objective import Objective
from orxe_plugins.search.problem import Samples, cpu_count
from orxe_plugins.search.replay import replay


def fit_policies(
    records: Records,
    preferences: Iterable[float],
    skip_gates: bool = True,
    *,
    seed: int = 0,
    threads: int | None = None,
) -> PolicyTable:
    """A policy for each preference: the least objective that the search finds on ``records``."""
    wanted = check_preferences(preferences)
    threads = threads or cpu_count()
    objective = Objective.of(records)
    grid = Grid.of(records.confidence, threads)
    samples = Samples.of(records, grid, objective)
    candidates = climb(samples, wanted, Settings(skip_gates=skip_gates, seed=seed, threads=threads))
    found = candidates.distinct()
    best = candidates.objectives(found).argmin(axis=1)
    rows = []
    for preference, k in zip(wanted, best, strict=True):
        policy = grid.policy(records, found[k].cuts.exits, found[k].cuts.skips)
        outcome = replay(records, policy)
        rows.append(PolicyRow(preference, policy, outcome.cost, outcome.score))
    return PolicyTable(
        tuple(rows),
        cost_unit=records.cost_unit,
        reference_cost=float(records.standalone_cost[-1]),
        reference_score=float(records.mean_score[-1]),
        n_samples=len(records),
        details={"search": {"skip_gates": skip_gates, "seed": seed}},
    )
