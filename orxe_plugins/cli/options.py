"""Arguments and options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orxe_plugins import __version__
from orxe_plugins.cli import console

if TYPE_CHECKING:
    from orxe_plugins.run.run import Run
    from orxe_plugins.util.progress import Progress

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
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Record again what differs, or the experts that are named behind it.")
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Trust files of others that would run code or fetch, now and from now on.")
]
ChangedOption = Annotated[
    bool, typer.Option("--trust-changed", help="Go on with weights that have changed since they were recorded.")
]
FreshAllOption = Annotated[bool, typer.Option("--fresh-all", help="Record everything again.")]


@dataclass(frozen=True)
class RunArguments:
    """What a command was told of its run."""

    recipe: str
    overrides: list[str] | None = None
    data: Path | None = None
    out: Path | None = None
    fresh: bool = False
    fresh_all: bool = False
    trust: bool = False
    trust_changed: bool = False


def open_run(told: RunArguments, progress: Progress) -> Run:
    """The run that a command works on."""
    from orxe_plugins.run.recipe_file import load_recipe, recipe_out
    from orxe_plugins.run.recipe_folders import claim_folder, find_recipe
    from orxe_plugins.run.run import Run

    # Behind --fresh, words without a "=" are experts.
    names = [word for word in told.overrides or [] if told.fresh and "=" not in word]
    overrides = [word for word in told.overrides or [] if word not in names]
    folder = told.out or recipe_out(told.recipe, overrides)
    data = told.data.resolve() if told.data else None
    loaded = load_recipe(told.recipe, out=folder.resolve(), data=data, overrides=overrides, trust=told.trust)
    run = Run(
        loaded,
        folder,
        progress,
        told.fresh and not names,
        told.fresh_all,
        told.trust,
        told.trust_changed,
        names,
    )
    if told.out is None:
        claim_folder(folder, find_recipe(told.recipe))
    return run


NoImagesOption = Annotated[bool, typer.Option("--no-images", help="Leave pictures of samples out of the report.")]
LogOption = Annotated[
    list[str] | None,
    typer.Option("--log", help="Keep the figures in tensorboard, mlflow, wandb or trackio too; may be repeated."),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        console.tell(f"orxe_plugins {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
