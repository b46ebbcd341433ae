"""The verdict: what was gained with which certainty, in plain words.

The policy was chosen on the fitting split. Here its figures on the reporting split are put into a sentence; they choose
nothing, but they may show that what was chosen does not pay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from orxe_plugins.evaluation.candidates import NEARLY_ALL, Candidate, Chosen
from orxe_plugins.evaluation.formats import Formats
from orxe_plugins.evaluation.results import Estimate, ExpertResult, PolicyResult, Verdict
from orxe_plugins.util.wording import plain, short_names, signed, significant

#: a loss (or a gain) is likely where its probability is at least this
_LIKELY = 0.9


@dataclass(frozen=True)
class Words:
    """How the figures of one evaluation are called and written.

    Attributes:
        formats: its numbers.
        metric: name of its score.
        names: short names of its N experts.
        level: confidence level of its intervals.
        relative_to: short name of the expert whose answers stood for labels; empty where there were labels.
    """

    formats: Formats
    metric: str
    names: tuple[str, ...]
    level: float
    relative_to: str = ""

    @classmethod
    def of(cls, formats: Formats, metric: str, names: Sequence[str], level: float, relative_to: str = "") -> Words:
        """Words for experts of these full names."""
        return cls(formats, metric, short_names(names), level, short_names([relative_to])[0])

    @property
    def unit(self) -> str:
        """What differences of scores are counted in, with a space before it; empty where they have no unit."""
        return " points" if self.formats.percent else ""

    def saving(self, ratio: float) -> str:
        """What a ratio of costs saves: "saves 42 % of the GMACs"."""
        change = 100 * abs(1 - ratio)
        text = f"{change:.0f}" if change >= 1 else significant(change, 1)
        if ratio <= 1:
            return f"saves {text} % of the {self.formats.cost_unit}"
        return f"costs {text} % more {self.formats.cost_unit}"

    def change(self, difference: Estimate) -> str:
        """What a policy does to the score: "the top1 changes by -0.3 points (-1.1 to +0.5)"."""
        relative = f", relative to {self.relative_to}," if self.relative_to else ""
        return f"the {self.metric}{relative} changes by {self.difference(difference)}"

    def difference(self, difference: Estimate) -> str:
        """A difference with its interval: "-0.3 points (-1.1 to +0.5)"."""
        ends = f"{self.formats.difference(difference.low)} to {self.formats.difference(difference.high)}"
        return f"{self.formats.difference(difference.value)}{self.unit} ({ends})"

    def certainty(self, difference: Estimate) -> str:
        """What a paired interval says: a loss or a gain is certain, likely or not shown."""
        if difference.low == difference.high == 0:
            return "nothing is lost"
        if difference.side:
            return f"a {'gain' if difference.side > 0 else 'loss'} is certain"
        # The interval's width stands for the spread: 95 % of a normal distribution lie within 1.96 of it on both sides.
        spread = (difference.high - difference.low) / (2 * NormalDist().inv_cdf((1 + self.level) / 2))
        if abs(difference.value) >= NormalDist().inv_cdf(_LIKELY) * spread > 0:
            size = f"{self.formats.score(abs(difference.value))}{self.unit}"
            return f"a {'gain' if difference.value > 0 else 'loss'} of {size} is likely"
        return "no loss was shown"


@dataclass(frozen=True)
class Mixing:
    """What random mixing of single experts reaches at the chosen policy's cost.

    Attributes:
        experts: positions of the one or two experts.
        gain: metric of the policy minus that of the mixture, paired.
    """

    experts: tuple[int, ...]
    gain: Estimate


def judge(
    chosen: Chosen, result: PolicyResult, experts: Sequence[ExpertResult], mixing: Mixing | None, words: Words
) -> Verdict:
    """The verdict on a chosen policy.

    Args:
        chosen: what was chosen on the fitting split, and why.
        result: how it did on the reporting split.
        experts: how each expert alone did, the last one last.
        mixing: how it stands against random mixing; None where that cannot be said, as for one expert alone.
        words: how figures are written.
    """
    found = _judged(chosen, result, experts, mixing, words)
    if not words.relative_to:
        return found
    relative = (
        f"No label was used: scores are relative to {words.relative_to}, whose answers count as right even where they "
        "are wrong."
    )
    return replace(found, more=(*found.more, relative))


def _judged(
    chosen: Chosen, result: PolicyResult, experts: Sequence[ExpertResult], mixing: Mixing | None, words: Words
) -> Verdict:
    difference = result.result.score_difference
    certainty = words.certainty(difference)
    if not math.isfinite(result.result.score.value):
        return Verdict("none", f"Nothing can be said here: the {words.metric} has no value on the reporting split.")
    asked = asked_alone(result)
    if asked == len(experts) - 1:
        return Verdict("none", _last_alone(chosen, result, words), certainty)
    last = words.names[-1]
    figures = f"{words.saving(result.result.cost_ratio.value)} against {last} alone; {words.change(difference)}"
    found = f"{figures}: {certainty}"
    if asked is not None:
        return Verdict("expert", f"One expert alone is the answer: {words.names[asked]}. It {found}.", certainty,
                       (*_share_text(result, asked, words), *_higher(chosen, words)))  # fmt: skip
    reason = _does_not_pay(result, mixing, words)
    if reason:
        subject = "what was asked for" if chosen.asked else "the best policy found"
        return Verdict("none", f"No cascade pays here: {subject} {figures}, {reason}.", certainty)
    return Verdict("cascade", f"The cascade {found}.", certainty,
                   (*_above_mixing(mixing, words), *_higher(chosen, words)))  # fmt: skip


def asked_alone(result: PolicyResult) -> int | None:
    """The expert that answers all or nearly all samples; None if there is none."""
    reachable = result.policy.reachable
    if len(reachable) == 1:
        return reachable[0]
    share = result.result.exit_share
    asked = max(range(len(share)), key=lambda i: share[i])
    return asked if share[asked] >= NEARLY_ALL else None


def _share_text(result: PolicyResult, asked: int, words: Words) -> tuple[str, ...]:
    share = result.result.exit_share[asked]
    if len(result.policy.reachable) == 1:
        return ()
    return (f"The policy asks {words.names[asked]} for {100 * share:.1f} % of the samples.",)


def _last_alone(chosen: Chosen, result: PolicyResult, words: Words) -> str:
    last = words.names[-1]
    if len(result.policy.reachable) > 1:
        share = 100 * result.result.exit_share[-1]
        return (
            f"No cascade pays here: the policy sends {share:.1f} % of the samples to the last expert, {last}, and "
            f"{words.saving(result.result.cost_ratio.value)}. {last} alone is the answer."
        )
    if chosen.nearest is None:
        return f"No cascade pays here: nothing costs less than {last} alone. {last} alone is the answer."
    near: Candidate = chosen.nearest
    drop = words.formats.difference(near.score - chosen.candidate.score)
    alone = f", {words.names[near.policy.reachable[0]]} alone," if len(near.policy.reachable) == 1 else ""
    return (
        f"No cascade pays here: nothing that costs less than {last} alone comes near its score on the fitting split; "
        f"the best trade there{alone} {words.saving(near.cost / chosen.candidate.cost)} for {drop}{words.unit}. "
        f"{last} alone is the answer."
    )


def _does_not_pay(result: PolicyResult, mixing: Mixing | None, words: Words) -> str:
    """Why the reporting split shows that a chosen policy does not pay; empty if it does."""
    ratio, difference = result.result.cost_ratio, result.result.score_difference
    if ratio.high >= 1 and difference.side <= 0:
        ends = f"{signed(100 * (ratio.low - 1), 1)} to {signed(100 * (ratio.high - 1), 1)} %"
        return f"so neither lower cost (change of {ends}) nor a higher score was shown"
    if mixing is not None and mixing.gain.value <= 0:
        gap = words.formats.score(-mixing.gain.value)
        more = f"{gap}{words.unit} more" if float(gap) else "as much"
        if len(mixing.experts) == 1:
            return f"but {words.names[mixing.experts[0]]} alone scores {more} at no higher cost"
        return f"but random mixing of {_names(mixing, words)} costs as much and scores {more}"
    return ""


def _above_mixing(mixing: Mixing | None, words: Words) -> tuple[str, ...]:
    if mixing is None:
        return ()
    rival = (
        f"{words.names[mixing.experts[0]]} alone, which costs no more,"
        if len(mixing.experts) == 1
        else f"random mixing of {_names(mixing, words)} at the same cost"
    )
    shown = "" if mixing.gain.side > 0 else ", which is not certain on these samples"
    return (f"Against {rival} it gains {words.difference(mixing.gain)}{shown}.",)


def _higher(chosen: Chosen, words: Words) -> tuple[str, ...]:
    """That a higher score can be had, for more."""
    if chosen.higher is None:
        return ()
    gain = words.formats.difference(chosen.higher.score - chosen.candidate.score)
    cost = words.formats.cost(chosen.higher.cost)
    return (
        f"More can be had: a policy that costs {cost} {words.formats.cost_unit} scores {gain}{words.unit} on the "
        f"fitting split (budget={plain(chosen.higher.cost)}).",
    )


def _names(mixing: Mixing, words: Words) -> str:
    return " and ".join(words.names[i] for i in mixing.experts)
