"""What a report is made of: estimates with their intervals, for policies and for single experts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orxe_plugins.evaluation.merging import merge_adjacent
from orxe_plugins.evaluation.samples import IntervalSettings, Samples
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import Promise

if TYPE_CHECKING:
    from orxe_plugins.evaluation.times import TimeResult


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval.

    Attributes:
        value: the figure on the samples at hand.
        low, high: ends of the interval; both equal ``value`` for what does not vary.
    """

    value: float
    low: float
    high: float

    @property
    def side(self) -> int:
        """On which side of 0 the whole interval lies: 1 above, -1 below, 0 where it holds 0."""
        return int(self.low > 0) - int(self.high < 0)

    def to_dict(self) -> dict[str, float | None]:
        """As plain JSON values; what is not a number becomes None."""
        return {"value": _json_number(self.value), "low": _json_number(self.low), "high": _json_number(self.high)}


@dataclass(frozen=True)
class Result:
    """How one way of answering all samples of the reporting split did.

    Attributes:
        score: the metric, as a fraction (top1 0.911, not 91.1).
        cost: mean cost per sample, in the evaluation's unit.
        score_difference: metric minus the last expert's on the same samples; below 0 is a drop.
        cost_ratio: cost over the last expert's on the same samples; 0.36 saves 64 %.
        mean_score: mean of the per-sample scores that the search works on. For classification it is the metric
            itself, but not for detection.
        exit_share: share of the samples that each expert answered, N numbers.
    """

    score: Estimate
    cost: Estimate
    score_difference: Estimate
    cost_ratio: Estimate
    mean_score: float
    exit_share: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "score": self.score.to_dict(),
            "cost": self.cost.to_dict(),
            "score_difference": self.score_difference.to_dict(),
            "cost_ratio": self.cost_ratio.to_dict(),
            "mean_score": _json_number(self.mean_score),
            "exit_share": list(self.exit_share),
        }


@dataclass(frozen=True)
class PolicyResult:
    """One preference of the table on the reporting split.

    Attributes:
        preference: lambda in [0, 1]; NaN for an expert alone that no preference gives.
        policy: its thresholds.
        result: how it did.
        fit_cost, fit_score: what replay on the fitting split said of it.
        extras: more figures of the search, such as a gap to a lower bound; one column each.
    """

    preference: float
    policy: Policy
    result: Result
    fit_cost: float
    fit_score: float
    extras: Mapping[str, float] = field(default_factory=dict)

    @property
    def optimism(self) -> float:
        """Mean score on the fitting split minus that on the reporting split."""
        return self.fit_score - self.result.mean_score

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; NaN becomes None."""
        return {
            "preference": _json_number(self.preference),
            **self.policy.to_dict(),
            **self.result.to_dict(),
            "fit_cost": _json_number(self.fit_cost),
            "fit_score": _json_number(self.fit_score),
            "optimism": _json_number(self.optimism),
            "extras": {key: _json_number(value) for key, value in self.extras.items()},
        }


@dataclass(frozen=True)
class ExpertResult:
    """One expert that answers the whole reporting split alone.

    Attributes:
        index: its position in the cascade, from 0.
        name: what the records call it.
        params: number of parameters, where known.
        result: how it did.
    """

    index: int
    name: str
    params: int | None
    result: Result

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"index": self.index, "name": self.name, "params": self.params, **self.result.to_dict()}


@dataclass(frozen=True)
class OtherPolicy:
    """One more policy that can be chosen at run time, between the fitted ones: its figures without intervals.

    Attributes:
        kind: "pareto" or "compact", as :class:`~orxe_plugins.PolicyTable` has it.
        preference: the interpolated preference.
        policy: its thresholds.
        cost, score: on the reporting split; the score is the metric.
        fit_cost, fit_score: what replay on the fitting split said of it.
    """

    kind: str
    preference: float
    policy: Policy
    cost: float
    score: float
    fit_cost: float
    fit_score: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        figures = {name: _json_number(getattr(self, name)) for name in ("cost", "score", "fit_cost", "fit_score")}
        return {"kind": self.kind, "preference": self.preference, **self.policy.to_dict(), **figures}


@dataclass(frozen=True)
class Choice:
    """The policy that the summary is about. Only the fitting split decides which one it is.

    Attributes:
        chosen: the policy, with its figures on the reporting split.
        kind: where it comes from: "fitted", "pareto", "compact" or "promised" rows of the table, or "expert": one
            expert alone.
        reason: how it was chosen, to follow "chosen on the fitting split: ".
    """

    chosen: PolicyResult
    kind: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What a report recommends, in plain words; :func:`orxe_plugins.evaluation.verdict.judge` gives it.

    Attributes:
        kind: "cascade": the chosen policy pays; "expert": one expert alone is the answer; "none": no cascade pays.
        sentence: what was gained, with which certainty, or why nothing was.
        certainty: what the paired interval says of the score: "no loss was shown", "a loss of ... is likely" and so on.
        more: further sentences.
    """

    kind: str
    sentence: str
    certainty: str = ""
    more: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"kind": self.kind, "sentence": self.sentence, "certainty": self.certainty, "more": list(self.more)}


