"""A dry run of a recipe: which parts of it can be built here, what the data holds, and what is missing.

Nothing is downloaded, trained or recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.checkpoints import checkpoint_file, is_package
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import load_expert, load_untrained
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.experts.views import shown_view
from orxe_plugins.run.described import class_sentence
from orxe_plugins.run.run import Run
from orxe_plugins.run.timing import few_samples, reading_seconds, seconds_per_sample
from orxe_plugins.run.views import doubt_about_view

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
        view: what it sees of an image, in words; empty where that is not known.
        classes: number of its classes or labels; None for other experts.
        seconds: estimate of how long recording it takes; None without samples, or where it was not timed.
        doubt: why its view may be another than it was trained with; empty as a rule.
    """

    name: str
    weights: str
    built: bool
    gmacs: float | None
    problem: str = ""
    view: str = ""
    classes: int | None = None
    seconds: float | None = None
    doubt: str = ""


@dataclass(frozen=True)
class DataCheck:
    """The result of a dry run for one folder of samples.

    Attributes:
        root: the folder.
        samples: how many there are; None if it cannot be read.
        problem: why it cannot be read; empty if ``prepare`` makes it.
        classes: the classes and how they are numbered, in words; empty where there are none.
        notes: what was left out or decided when the data was listed.
        unreadable: samples that could not be read, of the few that were tried.
    """

    root: str
    samples: int | None
    problem: str = ""
    classes: str = ""
    notes: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def check_data(run: Run) -> list[DataCheck]:
    """Read the recipe's data sets: list them, and try a few samples of each."""
    data = run.recipe.data
    return [_check_folder(run, root) for root in (data.root, data.report_root, data.unlabelled) if root is not None]


def _check_folder(run: Run, root: str) -> DataCheck:
    try:
        if "{data}" in root:
            raise OrxeError("the recipe needs your data: add --data FOLDER")
        dataset = run.dataset(root)
        run.task_of(root).check(dataset)
        _, unreadable, _ = few_samples(dataset)
    except OrxeError as error:
        made = run.recipe.prepare is not None and not Path(root).exists() and _is_inside(Path(root), run.out)
        return DataCheck(root, None, "" if made else str(error))
    notes = tuple(getattr(dataset, "notes", ()))
    return DataCheck(root, len(dataset), "", class_sentence(dataset), notes, tuple(unreadable))


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def check_experts(run: Run, cost: bool = True, time: bool = False) -> Iterator[ExpertCheck]:
    """Build the recipe's experts one after the other, shown by the run's progress.

    Args:
        run: the recipe's run.
        cost: count each expert's GMACs; a large detector runs once for it.
        time: run each expert on a few samples, to estimate how long a recording takes and whether its view is right.
    """
    run.progress.start(len(run.specs), "building experts")
    dataset = _samples(run)
    images: list[Any] = []
    reading = 0.0
    if time and dataset is not None:
        images, _, reading = few_samples(dataset)
    for spec in run.specs:
        found, expert = _check_expert(run, spec, dataset, cost)
        if expert is not None and images and dataset is not None:
            each = seconds_per_sample(expert, images)
            if each is not None:
                found = replace(found, seconds=len(dataset) * (each + reading_seconds(reading)))
            if found.weights == FOUND and not found.problem:
                found = replace(found, doubt=doubt_about_view(spec, expert, dataset, run.task))
        yield found
        run.progress.advance(1)


def _samples(run: Run) -> Dataset | None:
    try:
        return run.dataset(run.recipe.data.root)
    except OrxeError:
        return None  # check_data reports it


def _check_expert(run: Run, spec: ExpertSpec, dataset: Dataset | None, cost: bool) -> tuple[ExpertCheck, Expert | None]:
    name = str(spec.name)
    weights, gmacs, expert = "", None, None
    problems = []
    try:
        weights = _weights(spec, run.recipe.prepare is not None)
        if weights == MISSING:
            problems.append(f"there is no checkpoint {_checkpoint(spec)}")
        expert = load_expert(spec) if weights == FOUND else load_untrained(spec)
        # First: what it costs is known even where its labels do not fit the data.
        gmacs = _cost(expert) if cost else None
        # An architecture without its weights may still have labels that are not its own.
        if dataset is not None and (weights == FOUND or isinstance(expert, ClassifierExpert)):
            run.task.prepare(expert, dataset)
    except (OrxeError, ImportError) as error:
        problems.append(str(error))
    problem = "; ".join(problems)
    if expert is None:
        return ExpertCheck(name, weights, False, None, problem), None
    return ExpertCheck(name, weights, True, gmacs, problem, shown_view(expert), _classes(expert)), expert


def _classes(expert: Expert) -> int | None:
    if isinstance(expert, ClassifierExpert):
        return expert.num_classes
    return len(expert.names) if isinstance(expert, DetectorExpert) else None


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
