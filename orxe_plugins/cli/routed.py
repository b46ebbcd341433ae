"""What `orxe eval --routed` and `--shift` print: the cascade and its experts run for real."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import cascade_of
from orxe_plugins.cli import console
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.routed import RoutedOutcome, disagreements, run_routed
from orxe_plugins.evaluation.view_shift import ViewShift, measure_shift
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.records.records import Records
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.searching import Fitted
from orxe_plugins.search.replay import replay
from orxe_plugins.util.wording import plain


def print_routed(run: Run, fitted: Fitted, preference: float) -> None:
    """Run the cascade for real on the reporting split, in every input mode, beside replay and each expert alone."""
    report, table = fitted.splits.report, fitted.file.table
    cascade = cascade_of(fitted.file, preference)
    policy = table.at(preference).policy
    dataset = samples_of(run, report)
    replayed = replay(report, policy)
    rows = [_routed_row("replay of the records", replayed.cost, replayed.score, replayed.exit_share, "", "")]
    for mode in ("originals", "tensor") if cascade.input_view else ("originals",):
        routed, seconds = _timed_run(run, cascade, dataset, mode)
        differ = str(len(disagreements(routed, report, policy))) if mode == run.recipe.input_mode else ""
        share = routed.exit_share(len(cascade.experts))
        cost, score = float(routed.cost.mean()), float(routed.score.mean())
        rows.append(_routed_row(f"routed inference, {mode}", cost, score, share, differ, _each(seconds, dataset)))
    for place, expert in enumerate(cascade.members):
        # What an expert needs of another one, such as a backbone's features, it gets in the cascade alone.
        if expert.needs is not None:
            continue
        alone, seconds = _timed_run(run, Cascade([expert]), dataset, "originals")
        share = np.eye(len(cascade.experts))[place]
        cost, score = float(report.standalone_cost[place]), float(alone.score.mean())
        rows.append(_routed_row(f"{expert.name} alone", cost, score, share, "", _each(seconds, dataset)))
    _routed_table(rows, report, run.task.score_name, table.at(preference).preference).print(console.out)


def _timed_run(run: Run, cascade: Cascade, dataset: Dataset, mode: str) -> tuple[RoutedOutcome, float]:
    """What a cascade answers, and the seconds that it took, reading the images included."""
    size = run.recipe.record.batch_size
    # The first batch of a model takes longer, wherever it is run.
    run_routed(cascade, dataset.select(range(min(2, len(dataset)))), run.task, input_mode=mode, batch_size=size)
    with console.bars() as bars:
        start = perf_counter()
        outcome = run_routed(cascade, dataset, run.task, input_mode=mode, batch_size=size, progress=bars)
        return outcome, perf_counter() - start


def _each(seconds: float, dataset: Dataset) -> str:
    return plain(1000 * seconds / max(len(dataset), 1), 3)


def print_shift(run: Run, fitted: Fitted) -> None:
    """Run every expert on the reporting split in both input modes and print how far its score moves."""
    report = fitted.splits.report
    cascade = cascade_of(fitted.file)
    classifiers = [expert for expert in cascade.members if isinstance(expert, ClassifierExpert)]
    if cascade.input_view is None:
        raise OrxeError("--shift: this cascade has no classifiers that share one tensor")
    with console.bars() as bars:
        rows = measure_shift(
            classifiers,
            cascade.input_view,
            samples_of(run, report),
            run.task,
            batch_size=run.recipe.record.batch_size,
            progress=bars,
        )
    _shift_table(rows, cascade.input_view, len(report), run.task.score_name).print(console.out)


def _routed_row(what: str, cost: float, score: float, share: Any, differ: str, ms: str) -> tuple[str, ...]:
    return (what, plain(cost), f"{100 * score:.2f}", ms, *(f"{100 * part:.1f}" for part in share), differ)


def _routed_table(rows: Sequence[tuple[str, ...]], records: Records, score_name: str, preference: float) -> Table:
    answered = "share of the samples that it answered"
    columns = (
        Column("Way", numeric=False),
        Column(records.cost_unit),
        Column(f"{score_name} %"),
        Column("ms", hint="wall time of one sample on this machine, reading its image included"),
        *(Column(f"{name} %", drop=1, hint=answered) for name in short_names(records.names)),
        Column("Differ", hint="samples sent to another expert than replay says"),
    )  # fmt: skip
    note = (
        "Differ counts samples that went to another expert than in replay, but for those whose confidence lies within "
        "1e-4 of a threshold; it is only asked along the path of the records. ms is the wall time of one sample on "
        "this machine, with reading its image."
    )
    title = f"Routed inference beside replay, preference {preference:g} ({len(records):,} samples)"
    return Table(title, columns, tuple(rows), note=note)


def _shift_table(rows: Sequence[ViewShift], view: ImageView, count: int, score_name: str) -> Table:
    columns = (
        Column("Expert", numeric=False),
        Column("View"),
        Column(f"{score_name} %, originals"),
        Column(f"{score_name} %, tensor"),
        Column("Shift (paired 95 %)"),
        Column("Same answer %"),
    )
    cells = tuple(
        (
            row.name,
            f"{row.view.size[0]} {row.view.interpolation}",
            f"{100 * row.originals:.2f}",
            f"{100 * row.tensor:.2f}",
            f"{100 * row.shift:+.2f} ({100 * row.low:+.2f} to {100 * row.high:+.2f})",
            f"{100 * row.same:.1f}",
        )
        for row in rows
    )
    note = (
        f"The tensor is the {view.size[0]}-pixel {view.interpolation} centre crop of the image resized to "
        f"{view.resize} pixels, as a framework's data pipeline makes it."
    )
    return Table(f"Views derived from one tensor ({count:,} samples)", columns, cells, note=note)
