"""How reports write numbers and names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orxe_plugins.evaluation.formats import Formats
from orxe_plugins.util.wording import plain, short_names, significant

#: what each unit of cost means; a unit that is not listed here is shown as it is
COST_UNITS = {
    "GMACs": "GMACs = 10⁹ multiply-accumulates per image; 1 MAC = 2 FLOPs",
    "ms": "ms = milliseconds per image",
    "mJ": "mJ = millijoules per image",
}
__all__ = [
    "COST_UNITS", "Formats", "cost_unit_meaning", "fixed", "metric_axis", "metric_head", "plain", "preference_range",
    "short_names", "significant", "threshold_text",
]  # fmt: skip


def preference_range(preferences: Sequence[float]) -> str:
    """The preferences of one group of policies: 0.35-0.50."""
    digits = 2 if all(round(p, 2) == p for p in preferences) else 3
    first, last = f"{preferences[0]:.{digits}f}", f"{preferences[-1]:.{digits}f}"
    return first if first == last else f"{first}-{last}"


def fixed(value: float, digits: int = 3, sign: bool = False) -> str:
    """A number with so many digits after the point, with its sign if it is asked for; not finite: "-".

    >>> fixed(0.25), fixed(0.25, 2, sign=True), fixed(float("nan"))
    ('0.250', '+0.25', '-')
    """
    return f"{value:{'+' if sign else ''}.{digits}f}" if math.isfinite(value) else "-"


def threshold_text(value: float) -> str:
    """A threshold with three digits after the point, and with more where these would make 0 or 1 of it.

    >>> [threshold_text(value) for value in (0.62, 0.99996, 0.00004, 1.0)]
    ['0.620', '0.99996', '0.00004', '1.000']
    """
    digits = 3
    while 0 < value < 1 and digits < 17 and float(f"{value:.{digits}f}") in (0, 1):
        digits += 1
    return f"{value:.{digits}f}"


def cost_unit_meaning(unit: str) -> str:
    """What a unit of cost means, in words."""
    return COST_UNITS.get(unit, f"{unit} per sample")


def metric_head(name: str, percent: bool) -> str:
    """Heading of a column of scores: top1 %."""
    return f"{name} %" if percent else name


def metric_axis(name: str, percent: bool) -> str:
    """Label of an axis of scores: top1 (%)."""
    return f"{name} (%)" if percent else name
