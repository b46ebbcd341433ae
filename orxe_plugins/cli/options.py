"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orxe_plugins import __version__
from orxe_plugins.cli import console

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


def _print_version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"orxe_plugins {__version__}", markup=False)
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
