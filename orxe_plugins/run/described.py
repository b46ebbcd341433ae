"""A data set in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from orxe_plugins.data.datasets import Dataset, ImageFolder, base_of
from orxe_plugins.detection.coco.ground_truth import GroundTruth

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
