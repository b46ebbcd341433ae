"""The report as one HTML file that needs nothing else: styles, tables and pictures are inside."""

from __future__ import annotations

import base64
import io
from html import escape

from matplotlib.figure import Figure

from orxe_plugins.report.document import Document, Highlight, Picture
from orxe_plugins.report.theme import DARK, LIGHT, Theme, styled

_REM_PER_INCH = 5.4
_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --muted: #59636e; --line: #d8dee4;
  --panel: #f6f8fa; --accent: #0072b2; --mark: #e3f0fa; --warn: #fff4d6; --warn-line: #d4a72c; }
@media (prefers-color-scheme: dark) { :root { --paper: #161b22; --ink: #e6edf3; --muted: #9198a1; --line: #30363d;
  --panel: #1f262e; --accent: #56b4e9; --mark: #12314a; --warn: #3a2f10; --warn-line: #9e7a1a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; overflow-wrap: anywhere; }
.lead { max-width: 60rem; overflow-wrap: anywhere; }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: .6rem 1rem; margin: .75rem 0; }
.highlights { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0; padding: 0; }
.highlights div { flex: 1 1 13rem; background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: .8rem 1rem; }
.highlights dt { color: var(--muted); font-size: .9rem; }
.highlights dd { margin: 0; font-size: 1.9rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.highlights dd + dd { color: var(--muted); font-size: .85rem; font-weight: 400; }
.pictures { display: grid; gap: 1.5rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: 1rem; }
figure img { display: block; width: 100%; height: auto; margin: 0 auto; }
figcaption, .note { color: var(--muted); font-size: .875rem; max-width: 60rem; margin: .6rem auto 0; }
.note { margin-left: 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .65rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--panel); font-weight: 600; white-space: nowrap; }
th[title] { text-decoration: underline dotted var(--muted); text-underline-offset: 3px; cursor: help; }
td.number, th.number { text-align: right; white-space: nowrap; }
td:first-child { white-space: nowrap; }
td:last-child:not(.number) { min-width: 15rem; }
tbody tr:last-child td { border-bottom: 0; }
tr.marked td { background: var(--mark); font-weight: 600; }
.facts { display: grid; grid-template-columns: minmax(10rem, max-content) 1fr; gap: .3rem 1.25rem; font-size: .9rem; }
.facts dt { color: var(--muted); } .facts dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; color: var(--muted); font-size: .8rem; }
@media (max-width: 40rem) { .facts { grid-template-columns: 1fr; } .facts dd { margin-bottom: .5rem; } }
@media print {
  main { max-width: none; padding: 0; } .scroll { overflow: visible; } figure, tr { break-inside: avoid; }
}
"""


def to_html(document: Document, version: str = "") -> str:
    """One self-contained page, light or dark as the reader's system is.

    Args:
        document: the report; every text of it is escaped.
        version: version of this software, for the foot of the page.
    """
    pictures = "".join(_picture(picture) for picture in document.pictures)
    facts = "".join(f"<dt>{escape(what)}</dt><dd>{escape(how)}</dd>" for what, how in document.facts)
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(document.title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(document.title)}</h1>",
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in document.summary),
        *(f'<p class="warning" role="note">Warning: {escape(warning)}</p>' for warning in document.warnings),
        _highlights(document.highlights),
        f'<div class="pictures">{pictures}</div>' if pictures else "",
        *(table.to_html() for table in document.tables),
        f'<section><h2>How these figures came about</h2><dl class="facts">{facts}</dl></section>' if facts else "",
        f"<footer>Made with orxe-plugins {escape(version)}</footer></main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _highlights(highlights: tuple[Highlight, ...]) -> str:
    if not highlights:
        return ""
    cards = "".join(
        f"<div><dt>{escape(each.label)}</dt><dd>{escape(each.value)}</dd><dd>{escape(each.note)}</dd></div>"
        for each in highlights
    )
    return f'<dl class="highlights">{cards}</dl>'


def _picture(picture: Picture) -> str:
    """A picture in both themes; the browser takes the one that suits the page."""
    figure = picture.draw(LIGHT)
    light, dark = _data_uri(figure, LIGHT), _data_uri(picture.draw(DARK), DARK)
    # Text is as large in a wide picture as in a narrow one.
    width = f"{_REM_PER_INCH * figure.get_figwidth():.1f}rem"
    caption = escape(picture.caption)
    return (
        f'<figure id="{escape(picture.name)}"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{caption}" style="max-width:{width}"></picture>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _data_uri(figure: Figure, theme: Theme) -> str:
    buffer = io.BytesIO()
    with styled(theme):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
