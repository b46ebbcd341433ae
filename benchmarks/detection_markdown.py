"""The tables of bench_detection.py."""

from __future__ import annotations

from typing import Any

from orxe_plugins.util.wording import plain


def to_markdown(result: dict[str, Any]) -> str:
    """All tables with what they were measured with."""
    about, fronts = result["about"], result["fronts"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    cost = " and ".join(f"{gmacs:.3f}" for gmacs in about["gmacs"])
    lines = [
        "# A cascade of two COCO detectors",
        "",
        f"{' -> '.join(about['experts'])} ({cost} GMACs, 1 MAC = 2 FLOPs) on {about['images']} images of COCO with "
        f"{about['boxes']} boxes; {versions}; batch {about['batch']}. Thresholds were not tuned. With so few images a "
        "figure is good to some points; the interval is a paired bootstrap over the images.",
        "",
        "mAP50-95 by Ultralytics' own `val`, rect=False, of the cascade at both ends and of the models alone:",
        "",
        "| threshold | model | cascade | alone | difference |",
        "|---|---|---|---|---|",
    ]
    for row in result["ends"]:
        gap = abs(row["cascade"] - row["alone"])
        lines.append(
            f"| {row['threshold']} | {row['expert']} | {row['cascade']:.5f} | {row['alone']:.5f} | {plain(gap, 2)} |"
        )
    lines += [
        "",
        "In between: routed inference by `val`, the same figure from records, and COCO's AP from records with the 95 % "
        "interval of its difference to the second model alone, in points; at random: mean COCO AP where as many "
        "images, drawn at random, are answered by the first model:",
        "",
        "| threshold | GMACs | by the first | val | from records | difference | COCO AP | less the second's "
        "| at random |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["curve"]:
        low, high = (100 * value for value in row["coco_ap_less_last"])
        threshold = "never" if row["threshold"] is None else f"{row['threshold']:g}"
        lines.append(
            f"| {threshold} | {row['gmacs']:.3f} | {row['answered_by_first']:.0%} | {row['val']:.4f} "
            f"| {row['val_replayed']:.4f} | {plain(abs(row['val'] - row['val_replayed']), 2)} | {row['coco_ap']:.4f} "
            f"| {low:+.1f} to {high:+.1f} | {row['coco_ap_at_random']:.4f} |"
        )
    lines += [
        "",
        f"The cascade at threshold {fronts['threshold']:g} through the other two fronts, COCO's AP (mmdet rounds it):",
        "",
        "| way | COCO AP | largest difference of a box to the records |",
        "|---|---|---|",
        f"| records | {fronts['records']:.4f} | |",
        f"| torchvision, `get_model` | {fronts['torchvision']:.4f} | {_pixels(fronts['torchvision_box_difference'])} |",
        f"| mmdet, `Runner.test`, 1 per batch | {fronts['mmdet_batch_1']:.3f} "
        f"| {_pixels(fronts['mmdet_box_difference'])} |",
        f"| mmdet, `Runner.test`, 3 per batch | {fronts['mmdet_batch_3']:.3f} | |",
        "",
        "`DetInferencer` on 12 paths and on their arrays: boxes differ by "
        f"{_pixels(fronts['mmdet_path_and_array_difference'])}.",
        "",
        "Score calibration at that threshold, fitted on a random half and reported on the other:",
        "",
        "| kind | raw AP | calibrated AP | 95 % interval of the difference, points |",
        "|---|---|---|---|",
    ]
    for row in result["calibration"]:
        low, high = (100 * value for value in row["interval"])
        lines.append(f"| {row['kind']} | {row['raw']:.4f} | {row['calibrated']:.4f} | {low:+.2f} to {high:+.2f} |")
    lines += ["", f"The whole run took {about['seconds']} s on {about['threads']} CPU thread(s)."]
    return "\n".join(lines) + "\n"


def _pixels(distance: float) -> str:
    return f"{plain(distance, 2)} pixels"
