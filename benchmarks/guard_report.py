"""The table and the picture of bench_guard.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.report.theme import LIGHT, new_figure, save_figure, styled


def to_markdown(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    settings, ways, alarm = result["settings"], result["ways"], result["alarm"]
    budget, window = settings["budget"], settings["window"]
    lines = [
        "# A budget under inputs that get harder",
        "",
        f"{' -> '.join(settings['experts'])} ({' and '.join(f'{c:g}' for c in settings['gmacs'])} GMACs), thresholds "
        f"fitted on {settings['fit_samples']} images for {budget:g} GMACs an image. The stream: {settings['phase']} "
        "natural images of the other half, as many of uniform noise, and as many natural ones after three gradient "
        f"steps of 2/255 that make the first expert unsure; batches of {settings['batch']}. The guard keeps {budget:g} "
        f"GMACs over every {window} images in a row.",
        "",
        "| stream | without: GMACs, dearest window | score | with guard: GMACs, dearest window | score |",
        "|---|---|---|---|---|",
    ]
    for i, phase in enumerate(settings["phases"]):
        cells = [phase]
        for way in ("without", "with"):
            part = slice(i * settings["phase"], (i + 1) * settings["phase"])
            dearest = windows(ways[way]["cost"], window)[_ends(part, window)].max()
            score = ways[way]["score"][phase]
            cells += [
                f"{np.mean(ways[way]['cost'][part]):.3f}, {dearest:.3f}",
                "-" if score is None else f"{100 * score:.1f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    over = {way: windows(ways[way]["cost"], window) / budget - 1 for way in ways}
    lines += [
        "",
        f"Of {len(over['with']):,} windows, {int((over['without'] > 0.05).sum()):,} cost over 5 % above the budget "
        f"without the guard (the dearest {100 * over['without'].max():+.1f} %), and {int((over['with'] > 0.05).sum())} "
        f"with it (the dearest {100 * over['with'].max():+.1f} %). The guard changed the policy "
        f"{ways['with']['changes']} times and held {ways['with']['held_back']} images back.",
        "",
        f"The drift alarm, at a stated rate of false alarms of {100 * alarm['rate']:g} %: {alarm['false']} of "
        f"{alarm['streams']:,} streams of {alarm['length']:,} images raise it that are resampled from the held-out "
        f"records. It notices the noise after {alarm['noticed_after']} images: {ways['without']['alarm_reason']}.",
        "",
        "![mean cost of the last images, with and without the guard](guard.png)",
    ]
    return "\n".join(lines) + "\n"


def windows(cost: list[float], window: int) -> np.ndarray:
    """Mean cost of every ``window`` samples in a row."""
    sums = np.concatenate([[0.0], np.cumsum(cost)])
    return (sums[window:] - sums[:-window]) / window


def draw(result: dict[str, Any], path: Path) -> None:
    """The mean cost of the last window along the stream."""
    settings, ways = result["settings"], result["ways"]
    budget, window, phase = settings["budget"], settings["window"], settings["phase"]
    with styled(LIGHT):
        figure = new_figure(7.6, 3.8)
        axes = figure.subplots()
        for way, label, colour in (
            ("without", "without a guard", LIGHT.expert),
            ("with", "with the guard", LIGHT.cascade),
        ):
            mean = windows(ways[way]["cost"], window)
            axes.plot(np.arange(window, window + len(mean)), mean, color=colour, label=label)
        axes.axhline(budget, color=LIGHT.ink, linewidth=1, label=f"budget, {budget:g} GMACs")
        axes.axhline(1.05 * budget, color=LIGHT.ink, linewidth=1, linestyle=":", label="5 % above it")
        axes.axhline(
            settings["gmacs"][1], color=LIGHT.muted, linewidth=1, linestyle="--", label="the last expert alone"
        )
        top = 1.12 * sum(settings["gmacs"])
        for i, name in enumerate(settings["phases"]):
            axes.text((i + 0.5) * phase, 0.97 * top, name, ha="center", va="top", color=LIGHT.muted)
            if i:
                axes.axvline(i * phase, color=LIGHT.muted, linewidth=0.8)
        if ways["with"]["alarm_at"] is not None:
            axes.plot(ways["with"]["alarm_at"], budget, "v", color=LIGHT.mark, markersize=8, label="drift alarm")
        axes.set_xlabel("images so far")
        axes.set_ylabel(f"GMACs an image, mean of the last {window}")
        axes.set_ylim(0, top)
        axes.set_xlim(0, len(settings["phases"]) * phase)
        axes.legend(loc="lower right", ncols=2)
        save_figure(figure, path, LIGHT)


def _ends(part: slice, window: int) -> slice:
    """The windows that end in a part of the stream."""
    return slice(max(part.start - window + 1, 0), max(part.stop - window + 1, 1))
