"""The figures of an evaluation as the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orxe_plugins.evaluation.results import Evaluation, Result
from orxe_plugins.policies.policy import Policy


def policy_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row for each preference, then the policies between them, then one for each expert, in full precision.

    ``kind`` is "policy", "pareto", "compact" or "expert"; scores are fractions; the exit threshold of a disabled
    expert is empty, and so is what was not computed for the policies between.
    """
    names = evaluation.names
    extras = list(dict.fromkeys(key for row in evaluation.policies for key in row.extras))
    rows = []
    for row in evaluation.policies:
        fit = {"fit_cost": row.fit_cost, "fit_score": row.fit_score, "optimism": row.optimism}
        more = {name: row.extras.get(name) for name in extras}
        head = {"kind": "policy", "preference": row.preference, "expert": None}
        rows.append({**head, **_figures(row.result), **fit, **more, **_shares(row.result, names),
                     **_thresholds(row.policy, names)})  # fmt: skip
    for other in evaluation.others:
        head = {"kind": other.kind, "preference": other.preference, "cost": other.cost, "score": other.score}
        fit = {"fit_cost": other.fit_cost, "fit_score": other.fit_score}
        rows.append({**dict.fromkeys(rows[0]), **head, **fit, **_thresholds(other.policy, names)})
    for expert in evaluation.experts:
        head = {"kind": "expert", "preference": None, "expert": expert.name}
        blank = dict.fromkeys(rows[0])
        rows.append({**blank, **head, **_figures(expert.result), **_shares(expert.result, names)})
    return rows


def _figures(result: Result) -> dict[str, float]:
    figures = {}
    for name in ("cost", "score", "score_difference", "cost_ratio"):
        estimate = getattr(result, name)
        figures.update({name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high})
    return figures


def _shares(result: Result, names: Sequence[str]) -> dict[str, float]:
    return {f"exit_share[{name}]": share for name, share in zip(names, result.exit_share, strict=True)}


def _thresholds(policy: Policy, names: Sequence[str]) -> dict[str, float | None]:
    exits = {f"exit_threshold[{name}]": t for name, t in zip(names[:-1], policy.exit_thresholds, strict=True)}
    skips = {f"skip_threshold[{name}]": t for name, t in zip(names[:-1], policy.skip_thresholds, strict=True)}
    return {**exits, **skips}
