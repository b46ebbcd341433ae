"""The page that bench_resolutions.py writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def to_markdown(result: dict[str, Any]) -> str:
    """The measured figures as tables."""
    about = result["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# One detector at several resolutions",
        "",
        f"{about['expert']} on {about['images']} images of COCO with {about['boxes']} boxes ({versions}). "
        f"1 MAC = 2 FLOPs. AP is COCO's mAP50-95 in points; intervals are 95 %, by a paired bootstrap over the images "
        f"with {about['resamples']} draws. With so few images a figure is good to some points.",
        "",
        "Each resolution alone:",
        "",
        "| imgsz | GMACs | AP |",
        "|---|---|---|",
        *(f"| {row['imgsz']} | {row['gmacs']:.3f} | {_with(row['ap'], row['interval'])} |" for row in result["alone"]),
    ]
    for cascade in result["cascades"]:
        lines += _curve(cascade)
    lines += _held_out(result["held_out"], about["halves"])
    return "\n".join(lines) + "\n"


def _curve(cascade: dict[str, Any]) -> list[str]:
    return [
        "",
        f"## {cascade['first']} before {cascade['last']}",
        "",
        "The images with the highest mean box score end at the small view. At random: as many images, drawn at "
        "random, end there.",
        "",
        "| ends at the small view | GMACs | AP | less the last alone | AP at random | less random |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['share']:.0%} | {row['gmacs']:.3f} | {_with(row['ap'], row['interval'])} "
            f"| {_span(row['less_last'])} | {100 * row['ap_at_random']:.1f} | {_span(row['less_random'])} |"
            for row in cascade["rows"]
        ),
    ]


def _held_out(rows: Sequence[dict[str, Any]], halves: int) -> list[str]:
    return [
        "",
        "## Fitted on one half, paid on the other",
        "",
        "The best policy within a budget on a random half of the images, replayed on the other half; mean and "
        f"standard deviation over {halves} random halves. Mixing is the straight line between both ends alone.",
        "",
        "| first | budget, share of the last | cost, share of the last | AP less the last | AP less mixing |",
        "|---|---|---|---|---|",
        *(
            f"| {row['first']} | {row['budget']:.0%} | {row['cost']:.0%} | {_and(row['less_last'])} "
            f"| {_and(row['less_mixing'])} |"
            for row in rows
        ),
    ]


def _with(value: float, interval: Sequence[float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _span(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def _and(pair: Sequence[float]) -> str:
    return f"{100 * pair[0]:+.1f} ± {100 * pair[1]:.1f}"
