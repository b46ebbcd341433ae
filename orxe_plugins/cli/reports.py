"""What `orxe run`, `eval`, `select-saver` and `train-gate` print and write once the work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orxe_plugins.cli import console
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.gate import GateSplits, evaluate_gates
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.saver import evaluate_saver
from orxe_plugins.evaluation.times import with_times
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.report import loggers
from orxe_plugins.report.content.evaluation import evaluation_document, write_report
from orxe_plugins.report.content.gate import gate_document, write_gate_report
from orxe_plugins.report.content.saver import saver_document, write_saver_report
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.files import ReportFiles
from orxe_plugins.report.loggers import Tracker
from orxe_plugins.run.confidences import with_gate_confidences
from orxe_plugins.run.latency import times_of
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import metric_of, samples_of
from orxe_plugins.run.searching import Fitted
from orxe_plugins.run.splits import Splits, splits_of
from orxe_plugins.search.replay import replay
from orxe_plugins.training.gate_files import GateFiles
from orxe_plugins.util.files import folder_name


def open_trackers(run: Run, kinds: Sequence[str]) -> list[Tracker]:
    """The experiment trackers that were asked for; before any work, as one may be missing."""
    return loggers.open_trackers(kinds, run.recipe.name, run.out)


def report_run(run: Run, fitted: Fitted, images: bool = True, trackers: Sequence[Tracker] = ()) -> None:
    """Evaluate the cascade on the reporting split, print its table and write the report's files.

    Args:
        run: the run.
        fitted: its cascade and records.
        images: whether the HTML page shows pictures of samples.
        trackers: what the evaluation's figures are logged in too.
    """
    console.say("evaluating on the reporting split")
    table, splits = fitted.file.table, fitted.splits
    metric = metric_of(run, splits.report)
    counted = _counted(run, splits)
    extras = {**_search_extras(table), **_counted_extras(table, splits, counted)}
    evaluation = evaluate(
        table, splits.report, fitted_on=splits.fit, metric=metric, extras=extras, unlabelled=splits.unlabelled
    )
    times = times_of(run, table, splits.report.names)
    if times is not None:
        evaluation = with_times(evaluation, splits.report, times, counted)
    evidence = Evidence(splits.report, table, metric, samples_of(run, splits.report, gaps=True), images)
    files = write_report(evaluation, run.report_folder, evidence=evidence)
    evaluation_document(evaluation).print(console.out)
    _print_paths(files, run.cascade_folder)
    loggers.log_everywhere(trackers, evaluation, files)


def _search_extras(table: PolicyTable) -> dict[str, Sequence[float]]:
    """More columns for each row, from the search; what is not a number for each row, nobody here wrote."""
    extras: dict[str, Sequence[float]] = {}
    if (gap := table.details.get("search", {}).get("gap")) is not None:
        # Less than this is rounding.
        extras["Gap"] = [round(value, 12) for value in gap]
    if (latency := table.details.get("latency")) is not None:
        kind = "a stream, batches of" if latency.get("kind") == "throughput" else "batches of"
        extras[f"ms in {kind} {latency['batch_size']}"] = latency["expected_ms"]
    return {name: values for name, values in extras.items() if len(values) == len(table)}


def _counted(run: Run, splits: Splits) -> Records | None:
    """The reporting split with costs in GMACs, as they were recorded; None where others were recorded."""
    if splits.report.cost_unit == "GMACs":
        return splits.report
    recorded = splits_of(run).report.experts(splits.report.names)
    if recorded.cost_unit != "GMACs":
        return None
    return replace(splits.report, cost=recorded.cost, shared_cost=recorded.shared_cost, cost_unit="GMACs")


def _counted_extras(table: PolicyTable, splits: Splits, counted: Records | None) -> dict[str, Sequence[float]]:
    """GMACs of each policy, where its cost is something else."""
    if counted is None or table.cost_unit == "GMACs":
        return {}
    return {"GMACs": [replay(counted, row.policy).cost for row in table]}


def print_savers(run: Run, splits: Splits, bases: Sequence[str]) -> None:
    """Rank savers for each base model, print the tables and write the report's files."""
    for base in bases:
        # Savers are ranked by the per-sample score: r_match compares samples, not data sets.
        evaluation = evaluate_saver(
            splits.fit, splits.report, base, metric=Metric(run.task.score_name, percent=run.task.percent)
        )
        files = write_saver_report(evaluation, run.report_folder / f"saver-of-{folder_name(base)}")
        saver_document(evaluation).print(console.out)
        _print_paths(files)


def print_gates(run: Run, splits: Splits, gates: GateFiles) -> None:
    """Compare gates with the experts' own confidence on the reporting split and write the report's files."""
    assert splits.gate is not None
    gated = with_gate_confidences(run, splits, gates)
    evaluation = evaluate_gates(
        GateSplits(splits.fit, gated.fit, splits.report, gated.report, splits.gate),
        list(gates.files),
        run.recipe.preferences,
        metric_name=run.task.score_name,
        percent=run.task.percent,
    )
    files = write_gate_report(evaluation, run.report_folder)
    gate_document(evaluation).print(console.out)
    _print_paths(files)


def _print_paths(files: ReportFiles, cascade: Path | None = None) -> None:
    console.out.print()
    for what, path in (("picture", files.pictures[0]), ("report", files.html), ("cascade", cascade)):
        if path is not None:
            console.tell(f"{what}: {_shown(path)}")


def _shown(path: Path) -> str:
    """A path as short as it can be written from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
