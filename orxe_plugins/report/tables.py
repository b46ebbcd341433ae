"""Tables of text: one content for the terminal, for Markdown and for HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from rich import box
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

_PIPE_WIDTH = 160


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        numeric: whether it holds numbers, which are aligned to the right.
        hint: a longer explanation; HTML shows it where the pointer rests.
        in_terminal, in_files: where the column is shown; a terminal is narrow.
        drop: a terminal that is too narrow leaves out the columns with the highest number first; 0 always stays.
    """

    title: str
    numeric: bool = True
    hint: str = ""
    in_terminal: bool = True
    in_files: bool = True
    drop: int = 0


@dataclass(frozen=True)
class Table:
    """Cells of text under headings.

    Attributes:
        title: what the table shows.
        columns: its columns.
        rows: the cells; each row has one cell for each column.
        marked: indices of rows that stand out.
        note: what the reader must know to read the table.
        in_terminal: whether a terminal shows it.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = field(default_factory=frozenset)
    note: str = ""
    in_terminal: bool = True

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.title!r}: {len(row)} cells under {len(self.columns)} headings: {row}")

    def for_files(self) -> Table:
        """The same table with only those columns that files show."""
        places = [place for place, column in enumerate(self.columns) if column.in_files]
        columns = tuple(self.columns[place] for place in places)
        return replace(self, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in self.rows))

    def to_markdown(self) -> str:
        """The table in GitHub-flavoured Markdown, with its title as a heading above it."""
        shown = self.for_files()
        lines = [
            [markdown_text(column.title) for column in shown.columns],
            ["---:" if column.numeric else "---" for column in shown.columns],
        ]
        for index, row in enumerate(shown.rows):
            cells = [markdown_text(cell) for cell in row]
            lines.append([f"**{cell}**" if cell else "" for cell in cells] if index in self.marked else cells)
        parts = [f"## {markdown_text(self.title)}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        if self.note:
            parts.append(markdown_line(self.note))
        return "\n\n".join(parts)

    def print(self, console: Console) -> None:
        """Print the table as wide as the terminal allows; the text is never read as markup."""
        if not console.is_terminal and console.width < _PIPE_WIDTH:
            # A pipe has no width of its own, and the program that reads it can scroll.
            console = Console(file=console.file, width=_PIPE_WIDTH, highlight=False)
        console.print(self._fitted(console), soft_wrap=False)

    def _fitted(self, console: Console) -> RichTable:
        """The table with as many columns as fit in; cells are folded, never cut off."""
        # By position: two columns may have the same heading.
        shown = [place for place, column in enumerate(self.columns) if column.in_terminal]
        unlimited = console.options.update(width=10_000)
        while True:
            table = self._rich(shown)
            if Measurement.get(console, unlimited, table).maximum <= console.width:
                return table
            first_to_go = max(self.columns[place].drop for place in shown)
            if not first_to_go:
                return self._rich(shown, fold=True)
            shown = [place for place in shown if self.columns[place].drop < first_to_go]

    def _rich(self, places: list[int], fold: bool = False) -> RichTable:
        table = RichTable(
            title=Text(self.title, style="bold"),
            title_justify="left",
            caption=Text(self.note) if self.note else None,
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in (self.columns[place] for place in places):
            justify: JustifyMethod = "right" if column.numeric else "left"
            table.add_column(Text(column.title), justify=justify, overflow="fold", no_wrap=column.numeric and not fold)
        if self.marked:
            # Bold letters are lost in a pipe or a file.
            table.add_column("", no_wrap=True)
        for number, row in enumerate(self.rows):
            marked = number in self.marked
            sign = [Text("<" if marked else "")] if self.marked else []
            table.add_row(*(Text(row[i]) for i in places), *sign, style="bold" if marked else None)
        return table


def markdown_text(text: str) -> str:
    """The text with a backslash before everything that Markdown would read as markup or as HTML."""
    return re.sub(r"([\\`*\[\]<>|&])|(?<!\w)(_)|(_)(?!\w)", lambda match: f"\\{match[0]}", text.replace("\n", " "))


def markdown_line(text: str) -> str:
    """As :func:`markdown_text`, for a paragraph: what it begins with makes no heading and no list of it either."""
    sign = r"^(\s*)([#+-]|\d+[.)](?=\s|$))"
    return re.sub(sign, lambda match: f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", markdown_text(text))
