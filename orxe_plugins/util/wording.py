"""Numbers and names as sentences and tables write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: numbers beyond these are written with a power of ten
_LEAST, _MOST = 1e-9, 1e15
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and no exponent: 0.0136, 0.860, 115, 1,150; not finite: "-"."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    after_point = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{after_point}f}"


def plain(value: float, digits: int = 4) -> str:
    """A number with ``digits`` significant digits, or all those before the point, and no zeros at the end.

    Very small and very large ones are written with a power of ten that people read; not finite: "-".

    >>> [plain(value) for value in (2.457e-5, 12345.6, 0.5, 1.6e-12)]
    ['0.00002457', '12346', '0.5', '1.6 × 10⁻¹²']
    """
    if not math.isfinite(value):
        return "-"
    if value and not _LEAST <= abs(value) < _MOST:
        head, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_without_zeros(head)} × 10{str(int(exponent)).translate(_RAISED)}"
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return _without_zeros(f"{value:.{max(0, digits - before)}f}")


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


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
