"""What `orxe check` prints: which parts of a recipe can be built here."""

from __future__ import annotations

from orxe_plugins.cli import console
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.run.check import check_data, check_experts
from orxe_plugins.run.run import Run


def print_check(run: Run, cost: bool) -> bool:
    """Print what of a recipe can be built here.

    Returns:
        Whether a run would find all that it needs.
    """
    data = check_data(run)
    experts = list(check_experts(run, cost))
    for found in data:
        samples = "to be made by prepare" if found.samples is None else f"{found.samples:,} samples"
        console.out.print(f"data {found.root}: {found.problem or samples}", markup=False)
    rows = tuple(
        (row.name, row.weights, "yes" if row.built else "no", "" if row.gmacs is None else f"{row.gmacs:.4g}")
        for row in experts
    )
    columns = (Column("Expert", numeric=False), Column("Weights"), Column("Built"), Column("GMACs"))
    note = "Where weights are not here, the expert was built with random ones. 1 MAC = 2 FLOPs."
    Table(f"Dry run of {run.recipe.name}", columns, rows, note=note).print(console.out)
    for row in experts:
        if row.problem:
            console.out.print(f"{row.name}: {row.problem}", markup=False)
    return not any([*(found.problem for found in data), *(row.problem for row in experts)])
