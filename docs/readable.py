"""What the pages of the API would show wrongly of docstrings is written in another way for them.

Doctests become blocks of code: Markdown would take ``>>>`` for a quotation. An entry that tells of several arguments at
once becomes one for each, as pages have a row for each.
"""

from __future__ import annotations

import re
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


class Readable(griffe.Extension):
    """Changes docstrings as they are read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
