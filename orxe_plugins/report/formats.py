"""How reports write numbers and names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orxe_plugins.evaluation.results import Estimate, Evaluation

#: what each unit of cost means; a unit that is not listed here is shown as it is
COST_UNITS = {
    "GMACs": "GMACs = 10^9 multiply-accumulates per image; 1 MAC = 2 FLOPs",
    "ms": "ms = milliseconds per image",
    "mJ": "mJ = millijoules per image",
}
_MANY_SAMPLES = 5000


@dataclass(frozen=True)
class Formats:
    """Number formats of one report.

    Attributes:
        percent: whether scores are written times 100.
        digits: digits after the point of a score.
        cost_unit: unit of the costs.
    """

    percent: bool
    digits: int
    cost_unit: str

    @classmethod
    def of(cls, evaluation: Evaluation) -> Formats:
        """The formats that suit an evaluation."""
        return cls.for_samples(evaluation.reported_on.count, evaluation.percent, evaluation.cost_unit)

    @classmethod
    def for_samples(cls, count: int, percent: bool, cost_unit: str) -> Formats:
        """Formats with as many digits as ``count`` samples support."""
        digits = 2 if count >= _MANY_SAMPLES else 1
        return cls(percent, digits if percent else digits + 2, cost_unit)

    @property
    def scale(self) -> float:
        """The factor that a score is multiplied by before it is written."""
        return 100.0 if self.percent else 1.0

    def score(self, value: float) -> str:
        """A score, such as 91.1; "-" where it is not known."""
        return "-" if math.isnan(value) else f"{self.scale * value:.{self.digits}f}"

    def score_interval(self, estimate: Estimate) -> str:
        """A score with its interval: 91.1 (88.3 to 93.5)."""
        return f"{self.score(estimate.value)} ({self.score(estimate.low)} to {self.score(estimate.high)})"

    def difference(self, value: float) -> str:
        """A signed difference of scores, such as -0.4; 0 has no sign."""
        return "-" if math.isnan(value) else _signed(self.scale * value, self.digits)

    def difference_interval(self, estimate: Estimate) -> str:
        """A difference with its interval: -0.4 (-1.6 to +0.8)."""
        ends = f"{self.difference(estimate.low)} to {self.difference(estimate.high)}"
        return f"{self.difference(estimate.value)} ({ends})"

    def cost(self, value: float) -> str:
        """A cost with three significant digits."""
        return significant(value)

    def cost_interval(self, estimate: Estimate) -> str:
        """A cost with its interval; the cost of a single expert does not vary and has no interval."""
        ends = self.cost_ends(estimate)
        return f"{significant(estimate.value)} ({ends})" if ends else significant(estimate.value)

    @staticmethod
    def cost_ends(estimate: Estimate) -> str:
        """The interval of a cost alone: 0.177 to 0.252; empty if it does not vary."""
        if estimate.low == estimate.high:
            return ""
        return f"{significant(estimate.low)} to {significant(estimate.high)}"

    @staticmethod
    def change(ratio: float) -> str:
        """A ratio of costs as the change in percent: 0.36 is -64 %."""
        return "-" if math.isnan(ratio) else f"{_signed(100 * (ratio - 1), 0)} %"

    @classmethod
    def change_interval(cls, ratio: Estimate) -> str:
        """A change of cost with its interval; a change that does not vary has no interval."""
        if ratio.low == ratio.high:
            return cls.change(ratio.value)
        return f"{cls.change(ratio.value)} ({cls.change(ratio.low)} to {cls.change(ratio.high)})"

    @staticmethod
    def share(value: float) -> str:
        """A share of the samples in percent, without the percent sign: 62.1; "." for no sample at all."""
        return "." if value == 0 else f"{100 * value:.1f}"


def significant(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and no exponent: 0.0136, 0.860, 115, 1,150; not finite: "-"."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    after_point = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{after_point}f}"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def preference_range(preferences: Sequence[float]) -> str:
    """The preferences of one group of policies: 0.35-0.50."""
    digits = 2 if all(round(p, 2) == p for p in preferences) else 3
    first, last = f"{preferences[0]:.{digits}f}", f"{preferences[-1]:.{digits}f}"
    return first if first == last else f"{first}-{last}"


def short_names(names: Sequence[str], width: int = 30) -> tuple[str, ...]:
    """Names for pictures and tables: without adapter and options, and cut in the middle where they are long.

    Where two names would become the same, all of them keep what makes them different.

    Args:
        names: names of experts, such as addresses; no two are the same.
        width: the largest number of letters.
    """
    bare = [re.sub(r"\?.*$", "", re.sub(r"^[A-Za-z_][\w-]*:(?=.)", "", name)) or name for name in names]
    for candidates in ([_cut(name, width) for name in bare], bare, list(names)):
        if len(set(candidates)) == len(names):
            return tuple(candidates)
    return tuple(names)


def _cut(name: str, width: int) -> str:
    if len(name) <= width:
        return name
    head = (width - 1) * 2 // 3
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"


def cost_unit_meaning(unit: str) -> str:
    """What a unit of cost means, in words."""
    return COST_UNITS.get(unit, f"{unit} per sample")


def metric_head(name: str, percent: bool) -> str:
    """Heading of a column of scores: top1 %."""
    return f"{name} %" if percent else name


def metric_axis(name: str, percent: bool) -> str:
    """Label of an axis of scores: top1 (%)."""
    return f"{name} (%)" if percent else name
