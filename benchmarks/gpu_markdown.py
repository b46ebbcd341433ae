"""The page that bench_gpu.py writes."""

from __future__ import annotations

from typing import Any

from paired import machine_line, shown
from speed_markdown import detector_table

from orxe_plugins.util.wording import plain


def to_markdown(result: dict[str, Any]) -> str:
    """Tables of everything that was measured."""
    parts = [
        "# Time of cascades on an accelerator",
        f"Written by `python benchmarks/bench_gpu.py`. {machine_line(result['about'])} TF32 is off. Ratios are of "
        "images/s, of runs that took turns, with the 10th and the 90th percentile of the rounds.",
    ]
    for pool in result["pools"]:
        parts += _pool(pool)
    if "classifiers" in result:
        parts.append(_classifiers(result["classifiers"]))
    if "detectors" in result:
        parts.append(detector_table(result["detectors"]))
    parts += [f"Not measured: {name}: {reason}." for name, reason in result["left_out"].items()]
    if "seconds" in result:
        parts.append(f"All of it took {result['seconds']:.0f} seconds.")
    return "\n\n".join(parts) + "\n"


def _pool(pool: dict[str, Any]) -> list[str]:
    reach = ", ".join(f"{100 * share:.0f}" for share in pool["reach"])
    routes = pool["routes"]
    waits = "" if routes["waits"] is None else f" Routing one batch, the host waited {routes['waits']} times."
    parts = [
        f"## {pool['dtype']}: {' -> '.join(pool['experts'])}",
        f"Random weights, inputs on the device; thresholds at quantiles, so that {reach} % of the images reach the "
        "experts. "
        f"Routes of {routes['rows']} images are those of the replay of the device's own confidences; "
        f"{routes['differing']} of them differ from the CPU's, all within {plain(routes['band'], 2)} of a threshold, "
        f"as much as confidences differ.{waits}",
    ]
    for backend, found in pool["backends"].items():
        parts += [_table(backend, found), _verdict(found)]
    return parts


def _verdict(found: dict[str, Any]) -> str:
    """Where the last expert alone is the better answer, and where it is not."""
    last = found["experts"][-1]
    rows = [(f"batches of {row['batch']}", row["against_last"]) for row in found["rows"]]
    rows.append(("a stream", found["stream"]["against_last"]))
    faster = [f"{what} ({ratio['value']:.2f} x)" for what, ratio in rows if ratio["low"] > 1]
    slower = [f"{what} ({ratio['value']:.2f} x)" for what, ratio in rows if ratio["high"] < 1]
    alike = [what for what, ratio in rows if ratio["low"] <= 1 <= ratio["high"]]
    told = [f"slower than {last} alone in {', '.join(slower)}"] if slower else []
    told += [f"as fast as it in {', '.join(alike)}"] if alike else []
    told += [f"faster in {', '.join(faster)}"] if faster else []
    return f"The cascade is {'; '.join(told)}."


def _table(backend: str, found: dict[str, Any]) -> str:
    experts = found["experts"]
    lines = [
        f"### {backend}",
        "",
        "Images/s. The ideal is the experts' own time under this backend, at the sub-batches that they get; of a "
        "stream, at full batches.",
        "",
        f"| batch | {' | '.join(f'{name} alone' for name in experts)} | cascade | of the ideal "
        f"| against {experts[-1]} |",
        "|---|" + "---|" * (len(experts) + 3),
    ]
    for row in found["rows"]:
        rate = row["images_per_second"]
        cells = [f"{rate[name]:.0f}" for name in (*experts, "cascade")]
        lines.append(
            f"| {row['batch']} | {' | '.join(cells)} | {shown(row['of_ideal'], 2)} | {shown(row['against_last'], 2)} |"
        )
    stream = found["stream"]
    if stream:
        blank = " | ".join([""] * len(experts))
        lines.append(
            f"| stream, {stream['batch']} | {blank} | {stream['images_per_second']:.0f} | "
            f"{shown(stream['of_ideal'], 2)} | {shown(stream['against_last'], 2)} |"
        )
    return "\n".join(lines)


def _classifiers(data: dict[str, Any]) -> str:
    names = list(data["rows"][0]["images_per_second"])
    against = list(data["rows"][0]["against_last"])
    top1 = "; ".join(
        f"with views made on the {where}, {', '.join(f'{name} {100 * score:.2f}' for name, score in of.items())}"
        for where, of in data["top1"].items()
    )
    head = ["what", "views made on the", *(f"{name}, images/s" for name in names)]
    head += [f"{name} against {data['experts'][-1]}" for name in against]
    rows = [
        [row["what"], row["views"], *(f"{row['images_per_second'][name]:.0f}" for name in names)]
        + [shown(row["against_last"][name], 2) for name in against]
        for row in data["rows"]
    ]
    return "\n".join([
        f"## Real weights: {' -> '.join(data['experts'])}, {data['dtype']}, {data['backend']}",
        "",
        f"{data['images']} ImageNet images, batches of {data['batch']}; {data['workers']} threads decode files. "
        f"Top-1: {top1}.",
        "",
        f"| {' | '.join(head)} |",
        "|---|---|" + "---|" * (len(head) - 2),
        *(f"| {' | '.join(row)} |" for row in rows),
    ])  # fmt: skip
