"""Prediction-powered estimates: a few labelled samples beside many unlabelled ones.

What a regression expects is known on every sample, labelled or not; the labelled ones say how far it is off. The mean
over all, corrected by that, is free of bias whatever the regression is worth, and varies less the better it is
(Angelopoulos et al., Science 2023; the weight that makes the variance least: PPI++, 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import stats

from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.results import Estimate, Result
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.replay import replay


def prediction_powered(
    score: np.ndarray, expected: np.ndarray, expected_unlabelled: np.ndarray, level: float = 0.95
) -> Estimate:
    """The mean of a score, with an interval.

    Args:
        score: of n labelled samples, (n,), n at least 2.
        expected: what is expected of them without their labels, (n,); by what was fitted on other samples.
        expected_unlabelled: the same of m other samples of the same kind, (m,).
        level: confidence level of the interval, by Student's t.

    Raises:
        OrxeError: there are fewer than two labelled samples, or shapes differ.

    >>> estimate = prediction_powered(np.array([1.0, 0, 1, 1]), np.array([0.9, 0.2, 0.8, 0.9]), np.full(100, 0.6))
    >>> estimate.low < estimate.value < 0.75  # the unlabelled samples are harder than the labelled ones
    True
    """
    n, m = len(score), len(expected_unlabelled)
    if n < 2 or expected.shape != score.shape:
        raise OrxeError(
            f"scores of shape {score.shape} and expected ones of {expected.shape}: expected two labelled samples or "
            "more, and one of each for all of them"
        )
    weight = _weight(score, expected, expected_unlabelled)
    rest = score - weight * expected
    value = float(rest.mean())
    variance = rest.var(ddof=1) / n
    if m:
        value += weight * float(expected_unlabelled.mean())
        variance += weight**2 * expected_unlabelled.var() / m
    reach = float(stats.t.ppf((1 + level) / 2, n - 1) * variance**0.5)
    return Estimate(value, value - reach, value + reach)


def with_unlabelled(
    results: Mapping[Policy, Result], records: Records, unlabelled: Records, model: ExpectedScores, level: float
) -> dict[Policy, Result]:
    """Results whose scores and differences are prediction-powered.

    What does not vary on the labelled samples stays; of scores in [0, 1], with the exact interval that it leaves.

    Args:
        results: of policies on ``records``; the differences are those to the last expert.
        records: the labelled samples.
        unlabelled: other samples of the same experts; their scores are not looked at.
        model: expects scores; fitted on samples that are in neither.
        level: confidence level of the intervals.

    Raises:
        OrxeError: the unlabelled samples are of other experts, or there are fewer than two labelled ones.
    """
    if unlabelled.names != records.names:
        raise OrxeError(
            f"the unlabelled samples are of the experts {', '.join(unlabelled.names)}, the labelled ones of "
            f"{', '.join(records.names)}: record both with the same ones"
        )
    known, other = (replace(some, score=model(some.confidence)) for some in (records, unlabelled))
    found = {}
    for policy, result in results.items():
        score, expected, expected_other = (replay(some, policy).sample_score for some in (records, known, other))
        mean, difference = result.score, result.score_difference
        if np.ptp(score):
            mean = prediction_powered(score, expected, expected_other, level)
        elif _are_shares(records.score):
            mean = unvaried(mean.value, len(score), 0.0, level)
        change = score - records.score[-1].astype(score.dtype)
        change_other = expected_other - other.score[-1]
        if np.ptp(change):
            difference = prediction_powered(change, expected - known.score[-1], change_other, level)
        elif change_other.any() and _are_shares(records.score):  # none changes anything where the last one answers all
            difference = unvaried(difference.value, len(score), -1.0, level)
        found[policy] = replace(result, score=mean, score_difference=difference)
    return found


def unvaried(value: float, n: int, least: float, level: float = 0.95) -> Estimate:
    """The mean of something of which n samples show the same value, with an interval.

    That n samples hold none of the others says how many others there can be: the exact interval of Clopper and Pearson.

    Args:
        value: what all of them show.
        n: number of samples, at least 1.
        least: the least that there can be; the greatest is 1.
        level: confidence level of the interval.

    >>> round(unvaried(1.0, 20, least=0.0).low, 3)  # all of 20 are right
    0.832
    """
    share = 1 - ((1 - level) / 2) ** (1 / n)
    low, high = value + share * (least - value), value + share * (1.0 - value)
    return Estimate(value, float(low), float(high))


def _are_shares(score: np.ndarray) -> bool:
    """Whether scores lie between 0 and 1."""
    return bool(score.min() >= 0 and score.max() <= 1)


def powered_sentence(records: Records, unlabelled: Records) -> str:
    """What a report says of its scores where they are prediction-powered."""
    return (
        f"Scores rest on {len(records):,} labelled samples and {len(unlabelled):,} without labels, on which a "
        "regression says what to expect (prediction-powered estimates)."
    )


def _weight(score: np.ndarray, expected: np.ndarray, expected_unlabelled: np.ndarray) -> float:
    """How far to go by what is expected: the weight with the least variance, kept within 0 and 1."""
    n, m = len(score), len(expected_unlabelled)
    spread = np.concatenate([expected, expected_unlabelled]).var(ddof=1)
    if not m or not spread:
        return 0.0
    together = float(np.cov(score, expected)[0, 1])
    return float(np.clip(together / (spread * (1 + n / m)), 0.0, 1.0))
