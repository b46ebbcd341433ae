"""The page that bench_speed.py writes."""

from __future__ import annotations

from typing import Any

from paired import machine_line, shown


def to_markdown(result: dict[str, Any]) -> str:
    """Tables of everything that was measured."""
    parts = [
        "# Time of cascades on a CPU",
        f"Written by `make bench-speed`. {machine_line(result['about'])} Ratios are of images/s, of runs that "
        "took turns; "
        "above 1, what is named first is faster. Intervals are 95 %.",
    ]
    sections = {"detectors": detector_table, "chosen": _chosen, "pools": _pools}
    parts += [make(result[key]) for key, make in sections.items() if key in result]
    parts += [f"Not measured: {name}: {reason}." for name, reason in result["left_out"].items()]
    return "\n\n".join(parts) + "\n"


def detector_table(data: dict[str, Any]) -> str:
    """CascadeYOLO beside YOLO, as :func:`speed_detectors.measure` gives it."""
    rows = [
        f"| {row['what']} | {row['size']} | {shown(row['ratio'])} | {data['images'] / row['seconds']:.1f} | "
        f"{data['images'] / row['other_seconds']:.1f} | {'yes' if row['same_boxes'] else 'no'} |"
        for row in data["rows"]
    ]
    return "\n".join([
        "## `CascadeYOLO.predict` beside `YOLO.predict`",
        "",
        f"yolo11n at 320 and 640 pixels ({data['weights']}), {data['images']} images in batches of "
        f"{data['batch']}, decoded "
        "before. The model beside is the one that answers all images.",
        "",
        "| exit threshold | model alone at | ratio | cascade, images/s | alone, images/s | same boxes |",
        "|---|---|---|---|---|---|",
        *rows,
    ])  # fmt: skip


def _chosen(data: dict[str, Any]) -> str:
    parts = [
        "## What `cost: latency` chooses, on the other half",
        f"{data['samples']} images of ImageNet, eight experts with real weights. On each of {data['halves']} "
        "random halves a "
        "cascade is searched in milliseconds; on the other half its routes are replayed, and put together with "
        "times of each "
        "expert that were measured once, preprocessing included. Each figure is the mean over the halves, and "
        "the interval "
        "in which 95 % of them lie. Above 1, the choice is faster than the expert alone; differences are in "
        "points of top-1. "
        'With "recommended", no loss is expected; `max_drop=0.01` allows one point against the slowest expert; '
        '"searched in '
        'GMACs" is what would be recommended without any times.',
    ]
    for size, kinds in data["batches"].items():
        parts.append(f"### Batches of {size}")
        head = [f"{kind}: images/s | top-1" for kind in kinds]
        lines = ["| expert alone | " + " | ".join(head) + " |", "|---|" + "---|---|" * len(kinds)]
        for name in next(iter(kinds.values()))["against"]:
            cells = []
            for found in kinds.values():
                against = found["against"][name]
                cells += [shown(against["speed"], 2), shown(against["gain"], 1)]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
        said = [
            f"{kind}: {shown(found['ms'], 1)} ms per image, top-1 {100 * found['score']:.1f}, one expert alone in "
            f"{100 * found['one_expert']:.0f} % of the halves"
            for kind, found in kinds.items()
        ]
        parts.append("; ".join(said) + ".")
        parts.append(_rivals(kinds, int(size)))
        parts.append(_verdict(kinds["recommended"], kinds["max_drop=0.01"], int(size)))
    return "\n\n".join(parts)


def _verdict(kept: dict[str, Any], dropped: dict[str, Any], size: int) -> str:
    name = "tf_efficientnet_lite2"
    lines = []
    for what, found in (("recommended", kept), ("max_drop=0.01", dropped)):
        against = found["against"][name]
        speed, gain = against["speed"]["value"], against["gain"]["value"]
        reached = speed >= 2 and gain >= -1
        lines.append(
            f"The aim of 2 x {name} within one point is {'' if reached else 'not '}reached in batches of {size} by "
            f'"{what}": {speed:.2f} x at {gain:+.1f} points.'
        )
    return " ".join(lines)


def _rivals(kinds: dict[str, Any], size: int) -> str:
    """Single experts that no choice in time beats: faster, and no worse on the mean of the halves."""
    found = []
    for kind in ("recommended", "max_drop=0.01"):
        for name, against in kinds[kind]["against"].items():
            if against["speed"]["value"] < 1 and against["gain"]["value"] <= 0:
                found.append(f'{name} is faster than "{kind}" and scores no less')
    if not found:
        return f"No expert alone is faster in batches of {size} and scores no less than the choices in time."
    return f"One expert alone is the better answer in batches of {size}: {'; '.join(found)}."


def _pools(data: dict[str, Any]) -> str:
    order = sorted(data["gmacs"], key=lambda name: data["gmacs"][name])
    latency = data["latency"]
    place = len(latency["batch_sizes"]) - 1
    size = latency["batch_sizes"][place]
    rows = [
        f"| {name} | {data['skill'][name]:.3f} | {data['gmacs'][name]:.3f} | "
        f"{latency['ms_per_batch'][name][place] / size:.2f} |"
        for name in order
    ]
    found = [
        f"| {100 * row['target']:.1f} | {_used(row['in GMACs'])} | {_used(row['in ms'])} | {shown(row['ratio'])} |"
        for row in data["rows"]
    ]
    return "\n".join([
        "## Where GMACs and milliseconds disagree",
        "",
        f"Depthwise models and dense ones (LeViT) of timm with random weights at {data['size']} pixels; scores and "
        "confidences are made up, so that each model is as good as its kind is on ImageNet.",
        "",
        f"| expert | made-up top-1 | GMACs | ms per image in batches of {size} |",
        "|---|---|---|---|",
        *rows,
        "",
        "Two cascades, searched in GMACs and in milliseconds, of which the same expected score is asked. Every "
        "expert ran on "
        f"the images that the records send to it, in batches of {data['batch']}. In brackets: the share of the "
        "images that an "
        "expert sees, the expected top-1 on records that were not searched on, and GMACs. Above 1, the cascade "
        "that was "
        "searched in time is faster.",
        "",
        "| top-1 asked | searched in GMACs | searched in ms | ratio of images/s, measured |",
        "|---|---|---|---|",
        *found,
    ])  # fmt: skip


def _used(told: dict[str, Any]) -> str:
    experts = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in told["experts"].items())
    return f"{experts}; {100 * told['score']:.1f}, {told['gmacs']:.2f} G"
