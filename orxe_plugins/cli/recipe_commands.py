"""The commands that run a recipe, whole or step by step: ``run``, ``record``, ``check``, ``search``."""

from __future__ import annotations

from typing import Annotated

import typer

from orxe_plugins.cli import console
from orxe_plugins.cli.options import (
    ChangedOption,
    DataOption,
    FreshAllOption,
    FreshOption,
    LogOption,
    NoImagesOption,
    OutOption,
    Overrides,
    RecipeArgument,
    RunArguments,
    TrustOption,
    open_run,
)
from orxe_plugins.util.wording import plain


def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
    fresh_all: FreshAllOption = False,
    trust: TrustOption = False,
    no_images: NoImagesOption = False,
    log: LogOption = None,
) -> None:
    """Record, search, evaluate and report: a whole recipe.

    Example: orxe run imagenet_lite --data ~/imagenet/val --out runs/lite
    """
    from orxe_plugins.cli.left_out import tell_left_out
    from orxe_plugins.cli.reports import open_trackers, print_savers, report_run
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import record_pool
    from orxe_plugins.run.searching import search
    from orxe_plugins.run.splits import splits_of

    with console.bars() as bars:
        run = open_run(RunArguments(recipe, overrides, data, out, fresh, fresh_all, trust), bars)
        trackers = open_trackers(run, log or [])
        prepare(run)
        recorded = record_pool(run)
        console.say("searching thresholds")
        pool = with_confidences(run, splits_of(run, recorded))
        fitted = search(run, pool)
    if run.recipe.select_saver is not None:
        print_savers(run, pool.splits, run.recipe.select_saver.base)
    report_run(run, fitted, not no_images, trackers)
    tell_left_out(recorded.parts)


def record(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
    fresh_all: FreshAllOption = False,
    engine: Annotated[
        str, typer.Option(help="Who records: local, or ray for a task on a Ray cluster for each expert and shard.")
    ] = "local",
    trust: TrustOption = False,
) -> None:
    """Record what every expert says of every sample.

    A recording that was stopped goes on where it was. Over the GPUs of a machine:
    torchrun --nproc-per-node 4 -m orxe_plugins record RECIPE

    Example: orxe record imagenet_lite --data ~/imagenet/val
    """
    from orxe_plugins.cli.left_out import SHOWN, notes_of, skipped_in
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import record_pool
    from orxe_plugins.run.teams import crew_for
    from orxe_plugins.util.progress import Silent

    told = RunArguments(recipe, overrides, data, out, fresh, fresh_all, trust)
    with crew_for(engine) as crew, console.bars() as bars:
        run = open_run(told, bars if crew.team.leads else Silent())
        crew.team.in_turn(lambda: prepare(run))
        recorded = record_pool(run, crew.working_on(run))
    if not crew.team.leads:
        return
    skipped = skipped_in(recorded.parts)
    console.tell(f"{recorded.fit.n_experts} experts recorded in {run.out}, {len(skipped)} samples skipped")
    for sample, reason in skipped[:SHOWN]:
        console.tell(f"  skipped {sample}: {reason}")
    if len(skipped) > SHOWN:
        console.tell(f"  and {len(skipped) - SHOWN:,} more")
    console.tell_notes(notes_of(recorded.parts))


def check(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    cost: Annotated[bool, typer.Option(help="Count GMACs; a large detector runs once for it.")] = True,
    time: Annotated[bool, typer.Option(help="Time a few samples, to estimate the recording.")] = True,
    trust: TrustOption = False,
) -> None:
    """Dry run of a recipe: what the data holds, what is missing.

    Shows classes, costs, what each expert sees and how long a recording takes. Nothing is downloaded, trained or
    recorded. The exit status is 1 if something is missing.

    Example: orxe check coco_yolov8_codino --data ~/coco experts.codino.options.repo=~/mmdetection
    """
    from orxe_plugins.cli.dry_run import print_check
    from orxe_plugins.run.recipe_file import load_recipe, recipe_out
    from orxe_plugins.run.run import Run

    folder = recipe_out(recipe, overrides or []).resolve()
    place = data.resolve() if data else "{data}"
    loaded = load_recipe(recipe, out=folder, data=place, overrides=overrides or [], trust=trust)
    with console.bars() as bars:
        complete = print_check(Run(loaded, folder, bars), cost, time)
    raise typer.Exit(0 if complete else 1)


def search(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    trust: TrustOption = False,
    trust_changed: ChangedOption = False,
) -> None:
    """Fit thresholds to the records; write the cascade's folder.

    Example: orxe search digits skip_gates=false
    """
    from orxe_plugins.evaluation.oddities import aimless_experts, odd_experts
    from orxe_plugins.run.searching import search as search_policies

    with console.bars() as bars:
        told = RunArguments(recipe, overrides, data, out, trust=trust, trust_changed=trust_changed)
        run = open_run(told, bars)
        fitted = search_policies(run)
    file = fitted.file
    for warning in (*aimless_experts(fitted.splits.fit), *odd_experts(fitted.splits.fit)):
        console.say(f"Warning: {warning}")
    costs = [row.cost for row in file.table]
    console.tell(
        f"{len(file.table)} policies from {plain(min(costs))} to {plain(max(costs))} {file.table.cost_unit} "
        f"in {run.cascade_folder}"
    )
