"""Fit: the thresholds of every expert for every preference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orxe_plugins.errors import check_type
from orxe_plugins.policies.policy import check_preferences
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.bounds import bounds_of
from orxe_plugins.search.engine.candidates import Candidates
from orxe_plugins.search.engine.exhaustive import try_all
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.multiresolution import search_levels
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import RankedRecords, cpu_count
from orxe_plugins.search.engine.settings import Regulariser, SearchSettings
from orxe_plugins.search.engine.two_experts import fit_two_experts
from orxe_plugins.search.scores import Scores, SearchScores
from orxe_plugins.util.arguments import check_count


def fit_policies(
    records: Records,
    preferences: Iterable[float],
    skip_gates: bool = True,
    *,
    scores: Scores = "auto",
    seed: int = 0,
    threads: int | None = None,
    **regulariser: float,
) -> PolicyTable:
    """A policy for each preference: the least objective that the search finds on ``records``.

    Along rising preference, cost and score never fall (with ``alpha`` or ``beta``: the score minus
    its penalty). Each row has the standard errors of its figures. ``details["search"]`` holds the objective of each
    row, a bound that no policy can be below, and the gap between the two; ``details["scores"]`` says which scores it
    was searched on.

    >>> from orxe_plugins import Records, fit_policies
    >>> records = Records.from_arrays(
    ...     ["small", "large"],
    ...     cost=[1, 10],
    ...     confidence=[[0.9, 0.4, 0.6, 0.3], [0.9, 0.9, 0.8, 0.6]],
    ...     score=[[1, 0, 1, 0], [1, 1, 0, 1]],
    ... )
    >>> for row in fit_policies(records, [0.2, 0.8], scores="raw"):
    ...     print(row)
    PolicyRow(0.2, Policy((0.0,)), cost=1, score=0.5)
    PolicyRow(0.8, Policy((0.5,)), cost=6, score=1)

    Args:
        records: of the fitting split, N experts in routing order.
        preferences: each between 0 and 1.
        skip_gates: search skip thresholds too, and not only exit thresholds.
        scores: what the search runs on, and what the rows' scores are means of: "raw" for the recorded scores,
            "denoised" for the expected ones (:func:`~orxe_plugins.search.denoise.denoised`), which hold better
            on new samples; "auto" for denoised ones up to 32,768 samples.
        seed: of everything random.
        threads: all cores by default; the result does not depend on it.
        **regulariser: ``min_exits``, ``alpha`` and ``beta``, which keep the search from trusting few samples: see
            :class:`~orxe_plugins.search.engine.settings.Regulariser`. All are off by default.

    Raises:
        OrxeError: a preference is out of range, a regulariser is unknown or negative, ``scores`` is unknown, or there
            is no sample.
    """
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    check_type("skip_gates", skip_gates, (bool, np.bool_), "True searches skip thresholds too")
    wanted = check_preferences(preferences)
    cores = cpu_count() if threads is None else check_count("threads", threads, 1)
    settings = SearchSettings(skip_gates, Regulariser.of(regulariser), check_count("seed", seed), cores)
    objective = Objective.of(records)
    searched = SearchScores.of(records, scores, seed)
    rows, bounds = (_two if records.n_experts == 2 else _many)(searched.records, wanted, objective, settings)
    return PolicyTable(
        searched.with_errors(rows),
        cost_unit=records.cost_unit,
        reference_cost=float(records.standalone_cost[-1]),
        reference_score=float(searched.records.mean_score[-1]),
        n_samples=len(records),
        details={"search": _details(rows, bounds, objective, settings), "scores": searched.details},
    )


#: the row of each preference, and the bound on its objective
_Fitted = tuple[list[PolicyRow], np.ndarray]


def _two(records: Records, preferences: Sequence[float], objective: Objective, settings: SearchSettings) -> _Fitted:
    found = fit_two_experts(records, preferences, objective, settings.regulariser)
    rows = [
        PolicyRow(preference, policy, float(cost), float(score))
        for preference, policy, cost, score in zip(preferences, found.policies, found.cost, found.score, strict=True)
    ]
    exact = found
    if settings.regulariser != Regulariser():
        exact = fit_two_experts(records, preferences, objective)
    return rows, np.array([objective(*row) for row in zip(preferences, exact.cost, exact.score, strict=True)])


def _many(records: Records, preferences: Sequence[float], objective: Objective, settings: SearchSettings) -> _Fitted:
    grid = Grid.of(records.confidence, settings.threads)
    ranked = RankedRecords.of(records, grid, objective)
    found = search_policies(ranked, preferences, settings).pick(preferences)
    rows = [
        PolicyRow(
            preference,
            grid.policy(one.cuts.exits, one.cuts.skips),
            one.cost * objective.reference_cost,
            objective.score(one.loss),
        )
        for preference, one in zip(preferences, found, strict=True)
    ]
    return rows, bounds_of(ranked, preferences, settings.threads)


def search_policies(ranked: RankedRecords, preferences: Sequence[float], settings: SearchSettings) -> Candidates:
    """The best policies that are found for P preferences, by trying all where they are few, else by the search."""
    best = try_all(ranked, preferences, settings)
    if not best:
        return search_levels(ranked, preferences, settings)
    candidates = Candidates(ranked, preferences, settings, ranked.shape[1])
    candidates.offer(best)
    return candidates


def _details(
    rows: Sequence[PolicyRow], bounds: np.ndarray, objective: Objective, settings: SearchSettings
) -> dict[str, Any]:
    reached = np.array([objective(row.preference, row.cost, row.score) for row in rows])
    return {
        "skip_gates": settings.skip_gates,
        "seed": settings.seed,
        **settings.regulariser.to_dict(),
        "objective": reached.tolist(),
        "lower_bound": bounds.tolist(),
        "gap": np.maximum(reached - bounds, 0).tolist(),
    }
