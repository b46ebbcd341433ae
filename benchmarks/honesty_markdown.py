"""honesty.json as Markdown."""

from __future__ import annotations

from typing import Any

from recorded_data import heading


def to_markdown(result: dict[str, Any]) -> str:
    """One table for each data set, and what was learnt."""
    settings = result["settings"]
    parts = [
        "# Fitted policies on samples that they were not fitted on",
        "Each row asks for the cheapest policy that drops by at most so much against the last expert. "
        f"{settings['splits']} random halves: everything is fitted, chosen and tested on one half and reported on the "
        "other. A promised policy is fitted on a quarter of the samples and tested on another, with "
        f"{100 * settings['confidence']:g} % confidence; the others are fitted on the whole half. "
        f"{settings['preferences']} preferences, exit and skip thresholds. Where nothing could be promised, the last "
        "expert alone stands in, with a drop of 0.",
        "Drops are in points, averaged over the halves. The interval is a 95 % bootstrap over samples, each with its "
        "mean drop over the halves that it was held out in; it does not cover the draw of the samples that policies "
        "were fitted on. Cost is that of the held-out half over the last expert's; in brackets the least and the "
        "greatest of the halves. Broken counts halves whose held-out drop was larger than allowed: half of them are "
        "expected of a policy whose true drop is just what is allowed. What was learnt: "
        "[choosing.md](../docs/choosing.md). Written by `python benchmarks/bench_honesty.py`.",
    ]
    for name, data in result["data"].items():
        parts.append(heading(name, data))
        parts.append(_table(data["rows"], settings["splits"]))
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, Any]], splits: int) -> str:
    head = ("Allowed", "Policy", "Found", "Drop when fitted", "Drop held out (95 %)", "Cost held out", "Broken")
    lines = [f"| {' | '.join(head)} |", "|---:|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        cells = (
            f"{100 * row['max_drop']:g}",
            row["method"],
            f"{row['policies_found']}/{splits}",
            f"{100 * row['fit_drop']:+.2f}",
            f"{100 * row['drop']:+.2f} ({100 * row['drop_low']:+.2f} to {100 * row['drop_high']:+.2f})",
            f"{row['cost']:.3f} ({min(row['cost_of_splits']):.3f} to {max(row['cost_of_splits']):.3f})",
            f"{row['splits_above']}/{splits}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
