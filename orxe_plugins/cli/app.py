"""The command ``orxe``: its subcommands, in the order in which help lists them."""

from __future__ import annotations

import typer

from orxe_plugins.cli import (
    choice_commands,
    console,
    other_commands,
    profile_command,
    recipe_commands,
    serve_command,
)
from orxe_plugins.cli.options import VersionOption
from orxe_plugins.util.allocator import keep_freed_memory

# Nothing that needs torch is imported before a command runs: `orxe --help` must come at once.
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def orxe(version: VersionOption = False) -> None:
    """Cascades of pretrained vision models: from a pool of models and a data set to one cheaper model.

    Start with: orxe run digits. With your own models: orxe init --help
    """


app.command()(other_commands.init)
app.command()(recipe_commands.check)
app.command()(recipe_commands.run)
app.command()(recipe_commands.record)
app.command()(profile_command.profile)
app.command()(recipe_commands.search)
app.command("eval")(choice_commands.evaluate)
app.command("select-saver")(choice_commands.select_saver)
app.command("select-pool")(choice_commands.select_pool)
app.command("train-gate")(choice_commands.train_gate)
app.command()(other_commands.predict)
app.command()(serve_command.serve)
app.command("list")(other_commands.list_names)
# What follows the script's name belongs to the script.
app.command(
    "exec",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)(other_commands.execute)


def main() -> None:
    """Entry point of the console script."""
    keep_freed_memory()
    with console.friendly_errors():
        app(standalone_mode=True)
