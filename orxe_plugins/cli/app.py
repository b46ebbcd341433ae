"""The ``orxe`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orxe_plugins.cli import console

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cascades of pretrained vision models: from a pool of models and a data set to one cheaper model.\n\n"
    "Start with: orxe run digits",
)

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, its folder, or a name: orxe list recipes")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Change a value of the recipe, as in data.split.fit=0.3")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of your labelled images; fills {data} in the recipe.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for results; runs/NAME of the recipe by default.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Record again what a run with other settings left there.")]


def _run(
    recipe: str, data: Path | None, out: Path | None, overrides: list[str] | None, bars: Any, fresh: bool = False
) -> Any:
    from orxe_plugins.run.pipeline import Run
    from orxe_plugins.run.recipe_file import load_recipe, recipe_out

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
    from orxe_plugins.cli.commands import print_savers, report_run

    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars, fresh)
        job.prepare()
        job.record()
        console.say("searching thresholds")
        judged = job.judged()
        file, splits = job.fitted(judged)
    if job.recipe.select_saver is not None:
        print_savers(job, judged[0], job.recipe.select_saver.base)
    report_run(job, file, splits)


@app.command()
def record(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
) -> None:
    """Record what every expert says of every sample. Killed and run again, it goes on where it was.

    Example: orxe record imagenet_lite --data ~/imagenet/val
    """
    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars, fresh)
        job.prepare()
        job.record()
    splits = job.splits()
    skipped = len(splits.report.skipped)
    console.out.print(f"{splits.fit.n_experts} experts recorded in {job.out}, {skipped} samples skipped", markup=False)
    for sample, reason in splits.report.skipped:
        console.out.print(f"  skipped {sample}: {reason}", markup=False)


@app.command()
def check(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    cost: Annotated[bool, typer.Option(help="Count GMACs; a large detector runs once for it.")] = True,
) -> None:
    """Build what can be built of a recipe and say what is missing. Nothing is downloaded, trained or recorded.

    Example: orxe check coco_yolov8_codino --data ~/coco experts.codino.options.repo=~/mmdetection
    """
    from orxe_plugins.cli.commands import print_check
    from orxe_plugins.run.recipe_file import load_recipe, recipe_out

    folder = recipe_out(recipe).resolve()
    loaded = load_recipe(recipe, out=folder, data=data.resolve() if data else "{data}", overrides=overrides or [])
    with console.bars() as bars:
        complete = print_check(loaded, folder, cost, bars)
    raise typer.Exit(0 if complete else 1)


@app.command()
def search(recipe: RecipeArgument, overrides: Overrides = None, data: DataOption = None, out: OutOption = None) -> None:
    """Fit thresholds on the recorded samples and write the cascade's folder.

    Example: orxe search digits skip_gates=false
    """
    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars)
        file = job.search()
    costs = [row.cost for row in file.table]
    console.out.print(
        f"{len(file.table)} policies from {min(costs):.4g} to {max(costs):.4g} {file.table.cost_unit} "
        f"in {job.cascade_folder}",
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
    """Rank the experts as savers of a base model by Delta C (TinySaver, section 3.3).

    Example: orxe select-saver digits --base large
    """
    from orxe_plugins.cli.commands import print_savers

    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars)
        splits, _ = job.judged()
    recipe_bases = job.recipe.select_saver.base if job.recipe.select_saver else None
    print_savers(job, splits, base or recipe_bases or [splits.fit.names[-1]])


@app.command("select-pool")
def select_pool(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    k: Annotated[int, typer.Option("-k", "--experts", min=1, help="How many experts to choose.")] = 3,
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """Choose the K experts of the pool whose cascade does best over all preferences.

    Example: orxe select-pool digits -k 2
    """
    from orxe_plugins.search import select_pool as choose

    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars)
        fit = job.judged()[0].fit
    for name in choose(fit, k, job.recipe.preferences):
        console.out.print(name, markup=False)


@app.command("train-gate")
def train_gate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    data: DataOption = None,
    out: OutOption = None,
    fresh: FreshOption = False,
) -> None:
    """Train ranking gates on recorded features and compare them with the experts' own confidence.

    Example: orxe train-gate digits_regression
    """
    from orxe_plugins.cli.commands import print_gates

    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars, fresh)
        job.prepare()
        job.record()
        gates = job.train_gates()
    print_gates(job, gates)


@app.command("eval")
def evaluate(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    routed: Annotated[bool, typer.Option("--routed", help="Also run the cascade for real, beside replay.")] = False,
    preference: Annotated[float, typer.Option(min=0.0, max=1.0, help="Preference of the routed run.")] = 0.8,
    shift: Annotated[
        bool, typer.Option("--shift", help="Also tell what each expert loses by a view derived from one tensor.")
    ] = False,
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """Report the cascade on the reporting split: table, picture and HTML page.

    Example: orxe eval digits --routed --preference 0.9
    """
    from orxe_plugins.cli.commands import print_routed, print_shift, report_run

    with console.bars() as bars:
        job = _run(recipe, data, out, overrides, bars)
        file, splits = job.fitted()
        report_run(job, file, splits)
        if routed:
            print_routed(job, file, splits, preference)
        if shift:
            print_shift(job, splits)


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
    """Answer images with a cascade: prediction, confidence, expert and cost of each, as CSV.

    Example: orxe predict runs/digits/cascade runs/digits/digits/7/*.png --preference 0.9
    """
    from orxe_plugins.cli.commands import print_predictions
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
    from orxe_plugins.cli.commands import print_names

    print_names(what)


@app.command(
    "exec",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    context: typer.Context,
    script: Annotated[Path, typer.Argument(help="A Python script, such as timm's validate.py.")],
) -> None:
    """Run any script unmodified, with the models of the adapters registered.

    Example: orxe exec validate.py --model orxe_metamodel --data-dir ~/imagenet/val
    """
    from orxe_plugins.cli.execute import run_script

    run_script(script, context.args)


def main() -> None:
    """Entry point of the console script."""
    with console.friendly_errors():
        app(standalone_mode=True)
