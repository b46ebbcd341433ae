"""The data of the page's chooser: every policy that can be chosen, with what a reader wants to know of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orxe_plugins.evaluation.baselines import oracle
from orxe_plugins.evaluation.estimates import estimate_policies
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Estimate, Evaluation, OtherPolicy, PolicyResult, Result
from orxe_plugins.policies.policy import Policy
from orxe_plugins.report.content.tables import thresholds_text
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.figures.frontier import cost_axis, zoom_floor
from orxe_plugins.report.formats import Formats, metric_axis, plain, short_names
from orxe_plugins.search.replay import replay
from orxe_plugins.util.hull import upper_hull
from orxe_plugins.util.pareto import pareto_front

#: more policies than this between the fitted ones get no intervals of their own: each takes a bootstrap
_MOST_ESTIMATED = 400


@dataclass(frozen=True)
class _Found:
    """What is known of a policy between the fitted ones."""

    result: Result | None
    share: Sequence[float] | None


def chooser_data(evaluation: Evaluation, evidence: Evidence | None = None) -> dict[str, Any]:
    """What the page's script draws and looks up, as plain JSON values.

    Rows are in the order in which a policy table looks for a preference: the fitted ones, then those between them.
    Scores in ``experts``, ``rows`` and ``baselines`` are as they are shown: times 100 where the metric is a percentage.

    Args:
        evaluation: what to show.
        evidence: with it, rows between the fitted ones have intervals and exit shares, and the oracle is drawn.
    """
    formats = Formats.of(evaluation)
    rows = _rows(evaluation, formats, evidence)
    floor = zoom_floor(evaluation)
    chosen = evaluation.chosen
    same = [place for place, row in enumerate(_offered(evaluation)) if row.policy == chosen.policy]
    return {
        "unit": evaluation.cost_unit,
        "metric": evaluation.metric_name,
        "percent": evaluation.percent,
        "level": evaluation.intervals.level,
        "cost_axis": cost_axis(evaluation.cost_unit),
        "metric_axis": metric_axis(evaluation.metric_name, evaluation.percent),
        "floor": None if floor is None else formats.scale * floor,
        "safety": evidence is not None and evidence.table is not None,
        "classifies": _classifies(evidence),
        "experts": [
            {"name": name, "cost": expert.result.cost.value, "score": _scaled(expert.result.score, formats)}
            for name, expert in zip(short_names(evaluation.names), evaluation.experts, strict=True)
        ],
        "rows": rows,
        "unbeaten": _unbeaten(rows),
        "baselines": _baselines(evaluation, formats, evidence),
        "chosen": {
            "row": same[0] if same else None,
            "cost": chosen.result.cost.value,
            "score": _number(formats.scale * chosen.result.score.value),
        },
    }


def _classifies(evidence: Evidence | None) -> bool:
    """Whether timm can make a model of the cascade, as far as one can tell."""
    if evidence is None:
        return True
    records = evidence.records
    if records.predictions:
        return "classes" in records.predictions
    return records.labels is None or records.labels.dtype.kind in "iu"


def _offered(evaluation: Evaluation) -> list[PolicyResult | OtherPolicy]:
    """The rows that ``set_preference(p)`` picks from; those of few experts are picked by a limit alone."""
    return [*evaluation.policies, *(other for other in evaluation.others if other.kind == "pareto")]


def _rows(evaluation: Evaluation, formats: Formats, evidence: Evidence | None) -> list[dict[str, Any]]:
    between = _between(evaluation, evidence)
    errors = _cost_errors(evidence)
    numbers: dict[Policy, int] = {}
    rows = []
    for row in _offered(evaluation):
        if isinstance(row, PolicyResult):
            known = _known(row.result, formats)
            extras = {name: plain(value) for name, value in row.extras.items()}
        else:
            found = between.get(row.policy, _Found(None, None))
            known = _known_between(row, found, formats, evaluation.reference.result.cost.value)
            extras = {}
        rows.append(
            {
                "preference": row.preference,
                "fitted": isinstance(row, PolicyResult),
                "policy": numbers.setdefault(row.policy, len(numbers)),
                "fit_cost": _number(row.fit_cost),
                "fit_score": _number(row.fit_score),
                "cost_error": _number(errors.get((row.preference, row.policy), 0.0)),
                **known,
                "text": {
                    **known["text"],
                    "fit_cost": formats.cost(row.fit_cost),
                    "shares": None if known["share"] is None else [formats.share(share) for share in known["share"]],
                },
                "thresholds": thresholds_text(row.policy),
                "extras": extras,
            }
        )
    return rows


def _known(result: Result, formats: Formats) -> dict[str, Any]:
    """Figures with intervals, as numbers and as they are written."""
    return {
        "cost": _ends(result.cost, 1.0),
        "score": _scaled(result.score, formats),
        "share": list(result.exit_share),
        "text": {
            "cost": formats.cost(result.cost.value),
            "cost_interval": formats.cost_ends(result.cost),
            "change": formats.change(result.cost_ratio.value),
            "score": formats.score(result.score.value),
            "score_interval": formats.score_ends(result.score),
            "difference": formats.difference_interval(result.score_difference),
        },
    }


def _known_between(row: OtherPolicy, found: _Found, formats: Formats, last_cost: float) -> dict[str, Any]:
    if found.result is not None:
        return _known(found.result, formats)
    ratio = row.cost / last_cost if last_cost else math.nan
    return {
        "cost": [row.cost, None, None],
        "score": [_number(formats.scale * row.score), None, None],
        "share": None if found.share is None else list(found.share),
        "text": {
            "cost": formats.cost(row.cost),
            "cost_interval": "",
            "change": formats.change(ratio),
            "score": formats.score(row.score),
            "score_interval": "",
            "difference": "",
        },
    }


def _between(evaluation: Evaluation, evidence: Evidence | None) -> Mapping[Policy, _Found]:
    """Intervals, or at least exit shares, of the policies between the fitted ones."""
    policies = [other.policy for other in evaluation.others if other.kind == "pareto"]
    chosen = {evaluation.chosen.policy: _Found(evaluation.chosen.result, None)}
    if evidence is None or not policies:
        return chosen
    records = evidence.records
    if evidence.metric_is_mean and len(policies) <= _MOST_ESTIMATED:
        last = Policy.only(records.n_experts - 1, records.n_experts)
        results = estimate_policies([*policies, last], records, evidence.metric or Metric(), evaluation.intervals)
        return {policy: _Found(results[policy], None) for policy in policies}
    return {policy: _Found(None, replay(records, policy).exit_share.tolist()) for policy in policies} | chosen


def _cost_errors(evidence: Evidence | None) -> dict[tuple[float, Policy], float]:
    """Standard errors of the fitted costs, which a budget is kept by."""
    if evidence is None or evidence.table is None:
        return {}
    return {(row.preference, row.policy): row.cost_error for row in evidence.table.offered}


def _unbeaten(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The rows that none beats where they were fitted, by rising cost on the reporting split."""
    fit = np.array([(row["fit_cost"], row["fit_score"]) for row in rows], dtype=np.float64)  # None becomes NaN
    kept = pareto_front(fit[:, 0], fit[:, 1]) if np.isfinite(fit).all() else np.arange(len(rows))
    return sorted((int(place) for place in kept), key=lambda place: rows[place]["cost"][0])


def _baselines(evaluation: Evaluation, formats: Formats, evidence: Evidence | None) -> list[dict[str, Any]]:
    """Random mixing of the experts, and what a router that knows every score could reach."""
    figures = np.array([(e.result.cost.value, e.result.score.value) for e in evaluation.experts])
    curves = []
    if np.isfinite(figures).all() and len(figures) > 1:
        kept = upper_hull(figures[:, 0], figures[:, 1])
        curves.append(("mixing", "random mixing of experts", figures[kept]))
    # The oracle takes the best score of each sample, which means something where the metric is their mean.
    if evidence is not None and evidence.metric_is_mean and len(figures) > 1:
        best = oracle(evidence.records)
        curves.append(("oracle", best.name, np.column_stack([best.cost, best.score])))
    return [
        {"kind": kind, "name": name, "points": [[float(x), formats.scale * float(y)] for x, y in curve]}
        for kind, name, curve in curves
    ]


def _scaled(estimate: Estimate, formats: Formats) -> list[float | None]:
    return _ends(estimate, formats.scale)


def _ends(estimate: Estimate, scale: float) -> list[float | None]:
    return [_number(scale * value) for value in (estimate.value, estimate.low, estimate.high)]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
