"""COCO's matching of boxes with ground truth: once per expert, whatever is routed later.

A box matches within its image and its label only, and a routing gives each image to one expert. So a box that
is a true positive for an expert alone is one in every routing in which this expert answers the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from orxe_plugins.detection.coco.boxes import BoxTable
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.coco.kernels import match_groups
from orxe_plugins.detection.coco.rules import AREAS, MAX_BOXES
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import match_labels
from orxe_plugins.errors import OrxeError


@dataclass(frozen=True, eq=False)
class Matches:
    """One expert's D boxes on M images, matched by COCO's rules with the G objects there.

    Boxes are ordered by label, image and falling score. Bit t of a mask is for IoU threshold t,
    column a is for size a (see ``coco.rules``); a box that is neither a true positive nor ignored is
    a false positive.

    Attributes:
        names: label names.
        n_images: number of images M.
        label, image: of each box, int32 of shape (D,).
        score: float32 of shape (D,).
        true_positive: the box found an object that counts, uint16 masks of shape (D, A).
        ignored: it found a crowd or an object of another size, or it found nothing and is of
            another size itself, uint16 masks of shape (D, A).
        object_label, object_image: of each object, int32 of shape (G,).
        object_counts: whether the object counts, no crowd and of the size, bool of shape (G, A).
    """

    names: tuple[str, ...]
    n_images: int
    label: np.ndarray
    image: np.ndarray
    score: np.ndarray
    true_positive: np.ndarray
    ignored: np.ndarray
    object_label: np.ndarray
    object_image: np.ndarray
    object_counts: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def with_scores(self, score: np.ndarray) -> Matches:
        """The same matches with other scores, which must rank an image's boxes of one label as before."""
        scores = np.asarray(score, dtype=np.float32)
        same_group = (np.diff(self.label) == 0) & (np.diff(self.image) == 0)
        if scores.shape != self.score.shape or (np.diff(scores)[same_group] > 0).any():
            raise OrxeError("the new scores rank boxes of one image differently: match the detections again")
        return replace(self, score=scores)

    def select(self, images: np.ndarray) -> Matches:
        """The matches of some images in rising order: integers, or a bool mask of shape (M,)."""
        index = np.asarray(images)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        if (np.diff(index) <= 0).any() or (len(index) and not 0 <= index[0] <= index[-1] < self.n_images):
            raise OrxeError(f"images {index.tolist()!r:.100} of {self.n_images}: expected rising numbers, none twice")
        position = np.full(self.n_images, -1, dtype=np.int32)
        position[index] = np.arange(len(index))
        boxes, objects = position[self.image] >= 0, position[self.object_image] >= 0
        return Matches(
            self.names,
            len(index),
            self.label[boxes],
            position[self.image[boxes]],
            self.score[boxes],
            self.true_positive[boxes],
            self.ignored[boxes],
            self.object_label[objects],
            position[self.object_image[objects]],
            self.object_counts[objects],
        )


def match_detections(
    detections: Sequence[Detections],
    targets: Sequence[GroundTruth],
    *,
    allow_extra: bool = False,
    allow_missing: bool = False,
) -> Matches:
    """Match an expert's detections of M images with the objects that the data set labels.

    Args:
        detections: one for each image; brought into the data set's label space by name.
        targets: the ground truth of the same images, in COCO's order: by rising image id.
        allow_extra: leave out boxes of labels that the data set does not have.
        allow_missing: the expert may lack labels that the data set has.
    """
    if len(detections) != len(targets):
        raise OrxeError(f"detections of {len(detections)} images, but ground truth of {len(targets)}")
    names = _names(targets)
    index = {names: None} | {
        space: torch.from_numpy(
            match_labels(
                space,
                names,
                allow_extra=allow_extra,
                allow_missing=allow_missing,
                given="the expert's labels",
                wanted="the data set's",
            )
        )
        for space in {found.names for found in detections} - {names}
    }
    same = []
    for found in detections:
        moved = index[found.names]
        same.append(found if moved is None else found.relabelled(moved, names))
    return match_boxes(BoxTable.from_detections(same), targets)


def match_boxes(boxes: BoxTable, targets: Sequence[GroundTruth]) -> Matches:
    """Match boxes whose labels are already those of the data set; see :func:`match_detections`."""
    if boxes.n_images != len(targets):
        raise OrxeError(f"boxes of {boxes.n_images} images, but ground truth of {len(targets)}")
    names = _names(targets)
    order = _best_per_group(boxes)
    label, image, xywh = boxes.labels[order], boxes.image[order], boxes.xywh[order]
    object_image = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    object_label, crowd, area, object_xywh = (
        np.concatenate([empty, *(getattr(target, part) for target in targets)])
        for part, empty in (
            ("labels", np.zeros(0, dtype=np.int64)),
            ("iscrowd", np.zeros(0, dtype=bool)),
            ("area", np.zeros(0)),
            ("xywh", np.zeros((0, 4))),
        )
    )
    # Objects of one label and image keep the data set's order, which decides where overlaps are equal.
    object_order = np.lexsort((object_image, object_label))
    object_label, object_image = object_label[object_order], object_image[object_order]
    crowd, area, object_xywh = crowd[object_order], area[object_order], object_xywh[object_order]
    counts = ~crowd[:, None] & (area[:, None] >= AREAS[:, 0]) & (area[:, None] <= AREAS[:, 1])  # (G, A)
    box_area = xywh[:, 2] * xywh[:, 3]
    outside = (box_area[:, None] < AREAS[:, 0]) | (box_area[:, None] > AREAS[:, 1])  # (D, A)
    key, object_key = label * len(targets) + image, object_label * len(targets) + object_image
    true_positive, ignored = match_groups(key, xywh, outside, object_key, object_xywh, crowd, counts)
    return Matches(
        names,
        len(targets),
        label.astype(np.int32),
        image.astype(np.int32),
        boxes.scores[order],
        true_positive,
        ignored,
        object_label.astype(np.int32),
        object_image.astype(np.int32),
        counts,
    )


def _names(targets: Sequence[GroundTruth]) -> tuple[str, ...]:
    spaces = {target.names for target in targets}
    if len(spaces) != 1:
        raise OrxeError(f"ground truth of {len(targets)} images has {len(spaces)} label spaces: expected one")
    return spaces.pop()


def _best_per_group(boxes: BoxTable) -> np.ndarray:
    """Order by label, image and falling score, with no more boxes of a label and image than COCO counts."""
    # lexsort is stable: boxes of one score keep their order, as COCO's merge sort leaves them.
    order = np.lexsort((-boxes.scores, boxes.image, boxes.labels))
    key = (boxes.labels * max(boxes.n_images, 1) + boxes.image)[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    rank = np.arange(len(key)) - np.repeat(starts, np.diff(starts, append=len(key)))
    return order[rank < MAX_BOXES]
