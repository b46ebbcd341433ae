"""Document: one content that is printed, written as Markdown and written as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from orxe_plugins.report.charts import ChartGroup
from orxe_plugins.report.gallery import Gallery
from orxe_plugins.report.tables import Table, markdown_line, markdown_text
from orxe_plugins.report.theme import Theme


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn in any theme.

    Attributes:
        name: name of its files, without the suffix.
        caption: what it shows and how to read it.
        draw: makes the figure.
    """

    name: str
    caption: str
    draw: Callable[[Theme], Figure]


@dataclass(frozen=True)
class Highlight:
    """One number that the page shows in large type.

    Attributes:
        label: what it is.
        value: the number.
        note: its interval, or what it is compared to.
    """

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: its title.
        summary: what was found, in whole sentences.
        warnings: reasons to trust the figures less.
        tables: the figures.
        pictures: the figures drawn.
        facts: how the figures came about, as (what, how).
        highlights: the figures that matter most.
        chooser: the data of the page's chooser, as plain JSON values; only the HTML page has it.
        charts: small charts, which only the HTML page shows.
        galleries: pictures of samples, which only the HTML page shows.
    """

    title: str
    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    facts: tuple[tuple[str, str], ...]
    highlights: tuple[Highlight, ...] = ()
    chooser: Mapping[str, Any] | None = None
    charts: tuple[ChartGroup, ...] = ()
    galleries: tuple[Gallery, ...] = ()

    def print(self, console: Console) -> None:
        """Print summary, warnings, tables and facts."""
        # A program that reads a pipe gets every sentence on one line.
        whole = not console.is_terminal
        for sentence in self.summary:
            console.print(Text(sentence), soft_wrap=whole)
        for warning in self.warnings:
            console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=whole)
        for table in filter(lambda each: each.in_terminal, self.tables):
            console.print()
            table.print(console)
        for what, how in self.facts:
            console.print(Text(f"{what}: {how}", style="dim"), soft_wrap=whole)

    def to_markdown(self) -> str:
        """The report in Markdown; it shows the PNG files of the pictures, which lie beside it."""
        parts = [f"# {markdown_text(self.title)}", *map(markdown_line, self.summary)]
        parts += [f"> **Warning:** {markdown_text(warning)}" for warning in self.warnings]
        parts += [
            f"![{markdown_text(picture.caption)}]({picture.name}.png)\n\n*{markdown_text(picture.caption)}*"
            for picture in self.pictures
        ]
        parts += [table.to_markdown() for table in self.tables]
        parts.append("## How these figures came about")
        parts.append("\n".join(f"- {markdown_text(what)}: {markdown_text(how)}" for what, how in self.facts))
        return "\n\n".join(parts) + "\n"
