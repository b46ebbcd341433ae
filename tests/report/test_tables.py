from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from orxe_plugins.report.tables import Column, Table, markdown_line, markdown_text

LETTERS = st.characters(min_codepoint=33, max_codepoint=126)


def printed(table: Table, width: int, terminal: bool = True) -> str:
    buffer = io.StringIO()
    table.print(Console(file=buffer, width=width, force_terminal=terminal, color_system=None))
    return buffer.getvalue()


@pytest.fixture
def table() -> Table:
    columns = (
        Column("Name", numeric=False),
        Column("Cost"),
        Column("In the terminal", in_files=False, drop=1),
        Column("In files", in_terminal=False, hint="more | words"),
        Column("First to go", drop=2),
    )
    rows = (("a", "1", "t0", "f0", "x" * 12), ("b", "2", "t1", "f1", "y" * 12))
    return Table("Some | title", columns, rows, marked=frozenset({1}), note="A <note>.")


def test_files_and_terminals_show_their_own_columns(table: Table) -> None:
    assert [column.title for column in table.for_files().columns] == ["Name", "Cost", "In files", "First to go"]
    assert table.for_files().rows[0] == ("a", "1", "f0", "x" * 12)
    wide = printed(table, 100)
    assert "t0" in wide and "f0" not in wide


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match=r"table 'T': 1 cells under 2 headings: \('a',\)"):
        Table("T", (Column("x"), Column("y")), (("a",),))


def test_markdown_holds_heading_alignment_mark_and_note(table: Table) -> None:
    heading, body, note = table.to_markdown().split("\n\n")
    assert heading == "## Some \\| title"
    assert body.splitlines() == [
        "| Name | Cost | In files | First to go |",
        "| --- | ---: | ---: | ---: |",
        f"| a | 1 | f0 | {'x' * 12} |",
        f"| **b** | **2** | **f1** | **{'y' * 12}** |",
    ]
    assert note == "A \\<note\\>."


def test_a_marked_row_leaves_empty_cells_empty() -> None:
    table = Table("T", (Column("x"), Column("y")), (("", "1"),), marked=frozenset({0}))
    assert "|  | **1** |" in table.to_markdown()


@given(st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=60))
def test_markdown_text_reads_back_and_holds_no_markup(text: str) -> None:
    escaped = markdown_text(text)
    assert re.sub(r"\\(.)", r"\1", escaped) == text.replace("\n", " ")
    # Without each escaped pair, nothing is left that opens a cell, a tag, a link or emphasis.
    assert not set(re.sub(r"\\.", "", escaped)) & set("|<>[]*`&\\\n")


def test_markdown_keeps_underscores_inside_of_words() -> None:
    assert markdown_text("tf_efficientnet_lite0 _slanted_") == "tf_efficientnet_lite0 \\_slanted\\_"


@given(start=st.sampled_from(["#", "##", "-", "+", "7.", "12)", "> ", "* "]), rest=st.text("abc #1", max_size=8))
def test_a_line_is_a_paragraph_whatever_it_begins_with(start: str, rest: str) -> None:
    markdown = pytest.importorskip("markdown")
    assert re.fullmatch(r"<p>.*</p>", markdown.markdown(markdown_line(start + rest)), re.DOTALL)
    assert markdown_line("0.5 is more than -1") == "0.5 is more than -1"


def test_a_narrow_terminal_leaves_out_the_columns_that_matter_least(table: Table) -> None:
    widths = {title: min(w for w in range(10, 90) if title in printed(table, w)) for title in ("First to go", "t0")}
    assert "Cost" in printed(table, 20)
    assert widths["t0"] < widths["First to go"]


def test_a_pipe_is_as_wide_as_needed(table: Table) -> None:
    assert "x" * 12 in printed(table, 20, terminal=False)


def test_cells_are_no_markup() -> None:
    assert "[red]a[/red]" in printed(Table("T", (Column("[bold]x", numeric=False),), (("[red]a[/red]",),)), 60)


@settings(max_examples=60)
@given(st.lists(st.text(LETTERS, min_size=1, max_size=25), min_size=1, max_size=6), st.integers(50, 200))
def test_no_cell_is_ever_cut_off(cells: list[str], width: int) -> None:
    table = Table("t", tuple(Column(f"c{i}", numeric=i % 2 == 0) for i in range(len(cells))), (tuple(cells),))
    text = printed(table, width)
    assert "…" not in text
    for cell in cells:
        # A folded cell goes on in the next line: every letter is still there.
        assert all(text.count(letter) >= 1 for letter in cell)
