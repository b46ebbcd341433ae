"""The command ``profile``: how long every expert takes on a device."""

from __future__ import annotations

from typing import Annotated

import typer

from orxe_plugins.cli import console
from orxe_plugins.cli.options import (
    DataOption,
    OutOption,
    Overrides,
    RecipeArgument,
    RunArguments,
    TrustOption,
    open_run,
)


def profile(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    device: Annotated[str, typer.Option(help="Where to measure, such as cuda:0.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="Precision: fp32, fp16 or bf16.")] = "fp32",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each batch size; their median counts.")] = 15,
    singles: Annotated[int, typer.Option(min=1, help="Runs of a single image, for tail latencies.")] = 100,
    data: DataOption = None,
    out: OutOption = None,
    trust: TrustOption = False,
) -> None:
    """Measure how long experts, exits and gates take here.

    Batch sizes are the recipe's (cost.batch_sizes). The figures go into one JSON file for each device and precision.

    Example: orxe profile digits --device cpu cost.batch_sizes=[1,16,64]
    """
    from orxe_plugins.cost.latency import LatencyTable
    from orxe_plugins.experts.measure import Timing
    from orxe_plugins.report.content.times import profile_table
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.latency import device_named, write_profile
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import pool_view
    from orxe_plugins.run.splits import splits_of

    where, timing = device_named(device), Timing(repeats=repeats, singles=singles, dtype=dtype)
    with console.bars() as bars:
        run = open_run(RunArguments(recipe, overrides, data, out, trust=trust), bars)
        prepare(run)
        # Gates are trained on records; an expert is timed with its gate.
        specs = run.specs if run.recipe.gates is None else with_confidences(run, splits_of(run)).specs.values()
        view = pool_view(run) if run.recipe.input_mode == "tensor" else None
        file = write_profile(run, view, specs, where, timing)
    profile_table(LatencyTable.load(file)).print(console.out)
    console.tell(f"profile: {file}")
    console.tell(f"use it: cost.kind=latency (or throughput) cost.table={file}")
