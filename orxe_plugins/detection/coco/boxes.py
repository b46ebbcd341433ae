"""BoxTable: the detections of many images in flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import DROPPED
from orxe_plugins.errors import OrxeError


@dataclass(frozen=True, eq=False)
class BoxTable:
    """D boxes of M images.

    Attributes:
        boxes: corners x1, y1, x2, y2, float32 of shape (D, 4).
        scores: float32 of shape (D,).
        labels: int64 of shape (D,).
        image: position of the image of each box, int64 of shape (D,), rising.
        n_images: number of images M.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    image: np.ndarray
    n_images: int

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def xywh(self) -> np.ndarray:
        """Left, top, width, height in float64, as COCO's results files have them, (D, 4)."""
        corners = self.boxes.astype(np.float64)
        return np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])

    @classmethod
    def from_detections(cls, detections: Sequence[Detections]) -> BoxTable:
        """The detections of M images, all in one label space."""
        if len({found.names for found in detections}) > 1:
            raise OrxeError("detections of one table have different label names: bring them into one label space")
        if not detections:
            return cls.from_columns({"boxes": [], "scores": [], "labels": []})
        parts = ("boxes", "scores", "labels")
        boxes, scores, labels = (torch.cat([getattr(d, part).cpu() for d in detections]).numpy() for part in parts)
        counts = [len(found) for found in detections]
        return cls(boxes, scores, labels, np.repeat(np.arange(len(counts)), counts), len(counts))

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[np.ndarray]]) -> BoxTable:
        """One expert's prediction columns in records: ``boxes``, ``scores``, ``labels``, M rows each."""
        missing = [name for name in ("boxes", "scores", "labels") if name not in columns]
        if missing:
            raise OrxeError(
                f"the records hold no {', '.join(missing)}: record detections with keep set to 'all' or 'top100'"
            )
        boxes, scores, labels = (list(columns[name]) for name in ("boxes", "scores", "labels"))
        counts = [len(row) for row in scores]
        return cls(
            np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32),
            np.concatenate([np.zeros(0), *scores]).astype(np.float32),
            np.concatenate([np.zeros(0, dtype=np.int64), *labels]).astype(np.int64),
            np.repeat(np.arange(len(counts)), counts),
            len(counts),
        )

    def relabelled(self, index: np.ndarray) -> BoxTable:
        """The boxes in another label space; ``index`` is what ``labels.match_labels`` gives."""
        labels = index[self.labels]
        keep = labels != DROPPED
        return BoxTable(self.boxes[keep], self.scores[keep], labels[keep], self.image[keep], self.n_images)
