"""Which letters a picture can hold: its fonts are those of the machine that draws it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from matplotlib import font_manager

from orxe_plugins.report.formats import short_names
from orxe_plugins.report.lettering import shown, visible

#: fonts that are asked in turn for a letter, where they are installed; the first one comes with matplotlib
_FAMILIES = (
    "DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "PingFang SC",
    "Microsoft YaHei", "Hiragino Sans", "WenQuanYi Zen Hei", "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip
_UNKNOWN = "\ufffd"


@cache
def families() -> tuple[str, ...]:
    """The fonts that pictures are drawn with."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(family for family in _FAMILIES if family in installed)


@cache
def _has(letter: str) -> bool:
    fonts = (font_manager.get_font(font_manager.findfont(family)) for family in families())
    return any(font.get_char_index(ord(letter)) for font in fonts)


def drawn(text: str) -> str:
    """A text with a mark in place of each letter that no font has."""
    return "".join(letter if letter.isspace() or _has(letter) else _UNKNOWN for letter in visible(text))


def drawn_names(names: Sequence[str], width: int = 30) -> tuple[str, ...]:
    """Short names of N experts; one that cannot be drawn whole is "expert 2", by its place.

    So is one that is written from right to left: matplotlib draws it backwards, or the figures beside it.

    Args:
        names: in routing order.
        width: as in :func:`~orxe_plugins.util.wording.short_names`.
    """
    texts = [drawn(name) for name in short_names(names, width)]
    return tuple(
        f"expert {k}" if _UNKNOWN in text or shown(text) != text else text for k, text in enumerate(texts, start=1)
    )
