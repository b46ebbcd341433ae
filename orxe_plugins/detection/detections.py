"""Detections: boxes, scores and labels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.errors import OrxeError


@dataclass(frozen=True, eq=False)
class Detections:
    """A detector's boxes on one image, checked once.

    Attributes:
        boxes: corners x1, y1, x2, y2 in pixels of the original image, float32 of shape (K, 4).
        scores: float32 of shape (K,), in [0, 1].
        labels: int64 of shape (K,), each an index of ``names``.
        names: label names.

    Raises:
        OrxeError: the parts differ in length, a box is not finite or ends before it begins, a
            score is NaN or outside of [0, 1], or a label has no name.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        boxes = torch.as_tensor(self.boxes, dtype=torch.float32)
        if boxes.numel() == 0:
            boxes = boxes.reshape(0, 4)
        scores = torch.as_tensor(self.scores, dtype=torch.float32)
        labels = torch.as_tensor(self.labels, dtype=torch.int64)
        k = len(boxes)
        if boxes.shape != (k, 4) or scores.shape != (k,) or labels.shape != (k,):
            raise OrxeError(
                f"boxes have shape {tuple(boxes.shape)}, scores {tuple(scores.shape)} and labels "
                f"{tuple(labels.shape)}: expected (K, 4), (K,) and (K,)"
            )
        names = tuple(self.names)
        _check_values(boxes, scores, labels, names)
        self._set(boxes, scores, labels, names)

    def _set(self, boxes: Tensor, scores: Tensor, labels: Tensor, names: tuple[str, ...]) -> Detections:
        for name, value in (("boxes", boxes), ("scores", scores), ("labels", labels), ("names", names)):
            object.__setattr__(self, name, value)
        return self

    def _derived(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Detections made of parts of these, which need no second check."""
        return object.__new__(Detections)._set(boxes, scores, labels, self.names)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of_batch(
        cls, boxes: Tensor, scores: Tensor, labels: Tensor, counts: Sequence[int], names: Sequence[str]
    ) -> list[Detections]:
        """Detections of B images with one check of them all.

        Args:
            boxes: corners of K boxes, image after image, float32 (K, 4).
            scores: float32 (K,).
            labels: int64 (K,).
            counts: how many of them each image has, B numbers whose sum is K.
            names: label names.

        Raises:
            OrxeError: as for one image.
        """
        whole = cls(boxes, scores, labels, tuple(names))
        parts = (part.split(list(counts)) for part in (whole.boxes, whole.scores, whole.labels))
        return [whole._derived(*part) for part in zip(*parts, strict=True)]

    @classmethod
    def empty(cls, names: Sequence[str]) -> Detections:
        """Detections without a box."""
        return cls(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0, dtype=torch.int64), tuple(names))

    def to(self, device: Any) -> Detections:
        """The same detections on another device."""
        return self._derived(self.boxes.to(device), self.scores.to(device), self.labels.to(device))

    def take(self, index: Tensor | slice) -> Detections:
        """Some of the boxes: integers, a bool mask of shape (K,), or a slice."""
        return self._derived(self.boxes[index], self.scores[index], self.labels[index])

    def above(self, min_score: float) -> Detections:
        """Those whose score is greater than ``min_score``."""
        return self.take(self.scores > min_score)

    def best_first(self) -> Detections:
        """The same boxes by falling score; those of one score keep their order."""
        return self.take(torch.argsort(self.scores, descending=True, stable=True))

    def relabelled(self, index: Tensor, names: Sequence[str]) -> Detections:
        """The same boxes in another label space.

        Args:
            index: for each of the present names its position in ``names``, or -1 to drop the box;
                int64, as ``labels.match_labels`` gives it.
            names: the new label names.
        """
        labels = index.to(self.labels.device)[self.labels]
        keep = labels >= 0
        return Detections(self.boxes[keep], self.scores[keep], labels[keep], tuple(names))


def _check_values(boxes: Tensor, scores: Tensor, labels: Tensor, names: tuple[str, ...]) -> None:
    ordered = (boxes[:, 2:] >= boxes[:, :2]).all()
    # A NaN fails every comparison: testing for good values finds it too.
    good_scores = ((scores >= 0) & (scores <= 1)).all()
    good_labels = ((labels >= 0) & (labels < len(names))).all()
    if bool(boxes.isfinite().all() & ordered & good_scores & good_labels):
        return
    for what, bad, expected in (
        ("box", ~boxes.isfinite().all(dim=1), "finite corners x1, y1, x2, y2"),
        ("box", ~(boxes[:, 2:] >= boxes[:, :2]).all(dim=1), "x1 <= x2 and y1 <= y2"),
        ("score", ~((scores >= 0) & (scores <= 1)), "a number in [0, 1]"),
        ("label", (labels < 0) | (labels >= len(names)), f"an index of the {len(names)} label names"),
    ):
        if bool(bad.any()):
            i = int(bad.nonzero()[0])
            value = {"box": boxes, "score": scores, "label": labels}[what][i].tolist()
            raise OrxeError(f"{what} {i} of {len(scores)} detections is {value}: expected {expected}")
