"""How reports write numbers and names."""

from __future__ import annotations

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
    "COST_UNITS", "Formats", "cost_unit_meaning", "metric_axis", "metric_head", "plain", "preference_range",
    "short_names", "significant",
]  # fmt: skip


def preference_range(preferences: Sequence[float]) -> str:
    """The preferences of one group of policies: 0.35-0.50."""
    digits = 2 if all(round(p, 2) == p for p in preferences) else 3
    first, last = f"{preferences[0]:.{digits}f}", f"{preferences[-1]:.{digits}f}"
    return first if first == last else f"{first}-{last}"


def cost_unit_meaning(unit: str) -> str:
    """What a unit of cost means, in words."""
    return COST_UNITS.get(unit, f"{unit} per sample")


def metric_head(name: str, percent: bool) -> str:
    """Heading of a column of scores: top1 %."""
    return f"{name} %" if percent else name


def metric_axis(name: str, percent: bool) -> str:
    """Label of an axis of scores: top1 (%)."""
    return f"{name} (%)" if percent else name
