"""What the commands print and write once the work is done."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from orxe_plugins.cascade.file import CascadeFile, load_cascade, read_cascade
from orxe_plugins.cli import console
from orxe_plugins.confidence.provider import confidence_names
from orxe_plugins.data.datasets import BadSampleError, decode
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.gate import GateSplits, evaluate_gates
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.evaluation.saver import evaluate_saver
from orxe_plugins.evaluation.view_shift import ViewShift, measure_shift
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records import Records
from orxe_plugins.report.content import evaluation_document
from orxe_plugins.report.files import ReportFiles, write_report
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.gate_content import gate_document, write_gate_report
from orxe_plugins.report.saver_content import saver_document, write_saver_report
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.run.check import check_data, check_experts
from orxe_plugins.run.pipeline import Run
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.recipe_file import recipe_names
from orxe_plugins.run.splits import Splits
from orxe_plugins.search import replay
from orxe_plugins.tasks import task_named, task_names
from orxe_plugins.training.gate_files import GateFiles
from orxe_plugins.util.progress import Progress

PREDICTION_HEAD = ("image", "answer", "confidence", "expert", "cost", "cost_unit")


def report_run(job: Run, file: CascadeFile, splits: Splits, more_tables: Sequence[Table] = ()) -> None:
    """Evaluate the cascade on the reporting split, print its table and write the report's files."""
    console.say("evaluating on the reporting split")
    metric = job.metric(splits.report)
    evaluation = evaluate(
        file.table, splits.report, fitted_on=splits.fit, metric=metric, extras=_search_extras(file.table)
    )
    files = write_report(evaluation, job.report_folder, more_tables=more_tables)
    evaluation_document(evaluation, more_tables=more_tables).print(console.out)
    _print_paths(files, job.cascade_folder)


def _search_extras(table: PolicyTable) -> dict[str, Sequence[float]]:
    """What the search says of each row beside its figures."""
    extras = {}
    if (gap := table.details.get("search", {}).get("gap")) is not None:
        extras["Gap"] = gap
    if (latency := table.details.get("latency")) is not None:
        extras[f"ms in batches of {latency['batch_size']}"] = latency["expected_ms"]
    return extras


def print_savers(job: Run, splits: Splits, bases: Sequence[str]) -> None:
    """Rank savers for each base model, print the tables and write the report's files."""
    for base in bases:
        # Savers are ranked by the per-sample score: r_match compares samples, not data sets.
        evaluation = evaluate_saver(
            splits.fit, splits.report, base, metric_name=job.task.score_name, percent=job.task.percent
        )
        files = write_saver_report(evaluation, job.report_folder / f"saver-of-{_file_name(base)}")
        saver_document(evaluation).print(console.out)
        _print_paths(files)


def print_gates(job: Run, gates: GateFiles) -> None:
    """Compare gates with the experts' own confidence on the reporting split and write the report's files."""
    splits = job.splits()
    assert splits.gate is not None
    gated = job.gated(splits, gates)
    evaluation = evaluate_gates(
        GateSplits(splits.fit, gated.fit, splits.report, gated.report, splits.gate),
        list(gates.files),
        job.recipe.preferences,
        metric_name=job.task.score_name,
        percent=job.task.percent,
    )
    files = write_gate_report(evaluation, job.report_folder)
    gate_document(evaluation).print(console.out)
    _print_paths(files)


def print_routed(job: Run, file: CascadeFile, splits: Splits, preference: float) -> None:
    """Run the cascade for real on the reporting split, along every path, beside replay."""
    cascade = load_cascade(job.cascade_folder, preference)
    policy = file.table.at(preference).policy
    dataset = job.samples_of(splits.report)
    replayed = replay(splits.report, policy)
    rows = [_routed_row("replay of the records", replayed.cost, replayed.score, replayed.exit_share, "")]
    for path in ("originals", "tensor") if cascade.input_view else ("originals",):
        with console.bars() as bars:
            routed = run_routed(
                cascade, dataset, job.task, path=path, batch_size=job.recipe.record.batch_size, progress=bars
            )
        differ = str(len(disagreements(routed, splits.report, policy))) if path == job.recipe.path else ""
        share = routed.exit_share(len(cascade.experts))
        rows.append(
            _routed_row(
                f"routed inference, {path}", float(routed.cost.mean()), float(routed.score.mean()), share, differ
            )
        )
    _routed_table(rows, splits.report, job.task.score_name, file.table.at(preference).preference).print(console.out)


