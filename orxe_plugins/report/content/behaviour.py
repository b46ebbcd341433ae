"""How the cascade and its experts behave: sure or unsure, right or wrong, better or worse on which classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.charts import Axis, Chart, ChartGroup, Series, histogram
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.formats import Formats, metric_head, short_names
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.search.replay import Outcome, replay

#: steps of confidence that samples are sorted into
BINS = 10
#: so many classes with the greatest gains, and with the greatest losses, are listed
LISTED = 10
#: charts of so many experts are drawn: those that answer the most samples
_MOST_CHARTS = 6
_PERCENT = Axis("confidence", 0, 1)


def right_or_wrong(evidence: Evidence) -> bool:
    """Whether every score is 1 for right or 0 for wrong, so that a confidence can be compared with the share of right
    answers."""
    score = evidence.records.score
    return bool(np.isin(score, (0, 1)).all())


def behaviour_charts(evaluation: Evaluation, evidence: Evidence) -> tuple[ChartGroup, ...]:
    """Reliability diagrams where scores are right or wrong, and histograms of confidence."""
    outcome = replay(evidence.records, evaluation.chosen.policy)
    names = short_names(evaluation.names)
    shown = _answering(outcome)
    groups = []
    if right_or_wrong(evidence):
        whole = _reliability("The cascade", outcome.confidence, outcome.sample_score, "its answers")
        single = [
            _reliability(
                f"#{i + 1} {names[i]}", evidence.records.confidence[i], evidence.records.score[i], "all samples"
            )
            for i in shown
        ]
        note = (
            "Bars show the share of right answers in each step of confidence; on the dashed line, confidence and "
            "share agree. The calibration error is the mean distance to it, weighted by samples."
        )
        groups.append(ChartGroup("Is a sure expert right?", (whole, *single), note))
    histograms = tuple(_confidences(outcome, i, names[i]) for i in shown)
    note = "Of the samples that reach an expert under the chosen policy: those it answers, and those it passes on."
    groups.append(ChartGroup("How sure experts are", histograms, note))
    return tuple(groups)


def _answering(outcome: Outcome) -> list[int]:
    """The experts that answer the most samples, in routing order."""
    most = np.argsort(-outcome.exit_share, kind="stable")[:_MOST_CHARTS]
    return sorted(int(i) for i in most if outcome.exit_share[i])


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[list[tuple[float, float, float, int]], float]:
    """Steps of confidence, as (from, to, share of right answers, samples), and the expected calibration error.

    Args:
        confidence: (M,), in [0, 1].
        right: (M,), 1 for right, 0 for wrong.
    """
    step = np.clip((confidence.astype(np.float64) * BINS).astype(int), 0, BINS - 1)
    rows, error = [], 0.0
    for k in range(BINS):
        here = step == k
        count = int(here.sum())
        if count:
            share = float(right[here].mean(dtype=np.float64))
            error += count * abs(share - float(confidence[here].mean(dtype=np.float64)))
            rows.append((k / BINS, (k + 1) / BINS, share, count))
    return rows, error / max(len(confidence), 1)


def _reliability(title: str, confidence: np.ndarray, right: np.ndarray, of: str) -> Chart:
    rows, error = reliability(confidence, right)
    bars = tuple((low, high, 0.0, 100 * share) for low, high, share, _ in rows)
    caption = f"Right answers by confidence, {of}; {len(confidence):,} samples, calibration error {100 * error:.1f} %."
    return Chart(
        title, caption, _PERCENT, Axis("right (%)", 0, 100),
        (Series("bar", bars, "cascade"), Series("line", ((0.0, 0.0), (1.0, 100.0)), "muted")),
    )  # fmt: skip


def _confidences(outcome: Outcome, expert: int, name: str) -> Chart:
    confidence = outcome.records.confidence[expert]
    reached, answered = outcome.ran[:, expert], outcome.expert == expert
    total = max(int(reached.sum()), 1)
    kept = [(a, b, c, d * answered.sum() / total) for a, b, c, d in histogram(confidence[answered], 20)]
    passed = reached & ~answered
    on = [(a, b, c, d * passed.sum() / total) for a, b, c, d in histogram(confidence[passed], 20)]
    stacked = tuple((a, b, d, d + more) for (a, b, _, d), (_, _, _, more) in zip(kept, on, strict=True) if more)
    top = max([5.0, *(high for *_, high in kept), *(high for *_, high in stacked)])
    series = [Series("bar", tuple(bar for bar in kept if bar[3]), "cascade", "answers")]
    if stacked:
        series.append(Series("bar", stacked, "expert", "passes on"))
    caption = f"{int(reached.sum()):,} samples reach it, {int(answered.sum()):,} are answered by it."
    return Chart(f"#{expert + 1} {name}", caption, _PERCENT, Axis("samples (%)", 0, top * 1.05), tuple(series))


def exit_table(evaluation: Evaluation, evidence: Evidence) -> Table:
    """One row for each expert that answers some sample under the chosen policy."""
    outcome = replay(evidence.records, evaluation.chosen.policy)
    formats, names = Formats.of(evaluation), short_names(evaluation.names)
    last = evidence.records.score[-1].astype(np.float64)
    head = metric_head(evaluation.metric_name if evidence.metric_is_mean else "mean score", evaluation.percent)
    rows = []
    for i in np.flatnonzero(outcome.exit_share):
        here = outcome.expert == i
        rows.append(
            (
                f"#{i + 1} {names[i]}",
                formats.share(outcome.exit_share[i]),
                formats.score(float(outcome.sample_score[here].mean())),
                formats.score(float(last[here].mean())),
                f"{float(outcome.confidence[here].mean(dtype=np.float64)):.2f}",
            )
        )
    columns = (
        Column("Expert", numeric=False),
        Column("Answers %", hint="share of the samples"),
        Column(f"{head}, of these"),
        Column("Last expert on the same", hint="what the last expert scores on the samples that this one answers"),
        Column("Mean confidence"),
    )
    return Table("Who answers (chosen policy)", columns, tuple(rows), in_terminal=False)


def class_table(evaluation: Evaluation, evidence: Evidence) -> Table | None:
    """Classes with the greatest losses and gains against the last expert.

    None where the records hold no classes, or where scores are more than right or wrong.
    """
    records = evidence.records
    if records.labels is None or records.labels.ndim != 1 or records.labels.dtype.kind not in "iu":
        return None
    if not right_or_wrong(evidence):
        return None
    outcome = replay(records, evaluation.chosen.policy)
    classes, place = np.unique(records.labels, return_inverse=True)
    count = np.bincount(place)
    own, last = (
        np.bincount(place, score.astype(np.float64)) / count for score in (outcome.sample_score, records.score[-1])
    )
    order = np.lexsort((classes, own - last))
    listed = order if len(order) <= 2 * LISTED else np.concatenate([order[:LISTED], order[-LISTED:]])
    names, formats = class_names(evidence), Formats.of(evaluation)
    rows = tuple(
        (
            name_of(int(classes[k]), names),
            f"{int(count[k]):,}",
            formats.score(float(own[k])),
            formats.score(float(last[k])),
            formats.difference(float(own[k] - last[k])),
        )
        for k in listed
    )
    columns = (
        Column("Class", numeric=False),
        Column("Samples"),
        Column(metric_head("Cascade", evaluation.percent)),
        Column(metric_head("Last expert", evaluation.percent)),
        Column("Difference"),
    )
    note = "Right answers of each class, the greatest losses first."
    if len(listed) < len(order):
        note += f" {LISTED} classes at each end are listed, of {len(order):,}."
    return Table("Classes: gains and losses (chosen policy)", columns, rows, note=note, in_terminal=False)


def class_names(evidence: Evidence) -> Sequence[str]:
    """Names of the classes, or of the boxes' labels, by their numbers; empty where the data set names none."""
    names: Sequence[str] = tuple(getattr(evidence.dataset, "class_names", ()))
    targets: Sequence[Any] = getattr(evidence.dataset, "targets", ())
    return names or (targets[0].names if len(targets) and isinstance(targets[0], GroundTruth) else ())


def name_of(number: int, names: Sequence[str]) -> str:
    """The name of a class, or its number."""
    return (names[number] if 0 <= number < len(names) else "") or str(number)
