"""quality.json as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quality_sections import SECTIONS, shift_table
from recorded_data import heading


def to_markdown(result: dict[str, Any]) -> str:
    """One table for each data set."""
    settings = result["settings"]
    shares = " / ".join(f"{100 * share:g}" for share in settings["shares"])
    preferences = settings["preferences"]
    parts = [
        "# What searches, signals and promises are worth on new samples",
        "## Searches",
        f"Policies for {len(preferences)} preferences from {preferences[0]:g} to {preferences[-1]:g} are fitted on n "
        f"samples, drawn at random {settings['splits']} times, and reported on all others by their labels; n is at "
        "most half of a data set. The same draws serve all methods. Recorded scores are what ORXE's paper and release "
        "0.1.0 search on: the argmin over recorded right answers, and the cheapest policy whose recorded drop is "
        "allowed. Without labels, a score is agreement with the last expert (measured at two n). Auto is the default.",
        f"Score: in points, at {shares} % of the last expert's cost, between the policies of a table by linear "
        "interpolation (which mixing two policies reaches). Gain: their mean less that of the first row, with a 95 % "
        f"interval. Drop @ cost: {100 * settings['max_drop']:g} point is allowed. It is the mean drop on the other "
        "samples of the policy that is chosen for it, and its mean cost over the last expert's; in brackets the "
        "largest drop, and how often it was more than allowed. Objective: mean over the preferences; its change from "
        "the first row with a 99 % interval, below 0 is better. Intervals are paired, by Student's t over the draws: "
        "they cover the draw of the samples that policies are fitted on, not that of the whole data set. The form of "
        "the regression and the two constants of the safe side were chosen on other draws of the same two data sets "
        "(other random seeds), which share samples with these. "
        "Written by `python benchmarks/bench_quality.py`.",
    ]
    for name, data in result["data"].items():
        parts.append("#" + heading(name, data))
        parts.append(_table(data["rows"], shares, settings["max_drop"]))
    for name, written in SECTIONS.items():
        if result.get(name):
            parts += written(result[name])
    parts.append("With " + ", ".join(f"{name} {number}" for name, number in result["versions"].items()) + ".")
    parts += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, Any]], shares: str, max_drop: float) -> str:
    head = ("n", "Search on", f"Score at {shares} %", "Gain (95 %)", "Drop @ cost", "Objective", "Change (99 %)")
    lines = [f"| {' | '.join(head)} |", "|---:|---|---|---|---|---:|---|"]
    for row in rows:
        broken = sum(drop > max_drop + 1e-12 for drop in row["drop_of_draws"])
        gain, low, high = (100 * value for value in row["gain"])
        change, least, most = row["objective_change"]
        cells = (
            f"{row['n']:,}",
            row["method"],
            " / ".join(f"{100 * score:.1f}" for score in row["score_at"]),
            f"{gain:+.2f} ({low:+.2f} to {high:+.2f})",
            f"{100 * row['drop']:.2f} @ {row['cost']:.2f} ({100 * max(row['drop_of_draws']):.1f}; "
            f"{broken}/{len(row['drop_of_draws'])})",
            f"{row['objective']:.4f}",
            f"{change:+.4f} ({least:+.4f} to {most:+.4f})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def put_into_docs(page: Path, result: dict[str, Any]) -> None:
    """Put the short tables of searches and of shifted images into a page of the documentation, between their marks."""
    head = ("data", "n", "gain", "one point allowed: drop @ cost, recorded scores", "the same, auto")
    lines = [f"| {' | '.join(head)} |", "|---|---:|---|---|---|"]
    for name, data in result["data"].items():
        of = {(row["n"], row["method"]): row for row in data["rows"]}
        for n in dict.fromkeys(row["n"] for row in data["rows"]):
            raw, auto = of[n, "labels, recorded scores"], of[n, "labels, auto"]
            gain, low, high = (100 * value for value in auto["gain"])
            drops = (f"{100 * row['drop']:.1f} @ {row['cost']:.2f}" for row in (raw, auto))
            lines.append(f"| {' | '.join((name, f'{n:,}', f'{gain:+.1f} ({low:+.1f} to {high:+.1f})', *drops))} |")
    text = _between(page.read_text(), "bench_quality", "\n".join(lines))
    if result.get("shift"):
        text = _between(text, "bench_quality shift", shift_table(result["shift"]))
    page.write_text(text)


def _between(text: str, name: str, written: str) -> str:
    """The text with something else between the marks of a name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{written}\n{end}{rest.split(end)[1]}"