def print_shift(job: Run, splits: Splits) -> None:
    """Run every expert on the reporting split along both paths and print how far its score moves."""
    cascade = load_cascade(job.cascade_folder)
    classifiers = [expert for expert in cascade.members if isinstance(expert, ClassifierExpert)]
    if cascade.input_view is None:
        raise OrxeError("--shift: this cascade has no classifiers that share one tensor")
    with console.bars() as bars:
        rows = measure_shift(
            classifiers,
            cascade.input_view,
            job.samples_of(splits.report),
            job.task,
            batch_size=job.recipe.record.batch_size,
            progress=bars,
        )
    _shift_table(rows, cascade.input_view, len(splits.report), job.task.score_name).print(console.out)


def print_predictions(folder: Path, images: Sequence[Path], asked: Selection, batch_size: int) -> None:
    """Answer image files with a cascade, as CSV on standard output; unreadable files are named and left out."""
    file = read_cascade(folder)
    task = task_named(file.task)
    cascade = load_cascade(folder)
    cascade.set_preference(asked)
    names = [expert.name for expert in cascade.members]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(PREDICTION_HEAD)
    failed = 0
    for start in range(0, len(images), batch_size):
        readable = []
        for path in images[start : start + batch_size]:
            try:
                readable.append((path, decode(path.read_bytes())))
            except (BadSampleError, OSError) as error:
                failed += 1
                console.say(f"skipped {path}: {error}")
        if readable:
            with torch.inference_mode():
                outputs, route = cascade.route([image for _, image in readable])
            for (path, _), answer, expert, confidence, cost in zip(
                readable, task.describe(outputs), route.expert, route.confidence, route.cost, strict=True
            ):
                writer.writerow(
                    [path, answer, f"{confidence:.4f}", names[int(expert)], f"{cost:.6g}", file.table.cost_unit]
                )
    if failed == len(images):
        raise OrxeError(f"none of the {failed} files is a readable image")


def print_check(recipe: Recipe, folder: Path, cost: bool, progress: Progress) -> bool:
    """Say what of a recipe can be built here; whether a run would find all that it needs."""
    job = Run(recipe, folder, progress)
    data = check_data(job)
    experts = list(check_experts(job, cost, progress))
    for found in data:
        samples = "to be made by prepare" if found.samples is None else f"{found.samples:,} samples"
        console.out.print(f"data {found.root}: {found.problem or samples}", markup=False)
    rows = tuple(
        (row.name, row.weights, "yes" if row.built else "no", "" if row.gmacs is None else f"{row.gmacs:.4g}")
        for row in experts
    )
    columns = (Column("Expert", numeric=False), Column("Weights"), Column("Built"), Column("GMACs"))
    note = "Where weights are not here, the expert was built with random ones. 1 MAC = 2 FLOPs."
    Table(f"Dry run of {recipe.name}", columns, rows, note=note).print(console.out)
    for row in experts:
        if row.problem:
            console.out.print(f"{row.name}: {row.problem}", markup=False)
    return not any([*(found.problem for found in data), *(row.problem for row in experts)])


def print_names(what: str) -> None:
    """Print the names that recipes, addresses and options may use."""
    lists = {
        "recipes": _recipes,
        "adapters": lambda: {point.name: point.value for point in metadata.entry_points(group="orxe_plugins.adapters")},
        "tasks": lambda: dict.fromkeys(task_names(), ""),
        "confidences": lambda: dict.fromkeys(confidence_names(), ""),
    }
    if what not in (*lists, "all"):
        raise unknown("list", what, [*lists, "all"])
    for head, names in lists.items():
        if what in (head, "all"):
            console.out.print(head, style="bold", markup=False)
            for name, note in names().items():
                console.out.print(f"  {name:<24}{note}".rstrip(), markup=False)


def _recipes() -> dict[str, str]:
    """Each recipe with its description."""
    found = {}
    for name, path in recipe_names().items():
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[name] = str(raw.get("description", "")).strip()
    return found


def _routed_row(what: str, cost: float, score: float, share: Any, differ: str) -> tuple[str, ...]:
    return (what, f"{cost:.4g}", f"{100 * score:.2f}", *(f"{100 * part:.1f}" for part in share), differ)


def _routed_table(rows: Sequence[tuple[str, ...]], records: Records, score_name: str, preference: float) -> Table:
    columns = (
        Column("Way", numeric=False),
        Column(records.cost_unit),
        Column(f"{score_name} %"),
        *(Column(f"{name} %", hint="share of the samples that it answered") for name in short_names(records.names)),
        Column("Differ", hint="samples sent to another expert than replay says"),
    )  # fmt: skip
    note = (
        "Differ counts samples that went to another expert than in replay, but for those whose confidence lies within "
        "1e-4 of a threshold; it is only asked along the path of the records."
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


def _print_paths(files: ReportFiles, cascade: Path | None = None) -> None:
    console.out.print()
    for what, path in (("picture", files.pictures[0]), ("report", files.html), ("cascade", cascade)):
        if path is not None:
            console.out.print(f"{what}: {_shown(path)}", markup=False)


def _shown(path: Path) -> str:
    """A path as short as it can be written from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
