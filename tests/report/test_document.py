from __future__ import annotations

import io

import pytest
from rich.console import Console

from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.report.theme import new_figure


@pytest.fixture
def document() -> Document:
    return Document(
        title="A title",
        summary=("One sentence that is long enough to be folded in a narrow terminal.",),
        warnings=("mind *this*",),
        tables=(
            Table("Shown", (Column("as wide as its title"),), (("1",),)),
            Table("For files", (Column("as wide as its title"),), (("2",),), in_terminal=False),
        ),
        pictures=(Picture("frontier", "What it [shows].", lambda theme: new_figure(2, 2)),),
        facts=(("How", "so"),),
    )


def printed(document: Document, terminal: bool) -> str:
    buffer = io.StringIO()
    document.print(Console(file=buffer, width=40, force_terminal=terminal, color_system=None))
    return buffer.getvalue()


def test_a_pipe_gets_each_sentence_on_one_line(document: Document) -> None:
    assert document.summary[0] in printed(document, terminal=False).splitlines()
    assert document.summary[0] not in printed(document, terminal=True).splitlines()


def test_a_terminal_shows_warnings_facts_and_its_tables(document: Document) -> None:
    text = printed(document, terminal=True)
    assert "Warning: mind *this*" in text
    assert "How: so" in text
    assert "Shown" in text
    assert "For files" not in text


def test_markdown_holds_everything_in_order(document: Document) -> None:
    text = document.to_markdown()
    parts = [
        "# A title",
        document.summary[0],
        "> **Warning:** mind \\*this\\*",
        "![What it \\[shows\\].](frontier.png)",
        "*What it \\[shows\\].*",
        "## Shown",
        "## For files",
        "## How these figures came about",
        "- How: so",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
