"""The command ``orxe``: its arguments, and which function does the work of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orxe_plugins.cli import console
from orxe_plugins.cli.options import DataOption, FreshOption, OutOption, Overrides, RecipeArgument, VersionOption

# Nothing that needs torch is imported before a command runs: `orxe --help` must come at once.
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def orxe(version: VersionOption = False) -> None:
    """Cascades of pretrained vision models: from a pool of models and a data set to one cheaper model.

    Start with: orxe run digits
    """


def _run(
    recipe: str, data: Path | None, out: Path | None, overrides: list[str] | None, bars: Any, fresh: bool = False
) -> Any:
    from orxe_plugins.run.recipe_file import load_recipe
    from orxe_plugins.run.recipe_folders import recipe_out
    from orxe_plugins.run.run import Run

    folder = out or recipe_out(recipe)
    loaded = load_recipe(recipe, out=folder.resolve(), data=data.resolve() if data else None, overrides=overrides or [])
    return Run(loaded, folder, bars, fresh)


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
) -> None:
    """Record, search, evaluate and report: a whole recipe.

    Example: orxe run imagenet_lite --data ~/imagenet/val --out runs/lite
    """
    from orxe_plugins.cli.reports import print_savers, report_run
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import record_pool
    from orxe_plugins.run.searching import search
    from orxe_plugins.run.splits import splits_of

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars, fresh)
        prepare(run)
        recorded = record_pool(run)
        console.say("searching thresholds")
        pool = with_confidences(run, splits_of(run, recorded))
        fitted = search(run, pool)
    if run.recipe.select_saver is not None:
        print_savers(run, pool.splits, run.recipe.select_saver.base)
    report_run(run, fitted)


@app.command()
def record(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
) -> None:
    """Record what every expert says of every sample.

    A recording that was stopped goes on where it was.

    Example: orxe record imagenet_lite --data ~/imagenet/val
    """
    from orxe_plugins.run.preparing import prepare
    from orxe_plugins.run.recording import record_pool
    from orxe_plugins.run.splits import splits_of

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars, fresh)
        prepare(run)
        recorded = record_pool(run)
    splits = splits_of(run, recorded)
    skipped = len(splits.report.skipped)
    console.out.print(f"{splits.fit.n_experts} experts recorded in {run.out}, {skipped} samples skipped", markup=False)
    for sample, reason in splits.report.skipped:
        console.out.print(f"  skipped {sample}: {reason}", markup=False)


@app.command()
def check(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    cost: Annotated[bool, typer.Option(help="Count GMACs; a large detector runs once for it.")] = True,
) -> None:
    """Dry run of a recipe: what can be built, what is missing.

    Nothing is downloaded, trained or recorded.

    Example: orxe check coco_yolov8_codino --data ~/coco experts.codino.options.repo=~/mmdetection
    """
    from orxe_plugins.cli.dry_run import print_check
    from orxe_plugins.run.recipe_file import load_recipe
    from orxe_plugins.run.recipe_folders import recipe_out
    from orxe_plugins.run.run import Run

    folder = recipe_out(recipe).resolve()
    loaded = load_recipe(recipe, out=folder, data=data.resolve() if data else "{data}", overrides=overrides or [])
    with console.bars() as bars:
        complete = print_check(Run(loaded, folder, bars), cost)
    raise typer.Exit(0 if complete else 1)


@app.command()
def search(recipe: RecipeArgument, overrides: Overrides = None, data: DataOption = None, out: OutOption = None) -> None:
    """Fit thresholds to the records; write the cascade's folder.

    Example: orxe search digits skip_gates=false
    """
    from orxe_plugins.run.searching import search as search_policies

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars)
        file = search_policies(run).file
    costs = [row.cost for row in file.table]
    console.out.print(
        f"{len(file.table)} policies from {min(costs):.4g} to {max(costs):.4g} {file.table.cost_unit} "
        f"in {run.cascade_folder}",
        markup=False,
    )


@app.command("select-saver")
def select_saver(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    base: Annotated[
        list[str] | None, typer.Option("--base", help="Base model; the costliest expert by default.")
    ] = None,
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """Rank the experts as savers of a base model by Delta C.

    Delta C is defined in section 3.3 of TinySaver.

    Example: orxe select-saver digits --base large
    """
    from orxe_plugins.cli.reports import print_savers
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.splits import splits_of

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars)
        splits = with_confidences(run, splits_of(run)).splits
    recipe_bases = run.recipe.select_saver.base if run.recipe.select_saver else None
    print_savers(run, splits, base or recipe_bases or [splits.fit.names[-1]])


@app.command("select-pool")
def select_pool(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    k: Annotated[int, typer.Option("-k", "--experts", min=1, help="How many experts to choose.")] = 3,
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """Choose the K experts that make the best cascade.

    The best one over all preferences of the recipe.

    Example: orxe select-pool digits -k 2
    """
    from orxe_plugins.run.confidences import with_confidences
    from orxe_plugins.run.splits import splits_of
    from orxe_plugins.search.pool import select_pool as choose

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars)
        fit = with_confidences(run, splits_of(run)).splits.fit
    for name in choose(fit, k, run.recipe.preferences):
        console.out.print(name, markup=False)


@app.command("train-gate")
def train_gate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
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
        run = _run(recipe, data, out, overrides, bars, fresh)
        check_gates(run)
        prepare(run)
        splits = splits_of(run, record_pool(run))
        gates = train_run_gates(run, splits)
    print_gates(run, splits, gates)


@app.command("eval")
def evaluate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    routed: Annotated[bool, typer.Option("--routed", help="Also run the cascade for real, beside replay.")] = False,
    preference: Annotated[float, typer.Option(min=0.0, max=1.0, help="Preference of the routed run.")] = 0.8,
    shift: Annotated[
        bool, typer.Option("--shift", help="Also print what each expert loses by a view derived from one tensor.")
    ] = False,
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """Report the cascade on the reporting split.

    Prints a table, writes pictures and an HTML page.

    Example: orxe eval digits --routed --preference 0.9
    """
    from orxe_plugins.cli.reports import report_run
    from orxe_plugins.cli.routed import print_routed, print_shift
    from orxe_plugins.run.fitted import read_fitted

    with console.bars() as bars:
        run = _run(recipe, data, out, overrides, bars)
        fitted = read_fitted(run)
        report_run(run, fitted)
        if routed:
            print_routed(run, fitted, preference)
        if shift:
            print_shift(run, fitted)


@app.command()
def predict(
    cascade: Annotated[Path, typer.Argument(help="Folder of a cascade, as `orxe run` writes it.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    preference: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="0: cheap, 1: accurate.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Mean cost per image to stay within, in the table's unit.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Score to reach on the fitting split, such as 0.9, at the least cost.")
    ] = None,
    max_drop: Annotated[float | None, typer.Option(help="Score that may be lost to the last expert.")] = None,
    confidence: Annotated[
        float | None, typer.Option(help="With --max-drop: take a promise tested with this confidence, such as 0.95.")
    ] = None,
    max_experts: Annotated[int | None, typer.Option(min=1, help="Use policies of so many experts at most.")] = None,
    max_params: Annotated[float | None, typer.Option(help="Use policies of so many parameters at most.")] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    plugin: Annotated[
        Path | None, typer.Option(help="Python file that registers the cascade's task, as the recipe names it.")
    ] = None,
) -> None:
    """Answer images with a cascade, as CSV.

    A line holds the answer to an image, its confidence, the expert that gave it and what it cost.

    Example: orxe predict runs/digits/cascade runs/digits/digits/7/*.png --preference 0.9
    """
    from orxe_plugins.cli.predictions import print_predictions
    from orxe_plugins.policies.selection import Selection
    from orxe_plugins.util.python_files import import_file

    if plugin is not None:
        import_file(plugin.resolve(), f"orxe_plugin_{plugin.stem}", "the command", "plugin")
    if all(value is None for value in (preference, budget, target, max_drop, confidence)):
        preference = 0.5
    asked = Selection(preference, budget, target, max_drop, confidence, max_experts, max_params)
    print_predictions(cascade, images, asked, batch_size)


@app.command("list")
def list_names(
    what: Annotated[
        str, typer.Argument(help="recipes, adapters, tasks or confidences; all of them by default.")
    ] = "all",
) -> None:
    """List recipes, adapters, tasks and confidence providers.

    Example: orxe list recipes
    """
    from orxe_plugins.cli.names import print_names

    print_names(what)


@app.command(
    "exec",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    context: typer.Context,
    script: Annotated[Path, typer.Argument(help="A Python script, such as timm's validate.py.")],
) -> None:
    """Run any script with the models of the adapters registered.

    The script needs no change.

    Example: orxe exec validate.py --model orxe_metamodel --data-dir ~/imagenet/val
    """
    from orxe_plugins.cli.execute import run_script

    run_script(script, context.args)


def main() -> None:
    """Entry point of the console script."""
    with console.friendly_errors():
        app(standalone_mode=True)
