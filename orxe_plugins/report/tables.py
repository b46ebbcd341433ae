"""Tables of text: one content for the terminal, for Markdown and for HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

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
        title: its head.
        numeric: numbers are set flush right.
        hint: a longer explanation, shown where the pointer rests in HTML.
        in_terminal, in_files: where it is shown; a terminal is narrow.
        drop: a terminal that is too narrow leaves out the columns with the highest number first; 0 stays.
    """

    title: str
    numeric: bool = True
    hint: str = ""
    in_terminal: bool = True
    in_files: bool = True
    drop: int = 0


@dataclass(frozen=True)
class Table:
    """Cells of text under heads.

    Attributes:
        title: what the table shows.
        columns: its columns.
        rows: cells, as many in a row as there are columns.
        marked: indices of rows that stand out.
        note: what the reader must know to read it.
        in_terminal: whether a terminal shows it.
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
                raise ValueError(f"table {self.title!r}: {len(row)} cells under {len(self.columns)} heads: {row}")

    def to_markdown(self) -> str:
        """As a GitHub-flavoured Markdown table under a heading."""
        columns = [column for column in self.columns if column.in_files]
        lines = [
            [markdown_text(column.title) for column in columns],
            ["---:" if column.numeric else "---" for column in columns],
        ]
        for index, row in enumerate(self._file_rows()):
            cells = [markdown_text(cell) for cell in row]
            lines.append([f"**{cell}**" if cell else "" for cell in cells] if index in self.marked else cells)
        parts = [f"## {markdown_text(self.title)}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        if self.note:
            parts.append(markdown_text(self.note))
        return "\n\n".join(parts)

    def to_html(self) -> str:
        """As an HTML table with a caption; every text is escaped."""
        columns = [column for column in self.columns if column.in_files]
        heads = "".join(f'<th scope="col"{_css(c)}{_title(c.hint)}>{html.escape(c.title)}</th>' for c in columns)
        body = []
        for index, row in enumerate(self._file_rows()):
            cells = "".join(
                f"<td{_css(column)}>{html.escape(cell)}</td>" for column, cell in zip(columns, row, strict=True)
            )
            row_class = ' class="marked"' if index in self.marked else ""
            body.append(f"<tr{row_class}>{cells}</tr>")
        note = f'<p class="note">{html.escape(self.note)}</p>' if self.note else ""
        return (
            f"<section><h2>{html.escape(self.title)}</h2>"
            f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>\n'
            + "\n".join(body)
            + f"\n</tbody></table></div>{note}</section>"
        )

    def print(self, console: Console) -> None:
        """Print the table as wide as the terminal allows; text is never read as markup."""
        if not console.is_terminal and console.width < _PIPE_WIDTH:
            # A pipe has no width of its own: what reads it can scroll.
            console = Console(file=console.file, width=_PIPE_WIDTH, highlight=False)
        console.print(self._fitted(console), soft_wrap=False)

    def _fitted(self, console: Console) -> RichTable:
        """The table with as many columns as there is room for; cells are folded, never cut off."""
        # By position: two columns may have the same head.
        shown = [place for place, column in enumerate(self.columns) if column.in_terminal]
        unlimited = console.options.update(width=10_000)
        while True:
            table = self._rich(shown)
            if Measurement.get(console, unlimited, table).maximum <= console.width:
                return table
            worst = max(self.columns[place].drop for place in shown)
            if not worst:
                return self._rich(shown, fold=True)
            shown = [place for place in shown if self.columns[place].drop < worst]

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
        for number, row in enumerate(self.rows):
            table.add_row(*(Text(row[i]) for i in places), style="bold" if number in self.marked else None)
        return table

    def _file_rows(self) -> list[list[str]]:
        shown = [column.in_files for column in self.columns]
        return [[cell for cell, show in zip(row, shown, strict=True) if show] for row in self.rows]


def markdown_text(text: str) -> str:
    """Text with everything escaped that Markdown would read as a mark or as HTML."""
    return re.sub(r"([\\`*\[\]<>|&])|(?<!\w)(_)|(_)(?!\w)", lambda match: f"\\{match[0]}", text.replace("\n", " "))


def _css(column: Column) -> str:
    return ' class="number"' if column.numeric else ""


def _title(hint: str) -> str:
    return f' title="{html.escape(hint)}"' if hint else ""
