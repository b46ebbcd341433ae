"""The report as one HTML file that needs nothing else: styles, tables and pictures are inside."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, replace
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.lettering import shown, shown_values
from orxe_plugins.report.theme import DARK, LIGHT, NARROW_WIDTH, Theme, styled

_REM_PER_INCH = 5.4
_PLACE = re.compile(r"-?\d+\.\d{3,}(?![\de])")


@dataclass(frozen=True)
class _Drawn:
    """A picture as the page holds it; the browser takes the one that suits the page.

    Attributes:
        name, caption: those of the picture.
        width: largest width in CSS units.
        light: the picture as a data URI.
        dark: the same for dark pages; None where the light one has to do.
        narrow: (light, dark) for a phone; None where the picture has no such form, so that it is scrolled.
    """

    name: str
    caption: str
    width: str
    light: str
    dark: str | None
    narrow: tuple[str, str] | None = None


def to_html(document: Document, version: str = "") -> str:
    """One self-contained page, light or dark as the reader's system is.

    Args:
        document: the report; every text of it is escaped.
        version: version of this software, for the foot of the page.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            document=document,
            pictures=[_drawn(picture, _fallback(picture, document)) for picture in document.pictures],
            tables=[table.for_files() for table in document.tables],
            chooser=document.chooser,
            chooser_values=shown_values(document.chooser),
            version=version,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orxe_plugins.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_text,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["split_interval"] = split_interval
    environment.filters["code"] = code
    return environment


def split_interval(cell: str) -> tuple[str, str]:
    """A figure and its interval, which a narrow page sets on a line of its own.

    >>> split_interval("91.1 (88.3 to 93.5)")
    ('91.1', '(88.3 to 93.5)')
    """
    found = re.fullmatch(r"(\S+) (\(.+ to .+\))", cell)
    return (found[1], found[2]) if found else (cell, "")


def code(text: str) -> Markup:
    """A text in which what stands between backticks is set as code; all of it is escaped.

    >>> code("`orxe check` shows <them>")
    Markup('<code>orxe check</code> shows &lt;them&gt;')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(shown(text)))))


def _text(value: object) -> object:
    """A value on its way into the page."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fallback(picture: Picture, document: Document) -> bool:
    """Whether the picture is only seen where scripts do not run, as the chooser draws its own."""
    return picture.name == "frontier" and document.chooser is not None


def _drawn(picture: Picture, fallback: bool) -> _Drawn:
    light = picture.draw(LIGHT)
    # Text is as large in a wide picture as in a narrow one.
    width = f"{_REM_PER_INCH * light.get_figwidth():.1f}rem"
    dark, narrow = (None, None) if fallback else (_data_uri(picture.draw(DARK), DARK), _narrow(picture))
    return _Drawn(picture.name, picture.caption, width, _data_uri(light, LIGHT), dark, narrow)


def _narrow(picture: Picture) -> tuple[str, str] | None:
    """The picture for a phone in both themes; None where it is not drawn narrower than a phone needs."""
    themes = [replace(theme, narrow=True) for theme in (LIGHT, DARK)]
    figures = [picture.draw(theme) for theme in themes]
    if figures[0].get_figwidth() > NARROW_WIDTH:
        return None
    light, dark = (_data_uri(figure, theme) for figure, theme in zip(figures, themes, strict=True))
    return light, dark


def _data_uri(figure: Figure, theme: Theme) -> str:
    buffer = io.BytesIO()
    with styled(theme):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(compact(buffer.getvalue().decode()).encode()).decode("ascii")


def compact(svg: str) -> str:
    """An SVG in fewer bytes: places keep two digits after the point, a two-thousandth of a millimetre.

    >>> compact('<path d="M 12.345678 5 \\nL 1 2.5 \\nz"/>')
    '<path d="M12.35 5L1 2.5z"/>'
    """

    def places(found: re.Match[str]) -> str:
        short = _PLACE.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), found[2])
        return found[1] + re.sub(r"\s*([A-Za-z])\s*", r"\1", short).strip() + found[3]

    whole = re.sub(r'( d="| [xy]="|translate\()([^")]*)(["\)])', places, svg)
    return re.sub(r">\s+<", "><", re.sub(r"<!-- .*? -->", "", whole))
