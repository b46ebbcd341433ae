"""Names of other people as a page shows them: letters that hide, or turn the text around them, do no harm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from orxe_plugins.util.texts import printable

#: letters without a shape: marks of direction, spaces of no width, soft hyphens
_HIDDEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_ISOLATE, _END = "\u2068", "\u2069"


def visible(text: str) -> str:
    """A text without letters that cannot be seen: escapes stand for them.

    None of them turns the figures behind it around, then, and two names that look alike are told apart.
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), printable(text))


def shown(text: str) -> str:
    """A text as a page shows it: :func:`visible`, and words that are written from right to left kept to themselves.

    >>> shown("a\\u202eb"), shown("12 \\u05d0\\u05d1 3 %")
    ('a\\\\u202eb', '12 \\u2068\\u05d0\\u05d1\\u2069 3 %')
    """
    plain = visible(text)
    if _RIGHT_TO_LEFT.search(plain) is None:
        return plain
    parts = re.split(r"(\s+)", plain)  # words at even places, what stands between them at odd ones
    turned = [k for k in range(0, len(parts), 2) if _RIGHT_TO_LEFT.search(parts[k])]
    for k in turned:
        if k - 2 not in turned:
            parts[k] = _ISOLATE + parts[k]
        if k + 2 not in turned:
            parts[k] += _END
    return "".join(parts)


def shown_values(value: Any) -> Any:
    """Plain values, such as those of JSON, with every text in them as :func:`shown` gives it; markup stays as it is."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {key: shown_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_values(part) for part in value]
    return value
