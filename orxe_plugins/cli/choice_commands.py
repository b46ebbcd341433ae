"""The commands that choose among experts and report: ``select-saver``, ``select-pool``, ``train-gate``, ``eval``."""

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


def select_saver(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    base: Annotated[
        list[str] | None, typer.Option("--base", help="Base model; the costliest expert by default.")
    ] = None,
    data: DataOption = None,
    out: OutOption = None,
    trust: TrustOption = False,
) -> None:
    """Rank the experts as savers of a base model by Delta C.

    Delta C is defined in section 3.3 of TinySaver. Costs are those that the recipe asks for.

    Example: orxe select-saver digits --base large cost=throughput
    """
    from orxe_plugins.cli.reports import print_savers
    from orxe_plugins.run.searching import priced_pool

    with console.bars() as bars:
        run = open_run(RunArguments(recipe, overrides, data, out, trust=trust), bars)
        splits = priced_pool(run).splits
    recipe_bases = run.recipe.select_saver.base if run.recipe.select_saver else None
    print_savers(run, splits, base or recipe_bases or [splits.fit.names[-1]])


def select_pool(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    k: Annotated[int, typer.Option("-k", "--experts", min=1, help="How many experts to choose.")] = 3,
    data: DataOption = None,
    out: OutOption = None,
    trust: TrustOption = False,
) -> None:
    """Choose the K experts that make the best cascade.

    The best one over all preferences of the recipe, by the cost that the recipe asks for.

    Example: orxe select-pool digits -k 2 cost=throughput
    """
    from orxe_plugins.run.searching import priced_pool
    from orxe_plugins.search.pool import select_pool as choose

    with console.bars() as bars:
        run = open_run(RunArguments(recipe, overrides, data, out, trust=trust), bars)
        fit = priced_pool(run).splits.fit
    for name in choose(fit, k, run.recipe.preferences):
        console.tell(name)


def train_gate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
    fresh_all: FreshAllOption = False,
    trust: TrustOption = False,
) -> None:
    """Train ranking gates and compare them with confidences.

    Gates are trained on recorded features, and compared with the experts' own confidence.

    Example: orxe train-gate digits_regression
    """
    from orxe_plugins.cli.reports import print_gates
    from orxe_plugins.run.confidences import check_gates, train_run_gates
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import record_pool
    from orxe_plugins.run.splits import splits_of

    with console.bars() as bars:
        run = open_run(RunArguments(recipe, overrides, data, out, fresh, fresh_all, trust), bars)
        check_gates(run)
        prepare(run)
        splits = splits_of(run, record_pool(run))
        gates = train_run_gates(run, splits)
    print_gates(run, splits, gates)


def evaluate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    routed: Annotated[bool, typer.Option("--routed", help="Also run all for real, and time it.")] = False,
    preference: Annotated[float, typer.Option(min=0.0, max=1.0, help="Preference of the routed run.")] = 0.8,
    shift: Annotated[
        bool, typer.Option("--shift", help="Also print what each expert loses by a view derived from one tensor.")
    ] = False,
    data: DataOption = None,
    out: OutOption = None,
    trust: TrustOption = False,
    trust_changed: ChangedOption = False,
    no_images: NoImagesOption = False,
    log: LogOption = None,
) -> None:
    """Report the cascade on the reporting split.

    Prints a table, writes pictures and an HTML page.

    Example: orxe eval digits --routed --preference 0.9
    """
    from orxe_plugins.cli.left_out import tell_left_out
    from orxe_plugins.cli.reports import open_trackers, report_run
    from orxe_plugins.cli.routed import print_routed, print_shift
    from orxe_plugins.run.fitted import read_fitted

    with console.bars() as bars:
        told = RunArguments(recipe, overrides, data, out, trust=trust, trust_changed=trust_changed)
        run = open_run(told, bars)
        trackers = open_trackers(run, log or [])
        fitted = read_fitted(run)
        report_run(run, fitted, not no_images, trackers)
        if routed:
            print_routed(run, fitted, preference)
        if shift:
            print_shift(run, fitted)
    tell_left_out([fitted.splits.fit, fitted.splits.report])
