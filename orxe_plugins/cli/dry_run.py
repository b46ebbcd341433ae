"""What `orxe check` prints: what the data holds, and which parts of a recipe can be built here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orxe_plugins.cli import console
from orxe_plugins.cli.console import tell
from orxe_plugins.cli.progress_lines import duration
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.run.check import DataCheck, ExpertCheck, check_data, check_experts
from orxe_plugins.run.run import Run
from orxe_plugins.util.wording import plain


def print_check(run: Run, cost: bool, time: bool = True) -> bool:
    """Print what of a recipe can be built here.

    Returns:
        Whether a run would find all that it needs.
    """
    data = check_data(run)
    for found in data:
        _print_data(found)
    experts = list(check_experts(run, cost, time))
    experts = [replace(row, name=name) for row, name in zip(experts, short_names(run.names), strict=True)]
    _expert_table(run, experts).print(console.out)
    _print_views(experts)
    problems = [f"{row.name}: {row.problem}" for row in experts if row.problem]
    for problem in problems:
        tell(problem)
    missing = len(problems) + sum(bool(found.problem) for found in data)
    _print_estimate(experts)
    tell(f"{missing} things are missing: see above" if missing > 1 else "1 thing is missing: see above"
         if missing else "nothing is missing")  # fmt: skip
    return not missing


def _print_data(found: DataCheck) -> None:
    if found.problem:
        tell(f"data {found.root}: {found.problem}")
        return
    samples = "to be made by prepare" if found.samples is None else f"{found.samples:,} samples"
    tell(f"data {found.root}: {samples}")
    if found.classes:
        tell(f"  {found.classes}", wrap=True)
    for note in found.notes:
        tell(f"  note: {note}", wrap=True)
    for sample in found.unreadable:
        tell(f"  note: of the few samples that were tried, this one cannot be read: {sample}")


def _expert_table(run: Run, experts: Sequence[ExpertCheck]) -> Table:
    rows = tuple(
        (
            row.name,
            row.weights or "unknown",
            "yes" if row.built else "no",
            "" if row.gmacs is None else plain(row.gmacs),
            "" if row.classes is None else f"{row.classes:,}",
            "" if row.seconds is None else f"about {duration(row.seconds)}",
        )
        for row in experts
    )
    columns = (
        Column("Expert", numeric=False),
        Column("Weights", numeric=False),
        Column("Built"),
        Column("GMACs"),
        Column("Classes"),
        Column("To record"),
    )
    notes = ["1 MAC = 2 FLOPs."]
    if any(row.built and row.weights != "found" for row in experts):
        notes.insert(0, "Where weights are not here, the expert was built with random ones.")
    return Table(f"Dry run of {run.recipe.name}", columns, rows, note=" ".join(notes))


def _print_views(experts: Sequence[ExpertCheck]) -> None:
    """What each expert sees, experts with the same view in one line."""
    views: dict[str, list[str]] = {}
    for row in experts:
        if row.view:
            views.setdefault(row.view, []).append(row.name)
    if views:
        tell("What they see of an image (options of an expert change it):")
    for view, names in views.items():
        tell(f"  {', '.join(names)}: {view}", wrap=True)
    for row in experts:
        if row.doubt:
            tell(f"  Warning: {row.doubt}", wrap=True)
    if views:
        tell()


def _print_estimate(experts: Sequence[ExpertCheck]) -> None:
    times = [row.seconds for row in experts if row.seconds is not None]
    if times:
        known = "" if len(times) == len(experts) else f" of {len(times)} of {len(experts)} experts"
        tell(f"Recording{known} will take about {duration(sum(times))} on this machine, by an estimate.")
