"""Part of bench_quality.py: how often promises are broken, and how many labels one takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from quality_draws import draws

from orxe_plugins import PolicyTable, Records, fit_policies, replay
from orxe_plugins.search import Controls, LabelRequests, with_promises
from orxe_plugins.search.betting_test import p_value
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.promise import fixed_sequence

MAX_DROP, CONFIDENCE = 0.01, 0.95
FITTED_ON, CHOOSING, UNLABELLED, POOL = 1000, 1000, 4000, 4000
SIMULATIONS = 1000
#: fewer samples than these cannot promise one point
LEAST = 3000
PREFERENCES = np.linspace(0.5, 1, 26).round(6).tolist()


def promises(records: Records) -> dict[str, Any]:
    """Simulated choosing splits, drawn with replacement from what no policy was fitted on."""
    if len(records) < LEAST:
        return {"left_out": f"{len(records)} samples are too few to promise one point"}
    fit, rest = next(iter(draws(len(records), FITTED_ON, 1)))
    learnt, others = records.samples(fit), records.samples(rest)
    table = fit_policies(learnt, PREFERENCES)
    true = {row.policy: float(others.mean_score[-1]) - replay(others, row).score for row in fixed_sequence(table)}
    model, rng = ExpectedScores.fit(learnt), np.random.default_rng(0)
    ways: dict[str, dict[str, Any]] = {}
    for _ in range(SIMULATIONS):
        choosing, more, pool = (_drawn(others, rng, m) for m in (CHOOSING, UNLABELLED, POOL))
        controls = Controls(more, learnt, model)
        wanted = [(MAX_DROP, CONFIDENCE)]
        asked = _asked(table, pool, CHOOSING)
        found = {
            "a choosing split": with_promises(table, choosing, wanted).promises[0],
            "with control variates": with_promises(table, choosing, wanted, controls=controls).promises[0],
            "labels asked one by one": asked.promise,
        }
        for way, promise in found.items():
            seen = ways.setdefault(way, {"made": 0, "broken": 0, "cost": 0.0, "labels": 0})
            seen["labels"] += asked.labels if way.startswith("labels") else CHOOSING
            if promise.row is not None:
                seen["made"] += 1
                seen["broken"] += any(true[row.policy] > MAX_DROP for row in promise.rows)
                seen["cost"] += promise.row.cost / table.reference_cost
    for seen in ways.values():
        seen["labels"] /= SIMULATIONS
        seen["cost"] = seen["cost"] / seen["made"] if seen["made"] else None
    return {"simulations": SIMULATIONS, "ways": ways, "needed": _needed(table, learnt, others, model)}


def _needed(table: PolicyTable, learnt: Records, others: Records, model: ExpectedScores) -> dict[str, Any]:
    """Labels until one policy, chosen for half a point, may be promised to lose at most one; medians over 40 draws."""
    row = table.choose(max_drop=MAX_DROP / 2)
    alone = replace(table, rows=(row,), pareto=(), compact=())
    grid = np.unique((300 * 1.06 ** np.arange(45)).astype(int))
    rng = np.random.default_rng(1)
    ways = ("a choosing split", "with control variates", "labels asked one by one")
    counts: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(40):
        choosing, more = _drawn(others, rng, int(grid[-1])), _drawn(others, rng, 4 * int(grid[-1]))
        for way in ("a choosing split", "with control variates"):
            for n in grid.tolist():
                part = choosing.samples(slice(0, n))
                drop, greatest = part.score[-1] - replay(part, row).sample_score, 1.0
                if way != "a choosing split":
                    controls = Controls(more.samples(slice(0, 4 * n)), learnt, model)
                    drop, greatest = controls.corrected(row.policy, part, drop)
                if p_value(drop, MAX_DROP, 1 - CONFIDENCE, greatest) <= 1 - CONFIDENCE:
                    counts[way].append(n)
                    break
            else:
                counts[way].append(np.inf)
        asked = _asked(alone, choosing, None)
        counts["labels asked one by one"].append(asked.labels if asked.promise.row is not None else np.inf)
    outcome = replay(others, row)
    return {
        "drop": float(others.mean_score[-1]) - outcome.score,
        "cost": outcome.cost / table.reference_cost,
        "labels": {way: _median(values) for way, values in counts.items()},
    }


def _median(values: list[float]) -> float | None:
    middle = float(np.median(values))
    return middle if np.isfinite(middle) else None


def _drawn(records: Records, rng: np.random.Generator, m: int) -> Records:
    return records.samples(rng.integers(0, len(records), m))


def _asked(table: PolicyTable, pool: Records, most: int | None) -> LabelRequests:
    asked = LabelRequests(table, pool, MAX_DROP, CONFIDENCE, max_labels=most)
    assert pool.labels is not None
    for sample in asked:
        asked.answer(int(pool.labels[sample]))
    return asked
