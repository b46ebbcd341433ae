"""The files of a report; each is put in place as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orxe_plugins._moved import moved_names
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.html import to_html
from orxe_plugins.report.theme import LIGHT, save_figure
from orxe_plugins.util.files import remove_leftovers, write_atomically, write_json, write_text

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        markdown, html: the report, for people.
        json, csv: its data, for programs.
        pictures: each picture as PNG and as SVG.
    """

    markdown: Path
    html: Path
    json: Path
    csv: Path
    pictures: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (self.markdown, self.html, self.json, self.csv, *self.pictures)


def write_document(
    document: Document,
    folder: Path,
    name: str,
    data: dict[str, Any],
    csv_name: str,
    csv_rows: Sequence[dict[str, Any]],
) -> ReportFiles:
    """Write a document as Markdown and HTML, its pictures, its data as JSON and its rows as CSV.

    Args:
        document: the report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
        name: name of the Markdown, HTML and JSON files, without suffix.
        data: what the JSON file holds beside title, summary and warnings.
        csv_name: name of the CSV file, without suffix.
        csv_rows: its rows, at least one, all with the same keys.
    """
    # Not at the top: a module does not import the package that it is a part of.
    from orxe_plugins import __version__

    remove_leftovers(folder, "*")
    pictures = [path for picture in document.pictures for path in _write_picture(picture, folder)]
    files = ReportFiles(
        folder / f"{name}.md", folder / f"{name}.html", folder / f"{name}.json", folder / f"{csv_name}.csv",
        tuple(pictures),
    )  # fmt: skip
    write_text(files.markdown, document.to_markdown())
    write_text(files.html, to_html(document, __version__))
    write_json(files.json, {"title": document.title, "summary": list(document.summary),
                            "warnings": list(document.warnings), **data})  # fmt: skip
    write_text(files.csv, to_csv(csv_rows))
    return files


def _write_picture(picture: Picture, folder: Path) -> list[Path]:
    figure = picture.draw(LIGHT)
    paths = [folder / f"{picture.name}{suffix}" for suffix in (".png", ".svg")]
    for path in paths:
        write_atomically(path, partial(save_figure, figure, theme=LIGHT))
    return paths


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows, at least one and all with the same keys, as CSV text under a line of these keys; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
