"""What is odd about experts, samples or a table: reasons to look again before a report is trusted."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from orxe_plugins.evaluation.candidates import Candidate, Chosen
from orxe_plugins.evaluation.intervals import bootstrap
from orxe_plugins.evaluation.merging import merge_adjacent
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.util.wording import plain, short_names, significant

#: fewer samples than this say little of anything
FEW = 30
#: an expert so far below a cheaper one, of scores in [0, 1], was probably not set up as it was trained
FAR_BELOW = 0.1
#: so much of it must lie outside the paired interval
_BEYOND = 0.05
#: an expert that does not look at its samples is told from one that does with this chance of an error
_NO_BETTER = 0.05
_AIMLESS = "check the order of the classes, the weights and the views (`orxe check`) before you read on"
#: so large a share of the preferences with one policy is worth a word
_MOST = 0.8
#: shares of samples on one side of a confidence that differ by less are no reason for a warning
_APART = 0.15
#: two splits of like samples are called unlike so often at most
_CHANCE = 0.001


def odd_experts(records: Records) -> tuple[str, ...]:
    """A sentence for each expert that scores far below a cheaper one, by more than chance explains.

    A forgotten mean, std, interpolation or size, or classes in another order, look like this: the expert runs, and
    answers badly. Only scores in [0, 1] are judged.

    >>> import numpy as np
    >>> score = np.ones((2, 100), dtype=np.uint8)
    >>> score[1, ::3] = 0
    >>> print(*odd_experts(Records.from_arrays(["small", "large"], [1, 9], np.ones((2, 100)), score)))
    large scores 0.660, but small, which costs less, scores 1.00: if that is a surprise, ...
    """
    score, cost = records.score, records.standalone_cost
    if len(records) < 2 or score.min() < 0 or score.max() > 1:
        return ()
    names, means = short_names(records.names), records.mean_score
    found = []
    for i in range(records.n_experts):
        cheaper = [j for j in range(records.n_experts) if cost[j] < cost[i]]
        best = max(cheaper, key=lambda j: means[j], default=i)
        if means[best] - means[i] < FAR_BELOW:
            continue
        _, _, high = bootstrap([score[i].astype(float), score[best].astype(float)], n=500).difference(0, 1)
        if high < -_BEYOND:
            found.append(
                f"{names[i]} scores {significant(means[i])}, but {names[best]}, which costs less, scores "
                f"{significant(means[best])}: if that is a surprise, check its view (size, mean, std, interpolation: "
                "`orxe check` shows them) and the order of its classes"
            )
    return tuple(found)


def aimless_experts(records: Records) -> tuple[str, ...]:
    """A sentence on experts that score no better than an answer which does not look at the sample.

    Classes in another order, a head that was never trained, or labels of other numbers look like this. Of answers
    that are right or wrong, it is judged whether an expert is right more often than the most frequent class occurs, by
    a one-sided binomial test; of other scores that cannot be negative, whether all are 0. Fewer than 30 samples are not
    judged.

    >>> import numpy as np
    >>> score, labels = np.zeros((2, 90), dtype=np.uint8), np.arange(90) % 3
    >>> score[0, ::3] = score[1] = 1
    >>> print(*aimless_experts(Records.from_arrays(["a", "b"], [1, 9], np.ones((2, 90)), score, labels=labels)))
    of 90 samples, a is right on 30; always naming their most frequent class is right on 30: that more ...
    """
    score, labels = records.score, records.labels
    if len(records) < FEW or records.details.get("relative_to") or score.min() < 0:
        return ()
    names = short_names(records.names)
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu" or not np.isin(score, (0, 1)).all():
        nothing = [name for name, each in zip(names, score, strict=True) if not each.any()]
        if not nothing:
            return ()
        return (f"the score of {', '.join(nothing)} is 0 on all {len(records)} samples: {_AIMLESS}",)
    most = int(np.unique(labels, return_counts=True)[1].max())
    aimless = {}
    for name, each in zip(names, score, strict=True):
        right = int(each.sum())
        if stats.binomtest(right, len(records), most / len(records), alternative="greater").pvalue > _NO_BETTER:
            aimless[name] = right
    if not aimless:
        return ()
    said = ", ".join(f"{name} is right on {right}" for name, right in aimless.items())
    return (
        f"of {len(records)} samples, {said}; always naming their most frequent class is right on {most}: that more "
        f"is known here is not shown. {_AIMLESS[0].upper()}{_AIMLESS[1:]}",
    )


def odd_samples(records: Records) -> tuple[str, ...]:
    """Sentences on a reporting split that is small, or that cannot tell experts apart."""
    found = []
    if len(records) < FEW:
        found.append(
            f"the reporting split holds only {len(records)} sample{'s' if len(records) > 1 else ''}: "
            "such intervals are rough, and little can be shown"
        )
    if records.n_experts > 1 and (records.score == records.score[:1]).all():
        found.append("all experts score the same on every sample reported on: these samples tell no policies apart")
    if (records.confidence == records.confidence[:, :1]).all():
        found.append("no expert's confidence varies over the samples reported on: nothing can be routed by it")
    return tuple(found)


def odd_shift(fitted_on: Records | None, records: Records) -> tuple[str, ...]:
    """A sentence where an expert's confidences on the reporting split are unlike those on the fitting split.

    Thresholds are then met by other shares of the samples than where they were fitted. By a two-sample
    Kolmogorov-Smirnov test, one of a thousand pairs of like splits is called unlike; differences of shares below 0.15
    are never. Augmented images are meant to be unlike, and are not judged.
    """
    if fitted_on is None or fitted_on.details.get("augment") != records.details.get("augment"):
        return ()
    names, unlike = short_names(records.names), []
    for i in range(records.n_experts):
        before, now = fitted_on.confidence[i], records.confidence[i]
        with warnings.catch_warnings():
            # Of a few samples, SciPy now and then takes its approximation, and says so: that is good enough here.
            warnings.simplefilter("ignore", RuntimeWarning)
            test = stats.ks_2samp(before, now)
        if test.statistic >= _APART and test.pvalue * records.n_experts < _CHANCE:
            unlike.append((float(test.statistic), f"{names[i]} {now.mean():.2f}, {before.mean():.2f}"))
    if not unlike:
        return ()
    return (
        "the samples reported on are unlike those that thresholds were fitted on (mean confidence here and there: "
        f"{max(unlike)[1]}): costs and scores that were expected, and promises, say nothing of them. Fit on samples "
        "like these",
    )


def odd_preferences(table: PolicyTable) -> tuple[str, ...]:
    """A sentence where most preferences give one policy."""
    rows = table.rows
    most: tuple[PolicyRow, ...] = max(merge_adjacent(rows), key=len)
    if len(rows) < 3 or len(most) < _MOST * len(rows):
        return ()
    which = f"preferences {most[0].preference:g} to {most[-1].preference:g}"
    others = len({row.policy for row in table.pareto})
    way_out = f"a budget, a target or max_drop reaches {others} more" if others else "only other experts change that"
    what = "all preferences give" if len(most) == len(rows) else f"{which} all give"
    return (f"{what} one policy, so that they change nothing: {way_out}",)


def odd_choice(chosen: Chosen, last_cost: float, names: tuple[str, ...], cost_unit: str) -> tuple[str, ...]:
    """A sentence where what was asked for is beaten on the fitting split, or costs more than the last expert alone."""
    if not chosen.asked:
        return ()
    found = []
    asked, better = chosen.candidate, chosen.beaten_by
    if better is not None:
        found.append(
            f"on the fitting split {_named(better, names)} scores {plain(better.score)} at {significant(better.cost)} "
            f"{cost_unit}, better than what was asked for ({plain(asked.score)} at {significant(asked.cost)})"
        )
    if asked.cost > last_cost:
        found.append(
            f"what was asked for costs {significant(asked.cost)} {cost_unit} on the fitting split, more than "
            f"{names[-1]} alone ({significant(last_cost)})"
        )
    return tuple(found)


def _named(candidate: Candidate, names: tuple[str, ...]) -> str:
    reachable = candidate.policy.reachable
    if len(reachable) == 1:
        return f"{names[reachable[0]]} alone"
    return f"the {candidate.kind} row of preference {candidate.preference:.3g}"
