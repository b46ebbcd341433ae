"""Class folders as the classes that experts know by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from orxe_plugins.data.datasets import Dataset, ImageFolder, Subset, base_of, files_of
from orxe_plugins.detection.notes import counted, note
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.class_names import positions_of_names
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert


def folder_names(dataset: Dataset) -> tuple[str, ...]:
    """Names of the class folders in order of their numbers; empty where a class map or their names number them."""
    base = base_of(dataset)
    if isinstance(base, KnownClasses):
        return base.names
    if not isinstance(base, ImageFolder) or not base.unmapped:
        return ()
    return tuple(sorted(base.classes, key=lambda name: base.classes[name]))


class KnownClasses:
    """The samples of some class folders, numbered anew; see :class:`orxe_plugins.data.datasets.Dataset`.

    Args:
        base: the class folders.
        names: those that stay, in order of their new numbers.
    """

    def __init__(self, base: Dataset, names: Sequence[str]) -> None:
        self.base, self.names, self.name = base, tuple(names), base.name
        self.class_names = self.names
        own = folder_names(base)
        new = {own.index(name): number for number, name in enumerate(self.names)}
        self._indices = [i for i, target in enumerate(base.targets) if target in new]
        self.sample_ids = [base.sample_ids[i] for i in self._indices]
        self.targets = [new[base.targets[i]] for i in self._indices]
        self.fingerprint = hashlib.sha256("\0".join([base.fingerprint, *self.names]).encode()).hexdigest()
        whole = getattr(base, "identity", None)
        self.identity = None if whole is None else hashlib.sha256("\0".join([whole, *self.names]).encode()).hexdigest()
        gone = [name for name in own if name not in self.names]
        lost = len(base) - len(self._indices)
        what = f"left out with {counted(lost, 'image')}, as not every expert knows them"
        self.notes = (*getattr(base, "notes", ()), note(gone, len(own), "class", what))

    def __len__(self) -> int:
        return len(self._indices)

    def load(self, index: int) -> Image.Image:
        """The image, as the class folders read it."""
        return self.base.load(self._indices[index])

    def content_files(self, index: int) -> Sequence[Path]:
        """The files that a sample is made of."""
        return files_of(self.base, self._indices[index])

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)


def with_common_classes(dataset: Dataset, experts: Sequence[Expert]) -> Dataset:
    """The class folders that all these experts know by name.

    Raises:
        OrxeError: a class map numbers the folders already, the names of an expert's classes are not known, or no folder
            is left.
    """
    names = needed_names(dataset)
    known = [True] * len(names)
    for expert in experts:
        if isinstance(expert, ClassifierExpert):
            known = [a and b is not None for a, b in zip(known, positions_of_names(expert, names), strict=True)]
    kept = [name for name, one in zip(names, known, strict=True) if one]
    if not kept:
        raise OrxeError(f"no class folder of data set {dataset.name!r}, such as {names[0]!r}, is known to all experts")
    return dataset if len(kept) == len(names) else KnownClasses(dataset, kept)


def answer_in_folders(expert: ClassifierExpert, dataset: Dataset) -> None:
    """Let a classifier answer in the class folders alone, by their names.

    Raises:
        OrxeError: it does not know one of them, or it cannot be told.
    """
    names = needed_names(dataset)
    places = positions_of_names(expert, names)
    missing = [name for name, place in zip(names, places, strict=True) if place is None]
    if missing:
        raise OrxeError(
            f"{note(list(map(repr, missing)), len(names), 'class', f'not known to expert {expert.name!r}')}. Call the "
            "folders as the expert calls its classes, or leave them out by `classes: intersect`"
        )
    expert.answer_in(names, [place for place in places if place is not None])


def needed_names(dataset: Dataset) -> tuple[str, ...]:
    """The names of the class folders, which ``classes: data`` and ``classes: intersect`` need."""
    names = folder_names(dataset)
    if not names:
        raise OrxeError(
            f"data set {dataset.name!r} has a class map, or folders that are called by numbers, which say already "
            "which of the experts' classes they are: leave out `classes`, or the class map"
        )
    return names
