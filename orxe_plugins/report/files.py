"""The files of a report, each put in place whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orxe_plugins.evaluation.results import Evaluation, Result
from orxe_plugins.policies.policy import Policy
from orxe_plugins.report.content import evaluation_document
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.html import to_html
from orxe_plugins.report.tables import Table
from orxe_plugins.report.theme import LIGHT, save_figure
from orxe_plugins.util.files import write_atomically, write_json, write_text


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        markdown, html, json: the report, for people and for programs.
        csv: the figures of every preference and expert, or of every candidate.
        pictures: each as PNG and as SVG.
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


def write_report(
    evaluation: Evaluation, folder: str | Path, *, title: str = "", more_tables: Sequence[Table] = ()
) -> ReportFiles:
    """Write the report of an evaluation: ``report.md``, ``report.html``, ``report.json``, ``policies.csv``, pictures.

    Args:
        evaluation: what to report.
        folder: is made if it is not there; files of an earlier report are replaced, each by one rename.
        title: head of the report; by default it names the data set.
        more_tables: tables behind those of the policies and the experts, such as a shift table.
    """
    document = evaluation_document(evaluation, title, more_tables)
    return write_document(document, Path(folder), "report", evaluation.to_dict(), "policies", policy_rows(evaluation))


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
        folder: where to.
        name: stem of the Markdown, HTML and JSON files.
        data: what the JSON file holds.
        csv_name: stem of the CSV file.
        csv_rows: its rows, all with the same keys.
    """
    # Imported here: the package's head imports what this module must not wait for.
    from orxe_plugins import __version__

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
    """Rows with the same keys as CSV text with a head; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def policy_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row for each preference, then one for each expert, in full precision.

    ``kind`` is "policy" or "expert"; scores are fractions; a disabled expert's exit threshold is empty.
    """
    names = evaluation.names
    extras = list(dict.fromkeys(key for row in evaluation.policies for key in row.extras))
    rows = []
    for row in evaluation.policies:
        fit = {"fit_cost": row.fit_cost, "fit_score": row.fit_score, "optimism": row.optimism}
        more = {name: row.extras.get(name) for name in extras}
        head = {"kind": "policy", "preference": row.preference, "expert": None}
        rows.append({**head, **_figures(row.result), **fit, **more, **_shares(row.result, names),
                     **_thresholds(row.policy, names)})  # fmt: skip
    for expert in evaluation.experts:
        head = {"kind": "expert", "preference": None, "expert": expert.name}
        blank = dict.fromkeys(rows[0])
        rows.append({**blank, **head, **_figures(expert.result), **_shares(expert.result, names)})
    return rows


def _figures(result: Result) -> dict[str, float]:
    figures = {}
    for name in ("cost", "score", "score_difference", "cost_ratio"):
        estimate = getattr(result, name)
        figures.update({name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high})
    return figures


def _shares(result: Result, names: Sequence[str]) -> dict[str, float]:
    return {f"exit_share[{name}]": share for name, share in zip(names, result.exit_share, strict=True)}


def _thresholds(policy: Policy, names: Sequence[str]) -> dict[str, float | None]:
    exits = {f"exit_threshold[{name}]": t for name, t in zip(names[:-1], policy.exit_thresholds, strict=True)}
    skips = {f"skip_threshold[{name}]": t for name, t in zip(names[:-1], policy.skip_thresholds, strict=True)}
    return {**exits, **skips}
