"""A dry run of a recipe: which parts of it can be built here, and what is missing.

Nothing is downloaded, trained or recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.checkpoints import checkpoint_file, is_package
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import load_expert, load_untrained
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.run.run import Run

FOUND, MISSING, MADE, DOWNLOAD = "found", "missing", "made by prepare", "downloaded by a run"


@dataclass(frozen=True)
class ExpertCheck:
    """The result of a dry run for one expert.

    Attributes:
        name: the expert's name.
        weights: "found", "missing", "made by prepare" or "downloaded by a run".
        built: whether it could be built; with random weights where its own are not here.
        gmacs: cost of one sample, if it was to be counted and the expert could be built.
        problem: why a run would fail here; empty if it would succeed.
    """

    name: str
    weights: str
    built: bool
    gmacs: float | None
    problem: str = ""


@dataclass(frozen=True)
class DataCheck:
    """The result of a dry run for one folder of samples.

    Attributes:
        root: the folder.
        samples: how many there are; None if it cannot be read.
        problem: why it cannot be read; empty if ``prepare`` makes it.
    """

    root: str
    samples: int | None
    problem: str = ""


def check_data(run: Run) -> list[DataCheck]:
    """Read the recipe's data sets, as far as they are there."""
    found = []
    for root in filter(None, (run.recipe.data.root, run.recipe.data.report_root)):
        try:
            run.task.check(run.listed(root))
            found.append(DataCheck(root, len(run.listed(root))))
        except OrxeError as error:
            made = run.recipe.prepare is not None and not Path(root).exists()
            found.append(DataCheck(root, None, "" if made else str(error)))
    return found


def check_experts(run: Run, cost: bool = True) -> Iterator[ExpertCheck]:
    """Build the recipe's experts one after the other, shown by the run's progress.

    Args:
        run: the recipe's run.
        cost: count each expert's GMACs; a large detector runs once for it.
    """
    run.progress.start(len(run.specs), "building experts")
    try:
        dataset = run.listed(run.recipe.data.root)
    except OrxeError:
        dataset = None  # check_data reports it
    for spec in run.specs:
        yield _check_expert(run, spec, dataset, cost)
        run.progress.advance(1)


def _check_expert(run: Run, spec: ExpertSpec, dataset: Dataset | None, cost: bool) -> ExpertCheck:
    name = str(spec.name)
    weights, built, gmacs = "", False, None
    problems = []
    try:
        weights = _weights(spec, run.recipe.prepare is not None)
        if weights == MISSING:
            problems.append(f"there is no checkpoint {_checkpoint(spec)}")
        expert = load_expert(spec) if weights == FOUND else load_untrained(spec)
        built = True
        if weights == FOUND and dataset is not None:
            run.task.prepare(expert, dataset)
        gmacs = _cost(expert) if cost else None
    except (OrxeError, ImportError) as error:
        problems.append(str(error))
    return ExpertCheck(name, weights, built, gmacs, "; ".join(problems))


def _cost(expert: Expert) -> float:
    return expert.measure_cost() + expert.shared_cost


def _weights(spec: ExpertSpec, prepared: bool) -> str:
    """Where the weights are, as far as that is known without asking the network."""
    checkpoint = _checkpoint(spec)
    if checkpoint is None:
        _, name, _ = parse_address(spec.address)
        return FOUND if Path(name).exists() else DOWNLOAD
    if is_package(checkpoint):
        try:
            return FOUND if checkpoint_file(checkpoint) else MISSING
        except OrxeError:
            return MISSING
    if Path(checkpoint).exists():
        return FOUND
    # An address in the network, or a word that its adapter knows, such as mmdet's "pretrained".
    if "://" in checkpoint or not Path(checkpoint).suffix:
        return DOWNLOAD
    return MADE if prepared else MISSING


def _checkpoint(spec: ExpertSpec) -> str | None:
    """The checkpoint that an expert names: as a field, as an option or in its address."""
    _, name, options = parse_address(spec.address)
    given: Any = spec.checkpoint or {**options, **spec.options}.get("checkpoint") or name.partition("@")[2]
    return str(given) if given else None
