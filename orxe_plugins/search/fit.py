"""Fit: the thresholds of both gates for every preference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.policy import check_preferences
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.bounds import bounds_of, lower_bounds
from orxe_plugins.search.engine.candidates import Candidates, Settings
from orxe_plugins.search.engine.exhaustive import try_all
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.multiresolution import climb
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import Samples, cpu_count
from orxe_plugins.search.engine.two_experts import fit_two


def fit_policies(
    records: Records,
    preferences: Iterable[float],
    skip_gates: bool = True,
    *,
    seed: int = 0,
    threads: int | None = None,
    min_exits: int = 0,
    alpha: float = 0.0,
    beta: float = 0.0,
) -> PolicyTable:
    """A policy for each preference: the least objective that the search finds on ``records``.

    Along rising preference, cost and score never fall (with ``alpha`` or ``beta``: the score less
    its penalty). ``details["search"]`` holds the objective of each row, a bound that no policy can be
    below, and the gap between the two.

    Args:
        records: of the fitting split, N experts in routing order.
        preferences: each between 0 and 1.
        skip_gates: search gate 1 too.
        seed: of everything random.
        threads: all cores by default; the result does not depend on it.
        min_exits: an enabled expert before the last must answer at least this many samples; 0 is off.
        alpha: an enabled expert before the last must win this many right answers, or cost worth as
            many, to stay: objective + preference * alpha / M for each. 0 is off. The supplement (B)
            speaks of regularisation coefficients alpha and beta without a formula; this is our reading.
        beta: the same for each gate 1 in use. 0 is off.

    Raises:
        OrxeError: a preference is out of range, a regulariser is negative, or there is no sample.
    """
    wanted = check_preferences(preferences)
    for name, value in (("min_exits", min_exits), ("alpha", alpha), ("beta", beta)):
        if not (np.isfinite(value) and value >= 0):
            raise OrxeError(f"{name} is {value!r}: expected a number of at least 0; 0 switches it off")
    settings = Settings(skip_gates, min_exits, alpha, beta, seed, threads or cpu_count())
    objective = Objective.of(records)
    rows, bounds = (_two if records.n_experts == 2 else _many)(records, wanted, objective, settings)
    return PolicyTable(
        tuple(rows),
        cost_unit=records.cost_unit,
        reference_cost=float(records.standalone_cost[-1]),
        reference_score=float(records.mean_score[-1]),
        n_samples=len(records),
        details={"search": _details(rows, bounds, objective, settings)},
    )


#: the row of each preference, and the bound on its objective
_Fitted = tuple[list[PolicyRow], np.ndarray]


def _two(records: Records, preferences: Sequence[float], objective: Objective, settings: Settings) -> _Fitted:
    found = fit_two(records, preferences, objective, settings.min_exits, settings.alpha)
    rows = [
        PolicyRow(preference, policy, float(cost), float(score))
        for preference, policy, cost, score in zip(preferences, found.policies, found.cost, found.score, strict=True)
    ]
    return rows, lower_bounds(records, preferences)


def _many(records: Records, preferences: Sequence[float], objective: Objective, settings: Settings) -> _Fitted:
    grid = Grid.of(records.confidence, settings.threads)
    samples = Samples.of(records, grid, objective)
    found = search_policies(samples, preferences, settings).pick(preferences)
    rows = [
        PolicyRow(
            preference,
            grid.policy(one.cuts.exits, one.cuts.skips),
            one.cost * objective.reference_cost,
            objective.score(one.loss),
        )
        for preference, one in zip(preferences, found, strict=True)
    ]
    return rows, bounds_of(samples, preferences, settings.threads)


def search_policies(samples: Samples, preferences: Sequence[float], settings: Settings) -> Candidates:
    """The best policies that are found for P preferences: all are tried, or the ladder is climbed."""
    best = try_all(samples, preferences, settings)
    if not best:
        return climb(samples, preferences, settings)
    candidates = Candidates(samples, preferences, settings, samples.shape[1])
    candidates.offer(best)
    return candidates


def _details(rows: Sequence[PolicyRow], bounds: np.ndarray, objective: Objective, settings: Settings) -> dict[str, Any]:
    reached = np.array([objective(row.preference, row.cost, row.score) for row in rows])
    return {
        "skip_gates": settings.skip_gates,
        "seed": settings.seed,
        "min_exits": settings.min_exits,
        "alpha": settings.alpha,
        "beta": settings.beta,
        "objective": reached.tolist(),
        "lower_bound": bounds.tolist(),
        "gap": np.maximum(reached - bounds, 0).tolist(),
    }
