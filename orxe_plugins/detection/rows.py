"""BoxRows: the boxes of a whole batch in one tensor, so that they leave the device by one transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orxe_plugins.detection.detections import Detections


@dataclass(frozen=True, eq=False)
class BoxRows:
    """K boxes of B images, on the host.

    Attributes:
        rows: x1, y1, x2, y2, score and label of each box, float32 of shape (K, 6).
        image: position of the image of each box, int64 of shape (K,), rising.
        size: number of images B.
    """

    rows: Tensor
    image: Tensor
    size: int

    @classmethod
    def of_parts(cls, parts: Sequence[Tensor]) -> BoxRows:
        """The boxes of B images, each float (k, 6); those of one device are fetched together."""
        counts = torch.tensor([len(part) for part in parts], dtype=torch.int64)
        if len({part.device for part in parts}) > 1:
            parts = [part.cpu() for part in parts]
        rows = torch.cat(list(parts)).to(torch.float32).cpu() if parts else torch.zeros((0, 6))
        return cls(rows, torch.repeat_interleave(counts), len(parts))

    @classmethod
    def of(cls, detections: Sequence[Detections]) -> BoxRows:
        """The boxes of B images' detections, in their order."""
        if len({each.scores.device for each in detections}) > 1:
            detections = [each.to("cpu") for each in detections]
        if not detections:
            return cls.of_parts([])
        boxes = torch.cat([each.boxes for each in detections])  # (K, 4)
        scores = torch.cat([each.scores for each in detections])[:, None]
        labels = torch.cat([each.labels for each in detections])[:, None].float()
        counts = torch.tensor([len(each) for each in detections])
        return cls(torch.cat([boxes, scores, labels], dim=1).cpu(), torch.repeat_interleave(counts), len(detections))

    @property
    def counts(self) -> list[int]:
        """How many boxes each image has."""
        return torch.bincount(self.image, minlength=self.size).tolist()

    def take(self, index: Tensor) -> BoxRows:
        """Some of the boxes: a bool mask (K,), or positions that leave the images in their order."""
        return BoxRows(self.rows[index], self.image[index], self.size)

    def best_first(self) -> BoxRows:
        """The boxes of each image by falling score; those of one score keep their order."""
        order = torch.argsort(self.rows[:, 4], descending=True, stable=True)
        return self.take(order[torch.argsort(self.image[order], stable=True)])

    def at_most(self, limit: int) -> BoxRows:
        """The first ``limit`` boxes of each image."""
        counts = torch.bincount(self.image, minlength=self.size)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(self.image)) - first[self.image]
        return self.take(place < limit)

    def relabelled(self, index: Tensor) -> BoxRows:
        """The boxes with other labels: ``index`` has the new one of each, int64; boxes of a negative one are left out.

        The rows are new: changing them changes no other boxes.
        """
        labels = index[self.rows[:, 5].long()]
        rows = torch.cat([self.rows[:, :5], labels[:, None].float()], dim=1)
        return BoxRows(rows, self.image, self.size).take(labels >= 0)

    def split(self, device: torch.device | str = "cpu") -> list[Tensor]:
        """The rows of each image, (k, 6); they share one tensor on the device."""
        return list(self.rows.to(device).split(self.counts))

    def detections(self, names: Sequence[str]) -> list[Detections]:
        """The detections of each image, checked together.

        Raises:
            OrxeError: as :class:`Detections` does.
        """
        boxes, scores, labels = self.rows[:, :4], self.rows[:, 4], self.rows[:, 5].long()
        return Detections.of_batch(boxes, scores, labels, self.counts, names)


def box_rows(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """One image's boxes as rows, float32 (k, 6), on the device where they are.

    Args:
        boxes: corners (k, 4).
        scores: (k,).
        labels: (k,).
    """
    return torch.cat([boxes.float(), scores.float()[:, None], labels.float()[:, None]], dim=1)
