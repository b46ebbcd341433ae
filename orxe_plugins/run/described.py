"""A data set in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from orxe_plugins.data.class_folders import read_class_map
from orxe_plugins.data.datasets import Dataset, ImageFolder, Subset
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.errors import OrxeError
from orxe_plugins.run.run import Run

#: so many classes are named
_NAMED = 5


def class_sentence(dataset: Dataset) -> str:
    """The classes of a data set and how they are numbered; empty where it has none.

    Of detection data: the labels and the number of boxes.
    """
    base = base_of(dataset)
    if isinstance(base, ImageFolder):
        return _folders(base, dataset)
    if len(dataset) and isinstance(dataset.targets[0], GroundTruth):
        names = dataset.targets[0].names
        boxes = sum(len(target.labels) for target in dataset.targets)
        return f"{len(names)} labels, {boxes:,} boxes: {_listed([f'{i} {name}' for i, name in enumerate(names)])}"
    return ""


def class_names(run: Run) -> tuple[str, ...] | None:
    """Names of the classes of a run's class folders, in order of their indices; None for other data.

    A class without a folder has an empty name, unless the class map names it.
    """
    try:
        base = base_of(run.listed(run.recipe.data.root))
    except OrxeError:
        return None  # records may outlive their images
    if not isinstance(base, ImageFolder):
        return None
    names, class_map = base.classes, base.class_map
    if class_map is not None:
        # It may name more classes than there are folders here, and experts answer with all of them.
        names = {**(class_map if isinstance(class_map, Mapping) else read_class_map(class_map, list(names))), **names}
    by_index = {index: name for name, index in names.items()}
    return tuple(by_index.get(index, "") for index in range(max(by_index) + 1))


def base_of(dataset: Dataset) -> Dataset:
    """The whole data set that one is a part of, or the data set itself."""
    while isinstance(dataset, Subset):
        dataset = dataset.base
    return dataset


def _folders(base: ImageFolder, dataset: Dataset) -> str:
    rising = sorted(base.classes.items(), key=lambda item: item[1])
    order = "by the folders' names"
    if base.class_map is not None:
        order = "by the class map" if isinstance(base.class_map, Mapping) else f"by {Path(base.class_map).name}"
    elif base.unmapped:
        order = "in the order of the folders' names, as there is no class map"
    listed = _listed([f"{index} {name}" for name, index in rising])
    counts = Counter(dataset.targets)
    per_class = [counts.get(index, 0) for _, index in rising]
    images = f"{min(per_class)} to {max(per_class)}" if min(per_class) != max(per_class) else f"{per_class[0]}"
    return f"{len(rising)} classes of {images} images, numbered {order}: {listed}"


def _listed(names: list[str]) -> str:
    if len(names) <= _NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])}, … {names[-1]}"
