"""Small plain charts that a page draws as SVG, in the colours of its style sheet and with text of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.util.wording import plain

#: size of a chart in CSS pixels: as wide as a phone shows it whole
WIDTH, HEIGHT = 320, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 40


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: what it shows.
        low, high: its ends.
        ticks: (value, text) of each mark; numbers are set at round values where none are given.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def marks(self) -> tuple[tuple[float, str], ...]:
        """The given ticks, or about five at round values."""
        return self.ticks or tuple((value, plain(value, 6)) for value in round_values(self.low, self.high))

    def part(self, value: float) -> float:
        """Where a value lies on the axis, 0 to 1."""
        span = self.high - self.low
        return min(max((value - self.low) / span, 0.0), 1.0) if span else 0.0


@dataclass(frozen=True)
class Series:
    """Bars, a line or dots.

    Attributes:
        kind: "bar": (left, right, from, to) each; "line" and "dot": (x, y) each.
        points: the numbers.
        style: name of its colour in the style sheet: "cascade", "expert", "oracle" or "muted".
        label: its name in the legend; empty leaves it out.
    """

    kind: str
    points: tuple[tuple[float, ...], ...]
    style: str
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: its title.
        caption: what it shows, in words that do without it.
        x, y: its axes.
        series: what is drawn, from the bottom up.
    """

    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]

    width, height, left, right, top, bottom = WIDTH, HEIGHT, _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM

    def px(self, value: float) -> float:
        """Horizontal place of a value, in pixels."""
        return round(_LEFT + self.x.part(value) * (self.right - _LEFT), 1)

    def py(self, value: float) -> float:
        """Vertical place of a value, in pixels."""
        return round(self.bottom - self.y.part(value) * (self.bottom - _TOP), 1)

    def path(self, series: Series) -> str:
        """A line as the path of an SVG."""
        return "".join(f"{'L' if k else 'M'}{self.px(x)} {self.py(y)}" for k, (x, y) in enumerate(series.points))

    def rectangles(self, series: Series) -> list[tuple[float, float, float, float]]:
        """Bars as (x, y, width, height) in pixels."""
        found = []
        for low, high, start, end in series.points:
            (a, b), (c, d) = sorted((self.px(low), self.px(high))), sorted((self.py(start), self.py(end)))
            found.append((a, c, round(b - a, 1), round(d - c, 1)))
        return found

    @property
    def legend(self) -> tuple[Series, ...]:
        """The series that have a name."""
        return tuple(each for each in self.series if each.label)


@dataclass(frozen=True)
class ChartGroup:
    """Charts side by side under one heading.

    Attributes:
        title: the heading.
        charts: at least one.
        note: how to read them.
    """

    title: str
    charts: tuple[Chart, ...]
    note: str = ""


def round_values(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round values from ``low`` to ``high``.

    >>> round_values(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(each * unit for each in (1, 2, 5, 10) if each * unit >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def histogram(values: Sequence[float] | np.ndarray, bins: int = 10) -> tuple[tuple[float, ...], ...]:
    """Bars of the share, in percent, of values in [0, 1] that each of ``bins`` equal steps holds."""
    counts, edges = np.histogram(np.clip(values, 0, 1), bins=bins, range=(0, 1))
    share = 100 * counts / max(len(values), 1)
    return tuple((float(a), float(b), 0.0, float(s)) for a, b, s in zip(edges[:-1], edges[1:], share, strict=True))
