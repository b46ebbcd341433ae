"""A data set with the objects of some of its classes alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import Dataset, Subset, files_of
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.notes import counted
from orxe_plugins.errors import unknown


class ChosenClasses:
    """The same images with the objects of some classes; see :class:`orxe_plugins.data.datasets.Dataset`.

    Args:
        base: a data set whose targets are :class:`GroundTruth`.
        names: the label names that stay, in their new order.

    Attributes:
        notes: those of ``base``, and how many objects were left out.
    """

    def __init__(self, base: Dataset, names: Sequence[str]) -> None:
        self.base, self.names = base, tuple(names)
        own: tuple[str, ...] = tuple(base.targets[0].names)
        for name in self.names:
            if name not in own:
                raise unknown("label", name, own)
        self._new = np.array([self.names.index(name) if name in self.names else -1 for name in own])
        self.name, self.sample_ids = base.name, base.sample_ids
        self.targets = [self._chosen(target) for target in base.targets]
        digest = hashlib.sha256("\0".join([base.fingerprint, *self.names]).encode())
        self.fingerprint = digest.hexdigest()
        whole = getattr(base, "identity", None)
        self.identity = None if whole is None else hashlib.sha256("\0".join([whole, *self.names]).encode()).hexdigest()
        self.notes = (*getattr(base, "notes", ()), self._note(own))

    def __len__(self) -> int:
        return len(self.base)

    def load(self, index: int) -> Image.Image:
        """The image, as the whole data set reads it."""
        return self.base.load(index)

    def content_files(self, index: int) -> Sequence[Path]:
        """The files that a sample is made of; none where the whole data set does not say it."""
        return files_of(self.base, index)

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)

    def _chosen(self, target: GroundTruth) -> GroundTruth:
        labels = self._new[target.labels]
        kept = labels >= 0
        crowd, area = np.asarray(target.iscrowd), np.asarray(target.area)
        return GroundTruth(target.xywh[kept], labels[kept], self.names, crowd[kept], area[kept])

    def _note(self, own: Sequence[str]) -> str:
        lost: Counter[str] = Counter()
        for target in self.base.targets:
            lost.update(own[label] for label in target.labels.tolist() if self._new[label] < 0)
        gone = [name for name in own if name not in self.names]
        listed = ", ".join(f"{name!r} ({lost[name]})" for name in sorted(gone, key=lambda n: -lost[n])[:3])
        total = sum(len(target) for target in self.base.targets)
        return (
            f"{sum(lost.values())} of {counted(total, 'object')} left out, as not every expert knows their classes: "
            f"{listed}{', ...' if len(gone) > 3 else ''}; {counted(len(self.names), 'class')} of {len(own)} measured"
        )


def whole_of(dataset: Dataset) -> Dataset:
    """The data set that others are parts of, with all its samples and classes."""
    while isinstance(dataset, (Subset, ChosenClasses)):
        dataset = dataset.base
    return dataset