@dataclass(frozen=True)
class PromiseResult:
    """One promise, and its policy on samples that had no part in it.

    Attributes:
        promise: what was tested; it names no policy if none passed.
        result: how its cheapest policy did on the reporting split; None if there is none.
        mean_drop: the drop of its mean per-sample score on the reporting split: the figure that was promised.
    """

    promise: Promise
    result: Result | None
    mean_drop: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        result = None if self.result is None else self.result.to_dict()
        return {**self.promise.to_dict(), "reported": result, "reported_drop": self.mean_drop}


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Every policy of a table and every single expert on the reporting split.

    Attributes:
        policies: one for each preference, rising.
        experts: one for each expert, in routing order; the last one is what others are compared to.
        choice: the policy that the summary is about.
        verdict: what the report recommends.
        metric_name: what tables and axes call the score.
        percent: whether scores are shown times 100.
        cost_unit: unit of every cost, per sample.
        reported_on, fitted_on: the two splits.
        shared_samples: how many samples lie in both splits; None if that is not known.
        intervals: how intervals were made.
        promises: promised drops, and the drops on the reporting split.
        others: the policies between the fitted ones, which can be chosen at run time too.
        notes: what is odd about the experts, the samples or the table, in whole sentences.
        times: what the policy and the experts take in time; None where no times were measured.
    """

    policies: tuple[PolicyResult, ...]
    experts: tuple[ExpertResult, ...]
    choice: Choice
    verdict: Verdict
    metric_name: str
    percent: bool
    cost_unit: str
    reported_on: Samples
    fitted_on: Samples
    shared_samples: int | None
    intervals: IntervalSettings
    promises: tuple[PromiseResult, ...] = ()
    others: tuple[OtherPolicy, ...] = ()
    notes: tuple[str, ...] = ()
    times: TimeResult | None = None

    def __repr__(self) -> str:
        return (
            f"Evaluation({len(self.policies)} policies of {len(self.experts)} experts on {self.reported_on.count:,} "
            f"samples: {self.verdict.sentence})"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The experts' names, in routing order."""
        return tuple(expert.name for expert in self.experts)

    @property
    def chosen(self) -> PolicyResult:
        """The policy that the summary is about."""
        return self.choice.chosen

    @property
    def reference(self) -> ExpertResult:
        """The last expert, which others are compared to."""
        return self.experts[-1]

    @property
    def rival(self) -> ExpertResult | None:
        """The best expert before the last one that costs no more than the chosen policy; None if there is none."""
        affordable = [
            expert
            for expert in self.experts[:-1]
            if expert.result.cost.value <= self.chosen.result.cost.value
            and expert.result.exit_share != self.chosen.result.exit_share
        ]
        return max(affordable, key=lambda expert: expert.result.score.value, default=None)

    def merged(self) -> tuple[tuple[PolicyResult, ...], ...]:
        """The policies in groups: adjacent preferences that have the same policy are one group."""
        return merge_adjacent(self.policies)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "metric": self.metric_name,
            "cost_unit": self.cost_unit,
            "reported_on": self.reported_on.to_dict(),
            "fitted_on": self.fitted_on.to_dict(),
            "shared_samples": self.shared_samples,
            "intervals": self.intervals.to_dict(),
            "verdict": self.verdict.to_dict(),
            "chosen": {"kind": self.choice.kind, "reason": self.choice.reason, **self.chosen.to_dict()},
            "experts": [expert.to_dict() for expert in self.experts],
            "policies": [policy.to_dict() for policy in self.policies],
            "promises": [promise.to_dict() for promise in self.promises],
            "others": [other.to_dict() for other in self.others],
            "notes": list(self.notes),
            **({} if self.times is None else {"times": self.times.to_dict()}),
        }


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
