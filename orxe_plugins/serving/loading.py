"""A cascade's folder as what a server needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import CascadeFile, cascade_of, read_cascade
from orxe_plugins.cascade.guard import BudgetGuard
from orxe_plugins.experts.risks import check_specs
from orxe_plugins.serving.options import ServeOptions
from orxe_plugins.tasks.task import Task, task_named
from orxe_plugins.util.python_files import import_file


@dataclass(frozen=True)
class Served:
    """A cascade that is ready to answer.

    Attributes:
        file: what its folder says.
        cascade: the cascade, at the policy that was asked for.
        task: its task.
        guard: the budget guard that is attached to it; None for none.
    """

    file: CascadeFile
    cascade: Cascade
    task: Task
    guard: BudgetGuard | None


def check_served(folder: Path, options: ServeOptions) -> CascadeFile:
    """What a folder says, after checking all that can be checked without loading an expert.

    Raises:
        OrxeError: there is no such cascade, none of its policies is what is asked for, or building an expert would do
            what only trusted files may.
    """
    if options.plugin is not None:
        import_file(options.plugin.resolve(), f"orxe_plugin_{options.plugin.stem}", "the command", "plugin")
    file = read_cascade(folder, trust=options.trust)
    task_named(file.task)
    file.table.choose(options.asked)
    if not options.trust:
        check_specs(file.specs)
    return file


def load_served(folder: Path, options: ServeOptions, device: str = "cpu") -> Served:
    """The cascade with its experts on a device, at the policy asked for and with a guard if there is a budget."""
    file = check_served(folder, options)
    cascade = cascade_of(file, trust=options.trust)
    cascade.to(device)
    cascade.set_preference(options.asked)
    guard = None
    if options.budget is not None:
        guard = BudgetGuard(cascade, per_sample=options.budget, window=options.window).attach()
    return Served(file, cascade, task_named(file.task), guard)
