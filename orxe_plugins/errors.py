"""The errors that users see: each names the thing, its value and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OrxeError(ValueError):
    """Something that the caller gave does not fit; the message says what and how to mend it."""


class MissingAttributeError(OrxeError, AttributeError):
    """Something that a model of a framework may have and this one has not, so that ``hasattr`` says no."""


class OrxeWarning(UserWarning):
    """Something that the caller gave is odd, though it can be gone on with."""


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
