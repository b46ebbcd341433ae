"""How pictures look: colours that colour-blind readers can tell apart, on light or dark paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from orxe_plugins.report.letters import drawn, families

DPI = 160
#: width in inches of a picture that a phone shows whole, with text as large as the page's own
NARROW_WIDTH = 3.6
_LETTERS = 33


@dataclass(frozen=True)
class Theme:
    """Colours of a picture, mostly of Okabe and Ito's palette (Color Universal Design, 2008).

    Attributes:
        name: "light" or "dark".
        paper, ink, muted, grid: background, text, secondary text and lines, grid lines.
        cascade: the cascade's curve.
        expert: single experts.
        saver, base: the two models of a saver's picture.
        mark: marks on points that stand out.
        narrow: whether the picture is for a phone: ``NARROW_WIDTH`` wide, with its legend below.
    """

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    cascade: str
    expert: str
    saver: str
    base: str
    mark: str
    narrow: bool = False

    def lines(self, text: str) -> str:
        """A title or a label, in lines that a narrow picture has room for."""
        return textwrap.fill(drawn(text), _LETTERS) if self.narrow else drawn(text)

    def sequence(self, count: int) -> list[str]:
        """``count`` colours from cheap to costly; each is lighter than the one before, so that grey prints work too."""
        colours = matplotlib.colormaps["viridis"]
        return [to_hex(colours(0.02 + 0.96 * (i + 0.5) / count)) for i in range(count)]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1b1f24",
    muted="#656d76",
    grid="#d8dee4",
    cascade="#0072b2",
    expert="#b34700",
    saver="#0072b2",
    base="#d55e00",
    mark="#1b1f24",
)
DARK = Theme(
    name="dark",
    paper="#161b22",
    ink="#e6edf3",
    muted="#9198a1",
    grid="#30363d",
    cascade="#56b4e9",
    expert="#f0a35e",
    saver="#56b4e9",
    base="#e69f00",
    mark="#ffffff",
)


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Settings of matplotlib for the pictures drawn in a ``with`` block; the caller's settings are back after it."""
    settings: Any = {
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.labelsize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "text.color": theme.ink,
        # Ticks are whole numbers, not steps of a power of ten that stands in a corner.
        "axes.formatter.limits": (-9, 12),
        "axes.formatter.useoffset": False,
        "text.usetex": False,
        "text.parse_math": False,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.labelcolor": theme.ink,
        "font.family": list(families()),
        "font.size": 9.5,
        "lines.linewidth": 1.8,
        "svg.fonttype": "path",
        "svg.hashsalt": f"orxe-{theme.name}",
    }
    with matplotlib.rc_context(settings):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of width x height inches on the Agg canvas, whatever backend the caller's program uses."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, theme: Theme) -> None:
    """Write a figure as the kind of file that the suffix names, .png or .svg; the same figure gives the same bytes."""
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with styled(theme):
        figure.savefig(path, dpi=DPI, metadata=metadata)
