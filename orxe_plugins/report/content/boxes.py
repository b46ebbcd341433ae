"""What a report says of detections: average precision by size of the objects, and curves of precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orxe_plugins.detection.coco.average_precision import AveragePrecision, Pooled, RoutedAP
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.rules import RECALL_POINTS
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.charts import Axis, Chart, ChartGroup, Series
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.formats import Formats, short_names
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.search.replay import replay
from orxe_plugins.tasks.detection import evaluator

_FIGURES = (
    ("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75"),
    ("ap_small", "small"), ("ap_medium", "medium"), ("ap_large", "large"),
)  # fmt: skip
#: overlaps that curves are drawn for, as (place among the IoU thresholds, text)
_OVERLAPS = ((0, "0.50"), (5, "0.75"))


def has_boxes(evidence: Evidence) -> bool:
    """Whether the records hold boxes, and the data set says where the objects are."""
    needed = {"boxes", "scores", "labels"} <= set(evidence.records.predictions)
    return needed and evidence.dataset is not None and all(
        isinstance(target, GroundTruth) for target in evidence.dataset.targets
    )  # fmt: skip


def box_parts(evaluation: Evaluation, evidence: Evidence) -> tuple[Table, ChartGroup]:
    """The table of AP by size, and the curves of precision against recall, of records that :func:`has_boxes`."""
    assert evidence.dataset is not None
    found = evaluator(evidence.records.predictions, evidence.dataset.targets)
    count = len(evidence.records)
    names = short_names(evaluation.names)
    routings = {"The cascade (chosen policy)": replay(evidence.records, evaluation.chosen.policy).expert}
    for i, name in enumerate(names):
        routings[f"#{i + 1} {name} alone"] = np.full(count, i)
    return _size_table(found, routings, evaluation), _curves(found, routings)


def _size_table(found: RoutedAP, routings: Mapping[str, np.ndarray], evaluation: Evaluation) -> Table:
    formats = Formats.of(evaluation)
    columns = (Column("What answers", numeric=False), *(Column(head) for _, head in _FIGURES))
    rows = tuple((name, *_figures(found(routing), formats)) for name, routing in routings.items())
    note = (
        "COCO's average precision over overlaps (IoU) from 0.50 to 0.95; small objects have up to 32² pixels, medium "
        "ones up to 96²."
    )
    return Table("Average precision by size", columns, rows, frozenset({0}), note=note, in_terminal=False)


def _figures(average: AveragePrecision, formats: Formats) -> list[str]:
    return [formats.score(float(getattr(average, name))) for name, _ in _FIGURES]


def _curves(found: RoutedAP, routings: Mapping[str, np.ndarray]) -> ChartGroup:
    first, *_, last = routings
    charts = []
    for place, overlap in _OVERLAPS:
        series = []
        for name, style in ((first, "cascade"), (last, "expert")):
            precision = mean_precision(found.every_size, routings[name], place)
            if precision is not None:
                points = tuple((float(r), 100 * float(p)) for r, p in zip(RECALL_POINTS, precision, strict=True))
                series.append(Series("line", points, style, name))
        caption = f"Precision against recall at an overlap (IoU) of {overlap}, mean over the labels that have objects."
        charts.append(
            Chart(f"IoU {overlap}", caption, Axis("recall", 0, 1), Axis("precision (%)", 0, 100), tuple(series))
        )
    return ChartGroup("Precision and recall", tuple(charts))


def mean_precision(boxes: Pooled, routing: np.ndarray, overlap: int) -> np.ndarray | None:
    """Precision at COCO's 101 recalls, (R,), the mean over labels that have an object; None if none has.

    Args:
        boxes: all experts' boxes.
        routing: which expert answers each image, (M,).
        overlap: place of the IoU threshold.
    """
    chosen = boxes.chosen(routing)
    bit = np.uint16(1 << overlap)
    counted = (chosen.ignored & bit) == 0
    right = (chosen.true_positive & bit) != 0
    curves = []
    for label in np.flatnonzero(boxes.positives):
        here = right[counted & (chosen.label == label)]
        curves.append(_precision(here, int(boxes.positives[label])))
    return np.mean(curves, axis=0) if curves else None


def _precision(right: np.ndarray, positives: int) -> np.ndarray:
    """Precision of one label's boxes, best first, at COCO's recalls, made to fall as recall rises."""
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(found / positives, RECALL_POINTS, side="left")
    return np.append(falling, 0.0)[np.minimum(place, len(falling))]
