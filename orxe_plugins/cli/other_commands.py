"""The commands beside a recipe's run: ``init``, ``predict``, ``list``, ``exec``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from orxe_plugins.cli import console
from orxe_plugins.cli.options import ChangedOption, TrustOption


def init(
    data: Annotated[
        Path, typer.Option("--data", help="Labelled images: class folders, COCO or YOLO data or its file.")
    ],
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXPERTS",
            help="Model names, files of weights, addresses, or MODEL@FILE; any with options: yolo11n.pt?imgsz=320.",
        ),
    ] = None,
    experts: Annotated[
        list[str] | None, typer.Option("--experts", metavar="EXPERTS...", help="The same, one or several.")
    ] = None,
    arch: Annotated[
        list[str] | None, typer.Option("--arch", help="The model of a file that does not say it itself.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="What the data is for, if it is not found out.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The recipe to write.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a recipe that is there.")] = False,
    trust: TrustOption = False,
) -> None:
    """Write a recipe for your own models and images.

    Looks at both, and says in comments what it found.

    Example: orxe init --experts resnet18 best.pth --data photos/val --out mine.yaml
    """
    from orxe_plugins.cli.new_recipe import write_recipe
    from orxe_plugins.util.trust import trusting

    with trusting() if trust else nullcontext():
        write_recipe([*(experts or []), *(more or [])], arch or [], data, task, out, force)


def predict(
    cascade: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of its cascade.")],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGES", help="Image files, folders, patterns in quotes, or videos.")
    ],
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
    safety: Annotated[
        float | None,
        typer.Option(min=0.0, help="Standard errors on the safe side of a budget, target or drop; 0 trusts the table."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the answers to this file.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Answer each so many-th frame of a video.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are answered at once.")] = 64,
    plugin: Annotated[
        Path | None, typer.Option(help="Python file that registers the cascade's task, as the recipe names it.")
    ] = None,
    on_error: Annotated[
        str,
        typer.Option(help="raise: stop where an expert fails; best_available: let others answer, and mark the image."),
    ] = "raise",
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that an expert may take for a batch; without it, as long as it takes.")
    ] = None,
    trust: TrustOption = False,
    trust_changed: ChangedOption = False,
) -> None:
    """Answer images with a cascade, as CSV or JSON lines.

    A line holds the answer to an image, its confidence, the expert that gave it and what it cost. An image that cannot
    be read, or that an expert fails on, is named; the others are answered, and the exit status is 1.

    Example: orxe predict runs/digits runs/digits/digits/7 --preference 0.9
    """
    from orxe_plugins.cli.predictions import PredictOptions, print_predictions
    from orxe_plugins.policies.selection import Selection
    from orxe_plugins.util.python_files import import_file

    if plugin is not None:
        import_file(plugin.resolve(), f"orxe_plugin_{plugin.stem}", "the command", "plugin")
    if all(value is None for value in (preference, budget, target, max_drop, confidence)):
        preference = 0.5
    asked = Selection(preference, budget, target, max_drop, confidence, max_experts, max_params, safety)
    with console.bars("stopped") as bars:
        complete = print_predictions(
            cascade,
            images,
            PredictOptions(asked, batch_size, as_json, out, every, trust, trust_changed, on_error, timeout),
            bars,
        )
    raise typer.Exit(0 if complete else 1)


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
