"""Put the figures of a run of the digits recipe into the documentation: `make figures` calls it.

The report becomes docs/figures/digits.md with its pictures; its sentences and its table of policies go into README.md.

With a page, as in `python docs/make_figures.py runs/digits_detection/report recipes/digits_detection/README.md`, the
sentences of a report alone go into that page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
BEGIN, END = "<!-- make figures: begin -->", "<!-- make figures: end -->"
PICTURES = {"frontier.png": "digits.png", "shares.png": "digits_shares.png"}
#: how many rows of the report's table of policies README.md shows, about
SHOWN = 5
#: and which columns
COLUMNS = ("Preference", "GMACs", "Cost change", "top1 %", "Paired difference")


def main(report: Path) -> None:
    """Copy the report in the folder ``report`` and quote it in README.md."""
    FIGURES.mkdir(exist_ok=True)
    text = (report / "report.md").read_text(encoding="utf-8")
    for name, picture in PICTURES.items():
        (FIGURES / picture).write_bytes((report / name).read_bytes())
        text = text.replace(f"]({name})", f"]({picture})")
    (FIGURES / "digits.md").write_text(text, encoding="utf-8")
    put(quote(text), ROOT / "README.md")


def put(text: str, page: Path) -> None:
    """Put some text into a page, between its marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def sentences(report: str) -> str:
    """What a report in Markdown says before its first picture, without the heading."""
    return report.split("\n![", 1)[0].split("\n", 1)[1].strip()


def quote(report: str) -> str:
    """What README.md shows of a report in Markdown: its sentences and some columns of the table of policies."""
    table = re.search(r"## Policies .*?\n\n(\|.*?)\n\n", report, re.DOTALL)
    assert table is not None, "the report has no table of policies"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    chosen = [rows[0].index(column) for column in COLUMNS]
    lines = ["| " + " | ".join(row[i] for i in chosen) + " |" for row in rows]
    rows_below = lines[2:]
    policies = [line for line in rows_below if not line.startswith("| **")]
    shown = {0, len(policies) - 1, *range(0, len(policies), max(1, len(policies) // SHOWN))}
    kept = [line for i, line in enumerate(policies) if i in shown]
    marked = [line for line in rows_below if line.startswith("| **")]
    last = "The marked row is the one that the sentences speak of."
    return "\n\n".join([sentences(report), "\n".join([*lines[:2], *kept, *marked]), last])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        put(sentences((Path(sys.argv[1]) / "report.md").read_text(encoding="utf-8")), Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
