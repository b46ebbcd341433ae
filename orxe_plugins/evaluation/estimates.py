"""Estimates: what policies cost and score on records, with paired bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.evaluation.intervals import bootstrap, clopper_pearson
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Estimate, Result
from orxe_plugins.evaluation.samples import IntervalSettings
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.replay import Outcome, replay
from orxe_plugins.util.bootstrap import draw_positions, percentile_interval


@dataclass(frozen=True, eq=False)
class Estimates:
    """Results of K distinct policies on the same samples, and the resamples that they come from.

    Attributes:
        results: one for each policy.
        scores: the metric of each, (K,).
        draws: the metric of each on every resample, (n, K).
        level: confidence level of the intervals.
    """

    results: dict[Policy, Result]
    scores: np.ndarray
    draws: np.ndarray
    level: float

    def above_mixture(self, policy: Policy, parts: Sequence[tuple[Policy, float]]) -> Estimate:
        """The metric of a policy minus what random mixing of others scores, paired.

        Args:
            policy: one of the policies.
            parts: other ones, each with the share of the samples that it answers.
        """
        place = {each: k for k, each in enumerate(self.results)}
        weights = np.zeros(len(place))
        weights[place[policy]] = 1.0
        for other, share in parts:
            weights[place[other]] -= share
        return _estimate(float(self.scores @ weights), self.draws @ weights, self.level)


def estimate_policies(
    policies: Sequence[Policy | PolicyRow], records: Records, metric: Metric, settings: IntervalSettings
) -> dict[Policy, Result]:
    """What :func:`estimates` gives, without the resamples."""
    return estimates(policies, records, metric, settings).results


def estimates(
    policies: Sequence[Policy | PolicyRow], records: Records, metric: Metric, settings: IntervalSettings
) -> Estimates:
    """Replay policies on the samples and on bootstrap resamples of them, which are the same for all policies.

    Args:
        policies: what to replay, as policies or rows of a table; all are compared to the last one.
        records: the reporting split.
        metric: what the score of a data set is.
        settings: how intervals are made.
    """
    wanted = [as_policy(policy) for policy in policies]
    distinct = list(dict.fromkeys(wanted))
    outcomes = [replay(records, policy) for policy in distinct]
    base = distinct.index(wanted[-1])
    cost = bootstrap((o.sample_cost for o in outcomes), n=settings.resamples, seed=settings.seed, level=settings.level)
    scores, score_draws = _score_draws(outcomes, metric, settings)
    results = {}
    for i, (policy, outcome) in enumerate(zip(distinct, outcomes, strict=True)):
        results[policy] = Result(
            score=_score_estimate(outcome, float(scores[i]), score_draws[:, i], metric, settings.level),
            cost=_estimate(outcome.cost, cost.draws[:, i], settings.level),
            score_difference=_difference(
                outcome,
                outcomes[base],
                scores[i] - scores[base],
                score_draws[:, i] - score_draws[:, base],
                metric,
                settings.level,
            ),
            cost_ratio=_ratio(outcome.cost, outcomes[base].cost, cost.draws[:, i], cost.draws[:, base], settings.level),
            mean_score=outcome.score,
            exit_share=tuple(outcome.exit_share.tolist()),
        )
    return Estimates(results, scores, score_draws, settings.level)


def points(policies: Sequence[Policy], records: Records, metric: Metric) -> list[tuple[float, float]]:
    """Cost and metric of each policy on the samples, without intervals: many policies take little time."""
    outcomes = [replay(records, policy) for policy in policies]
    if metric.function is None:
        return [(outcome.cost, outcome.score) for outcome in outcomes]
    everything = np.arange(len(records))
    # The metric may be slow, and different policies often route all samples alike.
    known: dict[bytes, float] = {}
    for outcome in outcomes:
        if outcome.expert.tobytes() not in known:
            known[outcome.expert.tobytes()] = float(metric.function(outcome, everything))
    return [(outcome.cost, known[outcome.expert.tobytes()]) for outcome in outcomes]


def _score_draws(
    outcomes: Sequence[Outcome], metric: Metric, settings: IntervalSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The metric of each of K outcomes, (K,), and of each bootstrap draw, (n, K)."""
    if metric.function is None:
        drawn = bootstrap(
            (o.sample_score for o in outcomes), n=settings.resamples, seed=settings.seed, level=settings.level
        )
        return np.array([o.score for o in outcomes]), drawn.draws
    all_samples = np.arange(len(outcomes[0].expert))
    # The metric may be slow, and different policies often route all samples alike.
    routings: dict[bytes, Outcome] = {}
    place = [routings.setdefault(o.expert.tobytes(), o) for o in outcomes]
    distinct = list(routings.values())
    scores = np.array([metric.function(outcome, all_samples) for outcome in distinct])
    draws = np.array(
        [
            [metric.function(outcome, samples) for outcome in distinct]
            for samples in draw_positions(len(all_samples), settings.resamples, settings.seed)
        ]
    )
    index = [distinct.index(outcome) for outcome in place]
    return scores[index], draws[:, index]


def _estimate(value: float, draws: np.ndarray, level: float) -> Estimate:
    low, high = percentile_interval(draws, level)
    # A figure that does not vary must not get an interval made of rounding errors.
    if high - low <= 1e-12 * max(abs(value), 1e-300):
        return Estimate(value, value, value)
    return Estimate(value, low, high)


def _ratio(cost: float, base: float, draws: np.ndarray, base_draws: np.ndarray, level: float) -> Estimate:
    if base == 0:
        return Estimate(math.nan, math.nan, math.nan)
    return _estimate(cost / base, draws / base_draws, level)


def _score_estimate(outcome: Outcome, value: float, draws: np.ndarray, metric: Metric, level: float) -> Estimate:
    """The score with its interval.

    A bootstrap cannot draw a wrong answer where there is none: if all samples are right, or all
    wrong, the exact interval of Clopper and Pearson takes its place.
    """
    m = len(outcome.expert)
    if metric.function is None and _is_right_or_wrong(outcome) and value in (0.0, 1.0):
        return Estimate(value, *clopper_pearson(round(value * m), m, level))
    return _estimate(value, draws, level)


def _difference(
    outcome: Outcome, base: Outcome, value: float, draws: np.ndarray, metric: Metric, level: float
) -> Estimate:
    """The paired difference with its interval.

    Where both ways of answering score the same on every sample, the interval holds what so many samples cannot
    rule out; where both answer every sample by the same expert, it is 0.
    """
    if np.array_equal(outcome.expert, base.expert):
        return Estimate(0.0, 0.0, 0.0)
    alike = metric.function is None and np.array_equal(outcome.sample_score, base.sample_score)
    if alike and _is_right_or_wrong(outcome):
        _, share = clopper_pearson(0, len(outcome.expert), level)
        return Estimate(0.0, -share, share)
    return _estimate(float(value), draws, level)


def _is_right_or_wrong(outcome: Outcome) -> bool:
    return outcome.records.score.dtype == np.uint8
