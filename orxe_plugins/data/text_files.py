"""Text that people wrote: lists of names and tables, from any editor and any spreadsheet."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular

#: marks at the beginning of a file, and the encodings that they stand for; UTF-32 begins as UTF-16 does
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, kind: str) -> str:
    """A file's text: UTF-8, or UTF-16 and UTF-32 where a byte order mark says so; line ends become newlines.

    Args:
        path: the file.
        kind: what the file is, for messages, such as "class map".

    Raises:
        OrxeError: there is no such file, it may not be read, or it is of another encoding.
    """
    try:
        data = regular(path).read_bytes()
    except FileNotFoundError as error:
        raise OrxeError(f"{kind} {str(path)!r} does not exist") from error
    except OSError as error:
        raise OrxeError(f"{kind} {str(path)!r} cannot be read: {error.strerror}") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise OrxeError(f"{kind} {str(path)!r}, line {line}: not {encoding.upper()} text; save it as UTF-8") from error
    if "\0" in text:
        raise OrxeError(f"{kind} {str(path)!r} is no text file, or UTF-16 without a mark; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path, kind: str) -> list[str]:
    """A text file's lines without their ends, see :func:`read_text`."""
    return read_text(path, kind).split("\n")


def same_name(name: str) -> str:
    """One form of a name: systems write letters with accents as one character or as two."""
    return unicodedata.normalize("NFC", name)
