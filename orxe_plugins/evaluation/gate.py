"""Ranking gates against the experts' own confidence: how well each ranks, and what the cascade gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.results import Estimate
from orxe_plugins.evaluation.samples import IntervalSettings, Samples, samples_of
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.fit import fit_policies
from orxe_plugins.search.replay import replay
from orxe_plugins.util.bootstrap import draw_positions, percentile_interval
from orxe_plugins.util.hull import upper_hull

ORACLE = "oracle (perfect ranking)"
#: draws of the ranking figures; each sorts all samples
_RANK_DRAWS = 300
#: costs that a curve's height is averaged over
_GRID = 200


@dataclass(frozen=True)
class RankingResult:
    """How well a confidence ranks one expert's answers, on the reporting split.

    Attributes:
        expert: its name.
        gate_tau, native_tau: Kendall's tau-b between confidence and score.
        gate_auroc, native_auroc: probability that a better answer (above the expert's median score,
            or right) gets the higher confidence than a worse one.
        tau_gain, auroc_gain: gate minus native, paired.
        gate_share: the gate's MACs over the expert's.
    """

    expert: str
    gate_tau: Estimate
    native_tau: Estimate
    tau_gain: Estimate
    gate_auroc: Estimate
    native_auroc: Estimate
    auroc_gain: Estimate
    gate_share: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean score against mean cost of fitted policies, on the reporting split.

    Attributes:
        name: what made the confidence.
        cost, score: (K,), by rising cost.
        area: mean score over all costs between the cheapest and the last expert's.
    """

    name: str
    cost: np.ndarray
    score: np.ndarray
    area: Estimate

    def at(self, cost: float) -> float:
        """Score at a mean cost; between two policies, each sample is routed by one of them at random."""
        return float(np.interp(cost, self.cost, self.score))


@dataclass(frozen=True, eq=False)
class GateEvaluation:
    """Ranking gates against the experts' own ("native") confidence.

    Attributes:
        rankings: one for each expert with a gate.
        curves: gate, native, random exit, oracle.
        span: the costs between which areas are taken: the cheapest and the last expert's.
        gain: area of the gates' curve minus that of the native confidence, paired.
        over_random: area of the gates' curve minus that of random exit, paired.
        metric_name, percent, cost_unit: how figures are called and written.
        reported_on, fitted_on, trained_on: the three splits.
    """

    rankings: tuple[RankingResult, ...]
    curves: tuple[Curve, ...]
    span: tuple[float, float]
    gain: Estimate
    over_random: Estimate
    metric_name: str
    percent: bool
    cost_unit: str
    reported_on: Samples
    fitted_on: Samples
    trained_on: Samples
    intervals: IntervalSettings

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        curves = [
            {"name": c.name, "cost": c.cost.tolist(), "score": c.score.tolist(), "area": asdict(c.area)}
            for c in self.curves
        ]
        return {
            "rankings": [asdict(ranking) for ranking in self.rankings],
            "curves": curves,
            "gain": asdict(self.gain),
            "over_random": asdict(self.over_random),
            "metric": self.metric_name,
            "cost_unit": self.cost_unit,
            "splits": {
                "trained_on": self.trained_on.count,
                "fitted_on": self.fitted_on.count,
                "reported_on": self.reported_on.count,
            },
        }


@dataclass(frozen=True)
class GateSplits:
    """Records with the experts' own confidence and with gates, on the same samples."""

    native_fit: Records
    gated_fit: Records
    native_report: Records
    gated_report: Records
    trained_on: Records


def evaluate_gates(
    splits: GateSplits,
    gated: Sequence[str],
    preferences: Sequence[float],
    *,
    metric_name: str = "score",
    percent: bool = True,
    intervals: IntervalSettings | None = None,
) -> GateEvaluation:
    """Compare gates with the experts' own confidence, on samples that neither gates nor thresholds saw.

    All figures are means of per-sample scores, so that they can be compared in pairs. The curve
    of an expert pool goes through the policies in order of their cost on the fitting split; the reporting split
    decides for no policy whether it is shown.

    Args:
        splits: the records.
        gated: names of the experts with a gate.
        preferences: of the policies on the curves.
        metric_name, percent: how the score is called and written.
        intervals: how intervals are made.
    """
    settings = intervals or IntervalSettings(resamples=1000)
    native, gates = splits.native_report, splits.gated_report
    if native.sample_ids.tolist() != gates.sample_ids.tolist():
        raise OrxeError("the records with gates and without are of different samples")
    draws = np.stack(list(draw_positions(len(native), settings.resamples, settings.seed)))  # (n, M), paired
    oracle = replace(gates, confidence=oracle_confidence(gates.score))
    tables = {
        "ranking gates": (fit_policies(splits.gated_fit, preferences), gates),
        "native confidence": (fit_policies(splits.native_fit, preferences), native),
        ORACLE: (fit_policies(oracle, preferences, scores="raw"), oracle),
    }
    paths = {name: _path(table, records) for name, (table, records) in tables.items()}
    best = paths.pop(ORACLE)
    paths |= {"random exit": _random_path(native), ORACLE: best}
    low = max(float(cost.mean(axis=1).min()) for cost, _ in paths.values())
    high = float(native.standalone_cost.max())
    areas = {name: _areas(*path, low, high, draws) for name, path in paths.items()}
    curves = tuple(Curve(name, *_means(*path), _estimate(areas[name], settings.level)) for name, path in paths.items())
    return GateEvaluation(
        rankings=tuple(_ranking(native, gates, name, draws[:_RANK_DRAWS], settings.level) for name in gated),
        curves=curves,
        span=(low, high),
        gain=_estimate(areas["ranking gates"] - areas["native confidence"], settings.level),
        over_random=_estimate(areas["ranking gates"] - areas["random exit"], settings.level),
        metric_name=metric_name,
        percent=percent,
        cost_unit=native.cost_unit,
        reported_on=samples_of(native, "reporting split"),
        fitted_on=samples_of(splits.native_fit, "fitting split"),
        trained_on=samples_of(splits.trained_on, "gates' training split"),
        intervals=settings,
    )


