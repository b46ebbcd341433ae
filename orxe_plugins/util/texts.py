"""Texts out of files, commands and other programs: which of them can be kept, hashed and shown.

Half of a pair of UTF-16 is no text: no file in UTF-8 can hold it. Python also reads bytes of a file's name that are no
UTF-8 as such halves, from U+DC80 to U+DCFF, and writes them back as these bytes: such a path works, and is shown with
escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orxe_plugins.errors import OrxeError, shortened

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
_NO_NAME = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_SHOWN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: how such letters stand in JSON, whether written by Python or as escapes
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def encoded(text: str) -> bytes:
    """Bytes of any text, for hashes: UTF-8, and different bytes for different texts."""
    return text.encode("utf-8", "surrogatepass")


def is_utf8(text: str) -> bool:
    """Whether a text can be written in UTF-8; the name of a file need not be of this kind."""
    return _HALF.search(text) is None


def printable(text: str) -> str:
    """A text as any terminal and file can hold it.

    Bytes that are no UTF-8 and control characters become escapes: no name in a file moves the cursor.

    >>> printable("caf\\udce9 \\x1b[2J")
    'caf\\\\udce9 \\\\x1b[2J'
    """
    return _NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def wrong_in_name(text: str) -> str | None:
    """What cannot stand in a name that people read: a control character, or half of a pair; None if it is one."""
    found = _NO_NAME.search(text)
    return None if found is None else f"{found[0]!r} cannot stand in a name"


def wrong_in_text(text: str) -> str | None:
    """What cannot stand in a path or an address: a zero byte, or half of a pair; None if it is one."""
    found = _NO_TEXT.search(text)
    return None if found is None else f"{found[0]!r} cannot stand in a text"


def check_name(what: str, text: str) -> str:
    """A name that people read: of an expert, a class, a unit.

    Raises:
        OrxeError: it holds a control character, or half of a pair of UTF-16.
    """
    return _checked(what, text, wrong_in_name(text))


def check_text(what: str, text: str) -> str:
    """A text that becomes a path or an address.

    Raises:
        OrxeError: it holds a zero byte, or half of a pair of UTF-16.
    """
    return _checked(what, text, wrong_in_text(text))


def _checked(what: str, text: str, problem: str | None) -> str:
    if problem is not None:
        raise OrxeError(f"{what} is {shortened(text)}: {problem}")
    return text


def check_texts(values: Any, label: str, source: str | None = None) -> None:
    """Raise for the first text in plain values, keys among them, that no system can write.

    Args:
        values: what a file of JSON holds.
        label: what messages call the file.
        source: the file's text, which shows at once whether there can be such a text; None looks at every value.

    Raises:
        OrxeError: with the key and the value.
    """
    if source is not None and _ESCAPED.search(source) is None and _NO_TEXT.search(source) is None:
        return
    for place, text in _texts(values):
        check_text(f"{label}: {place or 'the content'}", text)


def _texts(values: Any) -> Iterator[tuple[str, str]]:
    """All texts in plain values, each with its place: ``experts[0].name``."""
    waiting: list[tuple[str, Any]] = [("", values)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, Mapping):
            for key, part in value.items():
                if isinstance(key, str):
                    yield f"a key in {place}" if place else "a key", key
                waiting.append((f"{place}.{printable(str(key))}".lstrip("."), part))
        elif isinstance(value, list):
            waiting += [(f"{place}[{i}]", part) for i, part in enumerate(value)]
