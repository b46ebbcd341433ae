"""Numbers and names as sentences and tables write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence


def significant(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and no exponent: 0.0136, 0.860, 115, 1,150; not finite: "-"."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    after_point = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{after_point}f}"


def signed(value: float, digits: int) -> str:
    """A number with its sign and so many digits after the point; 0 has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def short_names(names: Sequence[str], width: int = 30) -> tuple[str, ...]:
    """Names for pictures and tables: without adapter and options, and cut in the middle where they are long.

    Where two names would become the same, all of them keep what makes them different.

    Args:
        names: names of experts, such as addresses; no two are the same.
        width: the largest number of letters.
    """
    bare = [re.sub(r"\?.*$", "", re.sub(r"^[A-Za-z_][\w-]*:(?=.)", "", name)) or name for name in names]
    for candidates in ([_cut(name, width) for name in bare], bare, list(names)):
        if len(set(candidates)) == len(names):
            return tuple(candidates)
    return tuple(names)


def _cut(name: str, width: int) -> str:
    if len(name) <= width:
        return name
    head = (width - 1) * 2 // 3
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