def oracle_confidence(score: np.ndarray) -> np.ndarray:
    """A confidence (N, M) that ranks every expert's answers perfectly (ORXE supplement, Eq. 17)."""
    return np.stack([rankdata(row, method="average") / (len(row) + 1) for row in score]).astype(np.float32)


def _path(table: PolicyTable, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Cost and score of each sample under each policy, (K, M), in order of the cost on the fitting split."""
    policies = list(dict.fromkeys(row.policy for row in sorted(table, key=lambda row: row.cost)))
    last = Policy.never(records.n_experts)
    if last not in policies:
        policies.append(last)
    outcomes = [replay(records, policy) for policy in policies]
    return np.stack([o.sample_cost for o in outcomes]), np.stack([o.sample_score for o in outcomes])


def _random_path(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """The experts whose means lie on the upper hull: a random share of the samples to one, the rest to the next.

    The hull is that of the reporting split itself, and an expert that does not answer costs nothing:
    no way of exiting at random does better.
    """
    cost, score = records.standalone_cost, records.mean_score
    hull = upper_hull(cost, score)
    spread = np.broadcast_to(cost[hull, None], (len(hull), len(records)))
    return spread, records.score[hull].astype(np.float64)


def _means(cost: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean cost and score of each policy (K,), by rising cost."""
    return _by_cost(cost.mean(axis=1), score.mean(axis=1))


def _by_cost(cost: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(cost, kind="stable")
    return cost[order], score[order]


def _areas(cost: np.ndarray, score: np.ndarray, low: float, high: float, draws: np.ndarray) -> np.ndarray:
    """Mean height of the curve between two costs: on all samples, then on each draw, (1 + n,)."""
    grid = np.linspace(low, high, _GRID)
    heights = [_height(grid, *_means(cost, score))]
    for part in np.array_split(draws, max(1, draws.size // 4_000_000)):
        # How often each sample is drawn, (n, M): one product instead of a selection for each resample.
        often = np.stack([np.bincount(draw, minlength=cost.shape[1]) for draw in part]) / cost.shape[1]
        for means in zip(often @ cost.T, often @ score.T, strict=True):
            heights.append(_height(grid, *_by_cost(*means)))
    return np.array(heights)


def _height(grid: np.ndarray, cost: np.ndarray, score: np.ndarray) -> float:
    """Mean height of a curve over an even grid of costs, by the trapezoidal rule."""
    heights = np.interp(grid, cost, score)
    return float((heights.sum() - (heights[0] + heights[-1]) / 2) / (len(grid) - 1))


def _estimate(values: np.ndarray, level: float) -> Estimate:
    """The first value, with the percentile interval of the others; a mere rounding error counts as 0."""
    values = values.round(12)
    return Estimate(float(values[0]), *percentile_interval(values[1:], level))


def _ranking(native: Records, gates: Records, name: str, draws: np.ndarray, level: float) -> RankingResult:
    i = native.index(name)
    score = native.score[i].astype(np.float64)
    every = [np.arange(len(score)), *draws]
    figures = {}
    for kind, confidence in (("gate", gates.confidence[i]), ("native", native.confidence[i])):
        figures[f"{kind}_tau"] = np.array([kendall_tau(confidence[index], score[index]) for index in every])
        figures[f"{kind}_auroc"] = np.array([auroc(confidence[index], score[index]) for index in every])
    return RankingResult(
        expert=name,
        **{key: _estimate(values, level) for key, values in figures.items()},
        tau_gain=_estimate(figures["gate_tau"] - figures["native_tau"], level),
        auroc_gain=_estimate(figures["gate_auroc"] - figures["native_auroc"], level),
        gate_share=float((gates.cost[i] - native.cost[i]) / native.cost[i]),
    )


def kendall_tau(confidence: np.ndarray, score: np.ndarray) -> float:
    """Kendall's tau-b of two arrays (M,); 0 where one of them does not vary, as then nothing is ranked."""
    if np.ptp(confidence) == 0 or np.ptp(score) == 0:
        return 0.0
    return float(kendalltau(confidence, score).statistic)


def auroc(confidence: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve for telling better answers from worse; NaN where there is only one kind.

    Args:
        confidence: (M,).
        score: (M,); of more than two different values, those above the median are the better ones.
    """
    distinct = np.unique(score)
    better = score > (distinct.mean() if len(distinct) == 2 else np.median(score))
    n_better, n_worse = int(better.sum()), int((~better).sum())
    if not n_better or not n_worse:
        return float("nan")
    ranks = rankdata(confidence)
    return float((ranks[better].sum() - n_better * (n_better + 1) / 2) / (n_better * n_worse))
