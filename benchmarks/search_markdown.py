"""The tables of bench_search.py."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def to_markdown(result: dict[str, Any]) -> str:
    """All tables with what they were measured with."""
    about, rows = result["about"], result["rows"]
    lines = [
        "# The threshold search beside three baselines",
        "",
        "Synthetic records (`benchmarks/synthetic.py`, seed 0), exit and skip thresholds, "
        f"{about['cores']} cores ({about['machine']}), NumPy {about['numpy']}. Written by `make bench-search`. "
        "Every job ran once, in a process of its own, with its records in memory and numba's compiled code loaded. "
        "CPU time is that of all threads; wall time suffers from whatever else the machine does. Peak memory is that "
        "of the whole process with Python, torch and the records. The baselines are plain NumPy on one core: "
        "Algorithm 1 of ORXE's supplement with a bounded scalar minimiser, each threshold once in order, and "
        "one common threshold out of 101. Where a baseline searched for fewer preferences, its ratios are per "
        "preference. Objective: how much above this search's, mean and extremes over the preferences that both "
        "searched for.",
    ]
    for group in dict.fromkeys(row["group"] for row in rows):
        lines += ["", f"## {group[0].upper()}{group[1:]}", ""]
        lines += [
            "| method | experts | samples | preferences | wall s | CPU s | peak MB | wall per preference | CPU per "
            "preference | objective above |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(row, rows) for row in rows if row["group"] == group]
        if group == "time against M":
            lines += ["", _growth([row for row in rows if row["group"] == group])]
    lines += ["", _gaps(rows)]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    size = ("group", "experts", "samples", "preferences")
    ours = next((r for r in rows if r["lower_bound"] and all(r[k] == row[k] for k in size)), None)
    wall, cpu, above = "", "", ""
    if ours and ours is not row:
        per = row["seconds"] / row["searched"], row["cpu_seconds"] / row["searched"]
        wall = f"x {per[0] / ours['seconds'] * ours['searched']:.3g}"
        cpu = f"x {per[1] / ours['cpu_seconds'] * ours['searched']:.3g}"
        both = [p for p in row["objective"] if p in ours["objective"]]
        more = [100 * (row["objective"][p] / ours["objective"][p] - 1) for p in both]
        above = f"{sum(more) / len(more):.2f} % ({min(more):.3f} to {max(more):.2f})"
    elif ours:
        wall, cpu = "x 1", "x 1"
    count = f"{row['searched']} of {row['preferences']}" if row["searched"] < row["preferences"] else row["preferences"]
    return (
        f"| {row['method']} | {row['experts']} | {row['samples']:,} | {count} | {row['seconds']:.2f} "
        f"| {row['cpu_seconds']:.2f} | {row['peak_mb']:.0f} | {wall} | {cpu} | {above} |"
    )


def _growth(rows: list[dict[str, Any]]) -> str:
    steps = []
    for a, b in pairwise(rows):
        steps.append(
            f"{a['samples']:,} to {b['samples']:,}: x {b['seconds'] / a['seconds']:.2f} wall, "
            f"x {b['cpu_seconds'] / a['cpu_seconds']:.2f} CPU, for x {b['samples'] / a['samples']:.2f} samples"
        )
    return "Growth: " + "; ".join(steps) + "."


def _gaps(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        if row["lower_bound"] and row["preferences"] > 1 and row["group"] != "time against M":
            gaps = [row["objective"][p] / bound - 1 for p, bound in row["lower_bound"].items() if bound > 0]
            size = f"{row['experts']} x {row['samples']:,}"
            parts.append(f"{size}: {100 * min(gaps):.0f} to {100 * max(gaps):.0f} %")
    return (
        "Gap between this search's objective and the lower bound, over the preferences: "
        + "; ".join(parts)
        + ". The bound lets an oracle choose behind the second expert: most of the gap cannot be closed by any policy."
    )
