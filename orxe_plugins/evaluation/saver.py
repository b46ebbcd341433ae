"""Savers of a base model: how well each suits it, on both splits (TinySaver, section 3.3 and Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.evaluation.estimates import estimate_policies
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Result
from orxe_plugins.evaluation.samples import IntervalSettings, Samples, samples_of
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.savers import (
    DROPS,
    SaverCurves,
    SaverRow,
    SaverTable,
    saver_curves,
    saver_table,
    select_saver,
)
from orxe_plugins.util.arguments import check_real

# So many cuts of the fitting split are tried at most when a threshold is chosen.
_CUTS = 20_000


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold chosen on the fitting split for an allowed drop, and what it does on the reporting split.

    Attributes:
        drop: allowed drop of the mean score below the base's, on the fitting split.
        threshold: the lowest exit threshold that keeps it.
        result: the pair on the reporting split; differences and ratios are to the base.
    """

    drop: float
    threshold: float
    result: Result


@dataclass(frozen=True, eq=False)
class SaverEvaluation:
    """All candidates for one base model, and the best of them in detail.

    Attributes:
        base: name of the base model.
        candidates: ranked by Delta C on the fitting split, best first.
        saver: the row of the one that is shown in detail.
        fit_curves, report_curves: scores on the samples that exit, on both splits.
        table: TinySaver's Table 1 on the reporting split, thresholds swept on that split itself.
        chosen: thresholds that were chosen on the fitting split.
        metric_name, percent, cost_unit: how figures are called and written.
        reported_on, fitted_on: the two splits.
        shared_samples: how many samples lie in both splits.
        intervals: how intervals were made.
    """

    base: str
    candidates: tuple[SaverRow, ...]
    saver: SaverRow
    fit_curves: SaverCurves
    report_curves: SaverCurves
    table: SaverTable
    chosen: tuple[ChosenThreshold, ...]
    metric_name: str
    percent: bool
    cost_unit: str
    reported_on: Samples
    fitted_on: Samples
    shared_samples: int
    intervals: IntervalSettings

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "base": self.base,
            "metric": self.metric_name,
            "cost_unit": self.cost_unit,
            "reported_on": self.reported_on.to_dict(),
            "fitted_on": self.fitted_on.to_dict(),
            "shared_samples": self.shared_samples,
            "intervals": self.intervals.to_dict(),
            "candidates": [dict(row.__dict__) for row in self.candidates],
            "saver": self.saver.saver,
            "r_match_on_reporting_split": self.report_curves.crossing,
            "swept_on_reporting_split": {
                "needed_cost": [
                    {"drop": drop, "cost": cost}
                    for drop, cost in zip(self.table.drops, self.table.needed_cost, strict=True)
                ],
                "best_score": self.table.best_score,
                "best_cost": self.table.best_cost,
            },
            "chosen_on_fitting_split": [
                {"drop": each.drop, "threshold": each.threshold, **each.result.to_dict()} for each in self.chosen
            ],
        }


def evaluate_saver(
    fit: Records,
    report: Records,
    base: str | int,
    *,
    saver: str | int | None = None,
    metric: Metric | None = None,
    drops: Sequence[float] = DROPS,
    intervals: IntervalSettings | None = None,
) -> SaverEvaluation:
    """Rank savers of a base model on the fitting split, and report the best one on the other split.

    Args:
        fit: records of the fitting split, preferably with training-time augmentation.
        report: records of the reporting split, of the same experts.
        base: name or position of the base model.
        saver: the one to report in detail; the best by Delta C by default.
        metric: how the mean score is called and written. Savers are ranked by the scores of samples, so that its
            function is not used.
        drops: allowed drops.
        intervals: how intervals are made.

    Raises:
        OrxeError: the splits have different experts or no samples, or no expert is cheaper than the base.
    """
    for name, records in (("fit", fit), ("report", report)):
        check_type(name, records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    if fit.names != report.names:
        raise OrxeError(
            f"the fitting split has the experts {', '.join(fit.names)}, but the reporting split has "
            f"{', '.join(report.names)}: record the same experts on both"
        )
    settings = IntervalSettings() if intervals is None else intervals
    metric = Metric() if metric is None else metric
    check_type("intervals", settings, IntervalSettings, "such as IntervalSettings(resamples=2000)")
    check_type("metric", metric, Metric, "such as Metric('top1')")
    check_type("drops", drops, (tuple, list), "such as (0.01, 0.005)")
    for drop in drops:
        check_real("an element of drops", drop)
    candidates = tuple(select_saver(fit, base))
    best = candidates[0] if saver is None else _candidate(candidates, fit.names[fit.index(saver)], fit, base)
    return SaverEvaluation(
        base=best.base,
        candidates=candidates,
        saver=best,
        fit_curves=saver_curves(fit, best.saver, best.base),
        report_curves=saver_curves(report, best.saver, best.base),
        table=saver_table(report, best.saver, best.base, drops),
        chosen=_chosen(fit, report, best, drops, Metric(metric.name, percent=metric.percent), settings),
        metric_name=metric.name,
        percent=metric.percent,
        cost_unit=report.cost_unit,
        reported_on=samples_of(report, "reporting split"),
        fitted_on=samples_of(fit, "fitting split"),
        shared_samples=len(set(fit.sample_ids.tolist()) & set(report.sample_ids.tolist())),
        intervals=settings,
    )


def _candidate(candidates: Sequence[SaverRow], name: str, fit: Records, base: str | int) -> SaverRow:
    found = [row for row in candidates if row.saver == name]
    if not found:
        raise OrxeError(f"{name!r} costs no less than {fit.names[fit.index(base)]!r}: it cannot be its saver")
    return found[0]


def _chosen(
    fit: Records, report: Records, row: SaverRow, drops: Sequence[float], metric: Metric, settings: IntervalSettings
) -> tuple[ChosenThreshold, ...]:
    thresholds = {drop: lowest_threshold(fit, row.saver, row.base, drop) for drop in drops}
    pair = report.experts([row.saver, row.base])
    policies = {drop: Policy((threshold,)) for drop, threshold in thresholds.items() if threshold is not None}
    results = estimate_policies([*policies.values(), Policy.never(2)], pair, metric, settings)
    return tuple(
        ChosenThreshold(drop, float(thresholds[drop] or 0.0), results[policy]) for drop, policy in policies.items()
    )


def lowest_threshold(records: Records, saver: str | int, base: str | int, drop: float) -> float | None:
    """The exit threshold with most exits whose mean score is at most ``drop`` below the base's.

    Returns:
        The threshold; None if every cut loses more.
    """
    curves = saver_curves(records, saver, base, points=_CUTS)
    gained = curves.exit_ratio * (curves.saver_score - curves.base_score)
    enough = np.flatnonzero(gained >= -drop - 1e-9)
    return float(curves.threshold[enough[-1]]) if len(enough) else None
