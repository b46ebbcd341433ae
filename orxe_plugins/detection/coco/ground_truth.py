"""GroundTruth: the labelled boxes of one image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.texts import check_text


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The G labelled objects of one image.

    Attributes:
        xywh: left, top, width, height in pixels, float64 of shape (G, 4), as in a COCO file: areas and
            overlaps are then equal to COCO's to the last bit.
        labels: int64 of shape (G,), each an index of ``names``.
        names: label names of the data set.
        iscrowd: bool of shape (G,): a region with many objects, in which boxes are neither right
            nor wrong. None means that no object is a crowd.
        area: float64 of shape (G,) in square pixels: decides if an object is small, medium or large. In COCO
            it is the area of the object's mask; None takes the area of the box.
    """

    xywh: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    iscrowd: np.ndarray | None = None
    area: np.ndarray | None = None

    def __post_init__(self) -> None:
        xywh = np.asarray(self.xywh, dtype=np.float64)
        xywh = xywh.reshape(0, 4) if xywh.size == 0 else xywh
        if xywh.ndim != 2 or xywh.shape[1] != 4 or not np.isfinite(xywh).all() or (xywh[:, 2:] < 0).any():
            raise OrxeError(f"ground truth boxes are {xywh.tolist()!r:.200}: expected finite left, top, width, height")
        g = len(xywh)
        labels = np.asarray(self.labels, dtype=np.int64)
        crowd = np.zeros(g, dtype=bool) if self.iscrowd is None else np.asarray(self.iscrowd, dtype=bool)
        area = xywh[:, 2] * xywh[:, 3] if self.area is None else np.asarray(self.area, dtype=np.float64)
        if not labels.shape == crowd.shape == area.shape == (g,):
            raise OrxeError(
                f"{g} ground truth boxes, but labels of shape {labels.shape}, "
                f"iscrowd {crowd.shape} and area {area.shape}: expected ({g},)"
            )
        if g and not 0 <= labels.min() <= labels.max() < len(self.names):
            raise OrxeError(
                f"ground truth labels lie in [{labels.min()}, {labels.max()}], "
                f"but there are {len(self.names)} label names"
            )
        if not np.isfinite(area).all():
            raise OrxeError(f"ground truth areas are {area.tolist()!r:.200}: expected finite numbers")
        names = tuple(self.names)
        for name, value in zip(
            ("xywh", "labels", "names", "iscrowd", "area"), (xywh, labels, names, crowd, area), strict=True
        ):
            object.__setattr__(self, name, value)

    @property
    def boxes(self) -> np.ndarray:
        """Corners x1, y1, x2, y2, float64 of shape (G, 4)."""
        return np.hstack([self.xywh[:, :2], self.xywh[:, :2] + self.xywh[:, 2:]])

    def __len__(self) -> int:
        return len(self.xywh)


def targets_fingerprint(sample_ids: Sequence[str], targets: Sequence[GroundTruth], names: Sequence[str]) -> str:
    """A hash that changes when the samples, their order, their boxes or the label names change.

    Raises:
        OrxeError: a name is no text: half of a pair of UTF-16 stands in it.
    """
    for what, texts in (("a label", names), ("a sample's id", sample_ids)):
        for text in texts:
            check_text(what, text)
    digest = hashlib.sha256("\0".join(names).encode())
    for sample, target in zip(sample_ids, targets, strict=True):
        digest.update(f"\n{sample}\0{len(target)}\0".encode())
        for values in (target.xywh, target.labels, target.iscrowd, target.area):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
