"""The sections of quality.md beside that of the searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def signals(found: dict[str, Any]) -> list[str]:
    """What other confidences are worth."""
    rows = [
        (name, f"{row['n']:,}", *(_points(row[way]) for way in ("auto", "margin", "advantage")))
        for name, each in found.items()
        for row in each
    ]
    return [
        "## Signals",
        "Gain over the largest softmax on other samples, in points: samples are passed on to the next better expert, "
        "the least sure first; mean over all shares that are passed on and over all experts but the last, over 10 "
        "draws, with a 95 % interval. Auto chooses for each expert by cross-validation and keeps the largest softmax "
        "unless the gain is above one standard error.",
        _table(("data", "fitted on", "auto", "margin", "advantage"), rows),
    ]


def fusion(found: dict[str, Any]) -> list[str]:
    """What fused outputs are worth."""
    rows = [
        (name, f"{row['n']:,}", _points(row["gain"]), f"{row['mean_weight']:.2f}")
        for name, each in found.items()
        for row in each
    ]
    return [
        "## Fusion",
        "The policy that is chosen for one point, with the log-probabilities of the expert that answers and of the "
        "one that ran before it averaged; the weight of each pair is the best one on the fitting samples. Change of "
        "the score on other samples, in points, over 20 draws, with a 95 % interval.",
        _table(("data", "fitted on", "change", "mean weight of the earlier expert"), rows),
    ]


def promises(found: dict[str, Any]) -> list[str]:
    """How promises are kept, and what they take."""
    parts = [
        "## Promises",
        "One point at 95 % confidence. Choosing splits of 1,000 labelled images are drawn with replacement from the "
        "samples that nothing was fitted on, whose mean drop is taken as the true one; broken: any policy of the "
        "promise drops by more. Control variates have 4,000 unlabelled images beside; labels asked one by one may be "
        "up to 1,000 of 4,000 images. Cost: of the cheapest promised policy over the last expert's.",
    ]
    for name, each in found.items():
        if "left_out" in each:
            parts.append(f"{name}: {each['left_out']}.")
            continue
        needed = each["needed"]
        rows = [
            (
                way, f"{seen['broken']} of {each['simulations']:,}", f"{seen['made']:,}",
                "" if seen["cost"] is None else f"{seen['cost']:.2f}", f"{seen['labels']:.0f}",
                "more than 3,900" if needed["labels"][way] is None else f"{needed['labels'][way]:.0f}",
            )
            for way, seen in each["ways"].items()
        ]  # fmt: skip
        parts.append(
            f"{name}. The last column: labels until one policy, which drops by {100 * needed['drop']:.2f} points at "
            f"{needed['cost']:.2f} of the cost, is promised to lose at most one point; median over 40 draws."
        )
        parts.append(_table(("way", "broken", "made", "cost", "labels used", "labels needed"), rows))
    return parts


def detection(found: dict[str, Any]) -> list[str]:
    """What detectors gain."""
    parts = [
        "## Detectors",
        "Share of the large model's gain in COCO AP that is had where the least sure 10 / 20 / 30 / 50 % of the "
        "images are passed on, over 20 random halves; what is fitted is fitted on the other half, on what each image "
        "does to the AP of the data set. Intervals (95 %, by Student's t over halves) are of the paired difference "
        "at 20 %. Halves share images, so that intervals are too short for the draw of the data set itself. Each "
        "image's own gain is no signal, for it takes the labels of the images reported on: it says how much is to be "
        "had by an order of single images.",
    ]
    beside = ("gain_on_random", "gain_on_mean_box_score")
    for name, each in found.items():
        small, large = each["ap"]
        parts.append(
            f"### {name}: {each['samples']} images\n\n{each['experts'][0]} has {100 * small:.1f} AP at "
            f"{each['cost'][0]:.3g} GMACs, {each['experts'][1]} {100 * large:.1f} at {each['cost'][1]:.3g}. Auto took "
            + ", ".join(f"{kind} {count} times" for kind, count in each["auto"].items())
            + "."
        )
        rows = [
            (
way,
                " / ".join(f"{100 * at[0]:.0f}" for at in values),
                f"{100 * values[1][1]:.0f} to {100 * values[1][2]:.0f}",
                *(_points(each[key][way], 0) if way in each[key] else "" for key in beside),
            )
            for way, values in each["shares"].items()
        ]  # fmt: skip
        heads = ("signal", "share of the gain %", "interval at 20 %", "more than random", "more than mean box score")
        parts.append(_table(heads, rows))
        rows = [
            (
                way,
                f"{value[0]:.4f} ({value[1]:.4f} to {value[2]:.4f})",
                f"{100 * ap[0]:.1f} ({100 * ap[1]:.1f} to {100 * ap[2]:.1f})",
                f"{gap[0]:.2f}",
            )
            for way, (value, ap, gap) in each["searches"].items()
        ]  # fmt: skip
        parts.append(
            "Searches on the one half, reported on the other by true AP: the mean objective over preferences 0 to 1 "
            "(lower is better), AP at half the large model's cost, and the widest step in cost between neighbouring "
            "rows."
        )
        parts.append(_table(("search", "objective", "AP at 0.5 of the cost", "widest step"), rows))
    return parts


def polish(found: dict[str, Any]) -> list[str]:
    """How long the polish takes."""
    rows = [
        (name, f"{each['evaluations']}", f"{each['images']:,}", f"{each['boxes']:,}", f"{each['seconds']:.2f} s")
        for name, each in found.items()
    ]
    return [
        "## Polish",
        "The last step of a search for detectors, on the images of a data set repeated; processor time of one thread.",
        _table(("data", "routings measured", "images", "boxes", "time"), rows),
    ]


def shift_table(found: dict[str, Any]) -> str:
    """What was expected and what came out, on images as they are and shifted."""
    rows = []
    for name, each in found["rows"].items():
        rows.append((
            name, f"{100 * each['last'][0]:.1f}", f"{100 * each['expected_drop'][0]:.2f}", _points(each["drop"]),
            f"{each['expected_cost'][0]:.2f}", f"{each['cost'][0]:.2f}", f"{each['confidence'][0]:.2f}",
            f"{each['promises_exceeded']} of {each['promises']}",
        ))  # fmt: skip
    small, large = found["experts"]
    heads = (
        "images", f"{large} scores", "expected drop", "drop", "expected cost", "cost",
        f"mean confidence of {small}", "promises exceeded",
    )  # fmt: skip
    return _table(heads, rows)


def shift(found: dict[str, Any]) -> list[str]:
    """What figures are worth on shifted images."""
    small, large = found["experts"]
    parts = [
        "## Shifted images",
        f"{small} before {large}, fitted on {found['fitted_on']} images of imagenet_sample as they are, with one "
        "point allowed; reported on other images of it, as they are and changed. Drops in points, with a 95 % "
        f"interval over 20 draws. The last column: promises of {100 * found['promised']:g} points at 95 %, tested on "
        "a third of the images as they are, whose policy drops by more on the reported ones.",
        shift_table(found),
    ]
    for name, texts in found["warnings"].items():
        parts.append(f"Warnings of the report on images {name}: " + ("; ".join(texts) if texts else "none") + ".")
    return parts


def size(found: dict[str, Any]) -> list[str]:
    """What expected scores cost on a large data set."""
    raw, auto = (found["kinds"][kind] for kind in ("raw", "auto"))
    rows = [
        ("processor time", f"{raw['seconds']:.0f} s", f"{auto['seconds']:.0f} s", f"{found['ratios']['seconds']:.2f}"),
        (
            "most memory", f"{raw['bytes'] / 2**20:,.0f} MiB", f"{auto['bytes'] / 2**20:,.0f} MiB",
            f"{found['ratios']['bytes']:.2f}",
        ),
    ]  # fmt: skip
    return [
        "## Time and memory",
        f"One search of {found['experts']} made-up experts on {found['samples']:,} samples for {found['preferences']} "
        "preferences, in a process of its own for each kind of scores; the memory is that of the whole process, "
        "records included.",
        _table(("", "recorded scores", "auto", "auto / recorded"), rows),
    ]


SECTIONS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "signals": signals, "fusion": fusion, "promises": promises, "detection": detection, "polish": polish,
    "shift": shift, "size": size,
}  # fmt: skip


def _points(values: Sequence[float], digits: int = 2) -> str:
    mean, low, high = (100 * value for value in values)
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])
