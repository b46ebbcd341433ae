"""The errors that users see: each names the thing, its value and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OrxeError(ValueError):
    """Something that the caller gave does not fit; the message says what and how to mend it."""


class MissingAttributeError(OrxeError, AttributeError):
    """Something that a model of a framework may have and this one has not, so that ``hasattr`` says no."""


class OrxeFileError(OrxeError, OSError):
    """A file or folder cannot be read or written; code that catches ``OSError`` catches it too."""


class OrxeWarning(UserWarning):
    """Something that the caller gave is odd, though it can be gone on with."""


class OrxeTypeError(OrxeError, TypeError):
    """An argument is of the wrong type; code that catches ``TypeError`` catches it too."""


def check_type(name: str, value: object, wanted: type | tuple[type, ...], way_out: str) -> None:
    """Refuse an argument of another type.

    >>> check_type("records", 3, dict, "load_records(folder) gives them")
    Traceback (most recent call last):
    orxe_plugins.errors.OrxeTypeError: records is 3, an int: expected a dict; load_records(folder) gives them

    Args:
        name: name of the argument.
        value: what was given.
        wanted: its type, or several.
        way_out: where such a value comes from.

    Raises:
        OrxeTypeError: ``value`` is no ``wanted``.
    """
    if isinstance(value, wanted):
        return
    types = wanted if isinstance(wanted, tuple) else (wanted,)
    expected = " or ".join(with_article(each.__name__) for each in types)
    given = f"{shortened(value)}, {with_article(type(value).__name__)}"
    raise OrxeTypeError(f"{name} is {given}: expected {expected}; {way_out}")


def with_article(word: str) -> str:
    """A word behind "a" or "an": "an int"."""
    return f"{'an' if word[:1].lower() in 'aeio' else 'a'} {word}"


def shortened(value: object, width: int = 80) -> str:
    """The ``repr`` of a value on one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:
        text = f"a number of {type(value).__name__} with thousands of digits"
    return text if len(text) <= width else f"{text[: width - 1]}…"


def unknown(kind: str, value: str, known: Iterable[str]) -> OrxeError:
    """An error for an unknown name, with the nearest known names as a suggestion.

    >>> str(unknown("expert", "timm:resnet81", ["timm:resnet18", "timm:vgg11"]))
    "unknown expert 'timm:resnet81': did you mean 'timm:resnet18'?"
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(value, names, n=3)
    if near:
        return OrxeError(f"unknown {kind} {value!r}: did you mean {' or '.join(map(repr, near))}?")
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return OrxeError(f"unknown {kind} {value!r}: known are {listed or 'none'}")


def check_known(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise :func:`unknown` for the first of the given names that is not a known one.

    >>> check_known("option of expert 'timm:vgg11'", {"input_size": 224}, ["input_size", "crop_pct"])
    """
    names = set(known)
    for name in given:
        if name not in names:
            raise unknown(kind, name, names)
