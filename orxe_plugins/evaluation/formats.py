"""How the figures of an evaluation are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orxe_plugins.evaluation.results import Estimate, Evaluation
from orxe_plugins.util.wording import signed, significant

_MANY_SAMPLES = 5000
# Scores of this size are written with the same digits after the point; others with no more than so many.
_LEAST, _MOST, _MOST_DIGITS = 0.01, 1000.0, 15


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
        scores = [expert.result.score.value for expert in evaluation.experts]
        return cls.for_samples(evaluation.reported_on.count, evaluation.percent, evaluation.cost_unit, scores)

    @classmethod
    def for_samples(cls, count: int, percent: bool, cost_unit: str, scores: Sequence[float] = ()) -> Formats:
        """Formats with as many digits as ``count`` samples support.

        Args:
            count: of the samples.
            percent, cost_unit: as in the class.
            scores: some that will be written: errors of a millionth need more digits than those of a million.
        """
        digits = 2 if count >= _MANY_SAMPLES else 1
        if percent:
            return cls(percent, digits, cost_unit)
        digits += 2
        size = max((abs(score) for score in scores if math.isfinite(score)), default=1.0)
        if size and not _LEAST <= size < _MOST:
            digits = min(max(0, digits - 1 - math.floor(math.log10(size))), _MOST_DIGITS)
        return cls(percent, digits, cost_unit)

    @property
    def scale(self) -> float:
        """The factor that a score is multiplied by before it is written."""
        return 100.0 if self.percent else 1.0

    def score(self, value: float) -> str:
        """A score, such as 91.1; "-" where it is not known."""
        if math.isnan(value):
            return "-"
        text = f"{self.scale * value:.{self.digits}f}"
        return text.lstrip("-") if float(text) == 0 else text

    def score_interval(self, estimate: Estimate) -> str:
        """A score with its interval: 91.1 (88.3 to 93.5)."""
        ends = self.score_ends(estimate)
        return f"{self.score(estimate.value)} ({ends})" if ends else self.score(estimate.value)

    def score_ends(self, estimate: Estimate) -> str:
        """The interval of a score alone: 88.3 to 93.5; empty if it is not known."""
        return _ends(estimate, self.score)

    def difference(self, value: float) -> str:
        """A signed difference of scores, such as -0.4; 0 has no sign."""
        return "-" if math.isnan(value) else signed(self.scale * value, self.digits)

    def difference_interval(self, estimate: Estimate) -> str:
        """A difference with its interval: -0.4 (-1.6 to +0.8)."""
        ends = self.difference_ends(estimate)
        return f"{self.difference(estimate.value)} ({ends})" if ends else self.difference(estimate.value)

    def difference_ends(self, estimate: Estimate) -> str:
        """The interval of a difference alone: -1.6 to +0.8; empty if it is not known."""
        return _ends(estimate, self.difference)

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
        """A ratio of costs as the change in percent: 0.36 is -64 %, and 0.002 is -99.8 %, for it is not free."""
        if math.isnan(ratio):
            return "-"
        text = signed(100 * (ratio - 1), 0)
        return f"{signed(100 * (ratio - 1), 1) if text == '-100' and ratio > 0 else text} %"

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


def _ends(estimate: Estimate, write: Callable[[float], str]) -> str:
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    return f"{write(estimate.low)} to {write(estimate.high)}"
