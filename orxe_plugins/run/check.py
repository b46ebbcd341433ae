"""A dry run of a recipe: what of it can be built here, and what is missing.

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
from orxe_plugins.experts.registry import ExpertSpec, load_expert, load_untrained, parse_address
from orxe_plugins.run.pipeline import Run
from orxe_plugins.util.progress import Progress, Silent

FOUND, MISSING, MADE, DOWNLOAD = "found", "missing", "made by prepare", "downloaded by a run"


@dataclass(frozen=True)
class ExpertCheck:
    """What a dry run found of one expert.

    Attributes:
        name: the expert's name.
        weights: "found", "missing", "made by prepare" or "downloaded by a run".
        built: whether it could be built; where the weights are not here, with random ones.
        gmacs: cost of one sample, if it was asked for and the expert could be built.
        problem: why a run would fail here; empty if it would not.
    """

    name: str
    weights: str
    built: bool
    gmacs: float | None
    problem: str = ""


@dataclass(frozen=True)
class DataCheck:
    """What a dry run found of one folder of samples.

    Attributes:
        root: the folder.
        samples: how many there are; None if it cannot be read.
        problem: why not; empty if ``prepare`` makes it.
    """

    root: str
    samples: int | None
    problem: str = ""


def check_data(job: Run) -> list[DataCheck]:
    """Read the recipe's data sets, as far as they are there."""
    found = []
    for root in filter(None, (job.recipe.data.root, job.recipe.data.report_root)):
        try:
            found.append(DataCheck(root, len(_dataset(job, root))))
        except OrxeError as error:
            made = job.recipe.prepare is not None and not Path(root).exists()
            found.append(DataCheck(root, None, "" if made else str(error)))
    return found


def check_experts(job: Run, cost: bool = True, progress: Progress | None = None) -> Iterator[ExpertCheck]:
    """Build the recipe's experts one after the other.

    Args:
        job: the recipe's run.
        cost: count each expert's GMACs; a large detector runs once for it.
        progress: is told of every expert.
    """
    bar = progress or Silent()
    bar.start(len(job.specs), "building experts")
    try:
        dataset = _dataset(job, job.recipe.data.root)
    except OrxeError:
        dataset = None  # what check_data says
    for spec in job.specs:
        yield _check_expert(job, spec, dataset, cost)
        bar.advance(1)


def _check_expert(job: Run, spec: ExpertSpec, dataset: Dataset | None, cost: bool) -> ExpertCheck:
    name = str(spec.name)
    weights, built, gmacs = "", False, None
    problems = []
    try:
        weights = _weights(spec, job.recipe.prepare is not None)
        if weights == MISSING:
            problems.append(f"there is no checkpoint {_checkpoint(spec)}")
        expert = load_expert(spec) if weights == FOUND else load_untrained(spec)
        built = True
        if weights == FOUND and dataset is not None:
            job.task.prepare(expert, dataset)
        gmacs = _cost(expert) if cost else None
    except (OrxeError, ImportError) as error:
        problems.append(str(error))
    return ExpertCheck(name, weights, built, gmacs, "; ".join(problems))


def _cost(expert: Expert) -> float:
    return expert.measure_cost() + expert.shared_cost


def _dataset(job: Run, root: str) -> Dataset:
    return job.task.dataset(Path(root), job.recipe.data.class_map)


def _weights(spec: ExpertSpec, prepared: bool) -> str:
    """Where the weights are, as far as it can be told without asking the net."""
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
    # An address in the net, or a word that its adapter knows, such as mmdet's "pretrained".
    if "://" in checkpoint or not Path(checkpoint).suffix:
        return DOWNLOAD
    return MADE if prepared else MISSING


def _checkpoint(spec: ExpertSpec) -> str | None:
    """The checkpoint that an expert names, in whichever of the three ways."""
    _, name, options = parse_address(spec.address)
    given: Any = spec.checkpoint or {**options, **spec.options}.get("checkpoint") or name.partition("@")[2]
    return str(given) if given else None
