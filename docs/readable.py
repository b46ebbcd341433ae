"""What the pages of the API would show wrongly of docstrings is written in another way for them.

Doctests become blocks of code: Markdown would take ``>>>`` for a quotation. An entry that tells of several arguments at
once becomes one for each, as pages have a row for each. Comments that begin with ``#:`` tell of the attribute below.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe

#: a doctest: a line with a prompt, and what follows it up to an empty line
_DOCTEST = re.compile(r"^>>> .*(?:\n(?!$).*)*", re.MULTILINE)
#: a paragraph that ends in two colons, as in reStructuredText, and the indented lines that it announces
_LITERAL = re.compile(r"::\n\n((?:    .*(?:\n|$)|\n(?=    ))+)")
#: an entry of a section that tells of several names, and the lines that it goes on in
_SEVERAL = re.compile(r"^    (\w+(?:, \w+)+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def readable(docstring: str) -> str:
    """The docstring as the pages of the API can show it."""
    return as_blocks(one_by_one(docstring))


def one_by_one(docstring: str) -> str:
    """The docstring with an entry of its own for each argument."""
    return _SEVERAL.sub(lambda found: "\n".join(f"    {n}: {found[2]}" for n in found[1].split(", ")), docstring)


def as_blocks(docstring: str) -> str:
    """The docstring with its doctests, and with blocks that two colons announce, as fenced blocks of Python."""
    text = _LITERAL.sub(lambda found: f":\n\n```python\n{_dedented(found[1])}\n```\n", docstring)
    return _DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


def _dedented(lines: str) -> str:
    return re.sub(r"^    ", "", lines.rstrip("\n"), flags=re.MULTILINE)


@cache
def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def comment_above(lines: list[str], line: int) -> str:
    """What comments that begin with ``#:`` say right above a line, which is counted from 1; empty without any."""
    said: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.strip().startswith("#:"):
            break
        said.insert(0, text.strip()[2:].strip())
    text = " ".join(said).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


class Readable(griffe.Extension):
    """Changes docstrings as they are read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object, or make one of its comments."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
        elif obj.is_attribute and obj.lineno is not None and isinstance(obj.filepath, Path):
            said = comment_above(_lines(obj.filepath), obj.lineno)
            if said:
                obj.docstring = griffe.Docstring(said, parent=obj)
