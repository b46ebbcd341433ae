"""COCO's average precision of any routing, from matches that were made once per expert."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from orxe_plugins.detection.coco.kernels import average_precisions, routed_mean_precision
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.detection.coco.rules import IOU_THRESHOLDS, SIZES
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.bootstrap import draw_counts


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures, in [0, 1]; NaN where the data set has no such object (COCO's code says -1).

    Attributes:
        ap: mean over IoU thresholds 0.5 to 0.95 and labels; also called mAP50-95.
        ap50, ap75: at one IoU threshold.
        ap_small, ap_medium, ap_large: of objects up to 32², up to 96², and from 96² pixels on.
        per_label: ``ap`` of each label, float64 of shape (C,).
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_label: np.ndarray = field(repr=False, compare=False)

    @classmethod
    def from_cells(cls, cells: Sequence[np.ndarray]) -> AveragePrecision:
        """The figures from the AP of each label and IoU threshold, (C, T), one array for each size."""
        at75 = int(np.argmin(np.abs(IOU_THRESHOLDS - 0.75)))
        every, small, medium, large = cells
        return cls(
            ap=_mean(every),
            ap50=_mean(every[:, 0]),
            ap75=_mean(every[:, at75]),
            ap_small=_mean(small),
            ap_medium=_mean(medium),
            ap_large=_mean(large),
            per_label=every.mean(axis=1),
        )

    def to_dict(self) -> dict[str, float]:
        """The figures by name, without those of single labels."""
        return {name: value for name, value in asdict(self).items() if name != "per_label"}


class RoutedAP:
    """Average precision of every routing of M images through N experts.

    The boxes of all experts are sorted once; a routing then takes one pass over them.

    Args:
        matches: what :func:`match_detections` made of each expert, on the same images.
    """

    def __init__(self, matches: Sequence[Matches]) -> None:
        _check_same_images(matches)
        self.n_experts, self.n_images, self.names = len(matches), matches[0].n_images, matches[0].names
        label, image, score, true_positive, ignored = (
            np.concatenate([getattr(m, part) for m in matches])
            for part in ("label", "image", "score", "true_positive", "ignored")
        )
        expert = np.repeat(np.arange(self.n_experts, dtype=np.int32), [len(m) for m in matches])
        # Boxes of one score stay in order of their images, as COCO's code concatenates and stably sorts them.
        order = np.lexsort((image, -score, label))
        self._sizes = []
        for a in range(len(SIZES)):
            # A box that is ignored at every threshold changes nothing.
            rows = order[ignored[order, a] != (1 << len(IOU_THRESHOLDS)) - 1]
            boxes = RankedBoxes(label[rows], image[rows], true_positive[rows, a], ignored[rows, a])
            counted = matches[0].object_counts[:, a]
            objects = (matches[0].object_label[counted], matches[0].object_image[counted])
            self._sizes.append(Pooled(boxes, expert[rows], *objects, n_labels=len(self.names)))

    def __call__(self, expert_of_image: Any) -> AveragePrecision:
        """The figures of a routing.

        Args:
            expert_of_image: which expert answers each image, integers of shape (M,).
        """
        routing, once = self.checked(expert_of_image), np.ones(self.n_images, dtype=np.int32)
        return AveragePrecision.from_cells([size.cells(size.chosen(routing), once) for size in self._sizes])

    def ap(self, expert_of_image: Any) -> float:
        """``ap`` of a routing alone, which is fast: for searches that ask for many routings.

        Args:
            expert_of_image: which expert answers each image, integers of shape (M,).
        """
        size = self._sizes[0]
        return float(
            routed_mean_precision(
                size.label_start, size.boxes.image, size.expert, size.boxes.true_positive, size.boxes.ignored,
                self.checked(expert_of_image).astype(np.int32), size.positives, len(IOU_THRESHOLDS),
            )
        )  # fmt: skip

    def of_draw(self, expert_of_image: Any, samples: Any) -> float:
        """``ap`` of images that may be there more than once, as in a bootstrap sample.

        Args:
            expert_of_image: which expert answers each image, integers of shape (M,).
            samples: positions of the images, integers of shape (K,).
        """
        size = self._sizes[0]
        weight = np.bincount(np.asarray(samples), minlength=self.n_images).astype(np.int32)
        return _mean(size.cells(size.chosen(self.checked(expert_of_image)), weight))

    def resampled(self, routings: Any, n_resamples: int = 500, seed: int = 0) -> np.ndarray:
        """``ap`` on bootstrap samples of the images, the same ones for every routing.

        Args:
            routings: R routings, integers of shape (R, M), or one of shape (M,).
            n_resamples: number of samples S; each draws M images with replacement.
            seed: of the random numbers.

        Returns:
            float64 of shape (R, S).
        """
        size = self._sizes[0]
        draws = draw_counts(self.n_images, n_resamples, seed)
        result = np.empty((len(np.atleast_2d(routings)), n_resamples))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for r, routing in enumerate(np.atleast_2d(routings)):
                boxes = size.chosen(self.checked(routing))
                result[r] = list(pool.map(lambda weight, boxes=boxes: _mean(size.cells(boxes, weight)), draws))
        return result

    @property
    def every_size(self) -> Pooled:
        """All experts' boxes and all objects, whatever their size."""
        return self._sizes[0]

    def checked(self, expert_of_image: Any) -> np.ndarray:
        """A routing as an array (M,).

        Raises:
            OrxeError: it has another shape, is not of integers, or names an expert that is not there.
        """
        routing = np.asarray(expert_of_image)
        if routing.shape != (self.n_images,) or routing.dtype.kind not in "iu":
            raise OrxeError(
                f"a routing has shape {routing.shape} and type {routing.dtype}: "
                f"expected the expert of each of {self.n_images} images, as integers"
            )
        if len(routing) and not 0 <= routing.min() <= routing.max() < self.n_experts:
            raise OrxeError(
                f"a routing names experts {routing.min()} to {routing.max()}: expected 0 to {self.n_experts - 1}"
            )
        return routing


def routed_ap(matches: Sequence[Matches], expert_of_image: Any) -> AveragePrecision:
    """COCO's figures of one routing; make a :class:`RoutedAP` once for many of them.

    Args:
        matches: one for each of N experts, on the same M images.
        expert_of_image: which expert answers each image, integers of shape (M,).
    """
    return RoutedAP(matches)(expert_of_image)


@dataclass(frozen=True, eq=False)
class RankedBoxes:
    """Boxes by label and falling score; see ``kernels.average_precisions``. All of shape (D,)."""

    label: np.ndarray
    image: np.ndarray
    true_positive: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True, eq=False)
class Pooled:
    """All experts' boxes and all objects of one size.

    Attributes:
        boxes: of all experts.
        expert: which expert each box is from, (D,).
        object_label, object_image: of each object that counts, (G,).
        n_labels: number of labels C.
    """

    boxes: RankedBoxes
    expert: np.ndarray
    object_label: np.ndarray
    object_image: np.ndarray
    n_labels: int

    @cached_property
    def label_start(self) -> np.ndarray:
        """Where each label's boxes begin, (C + 1,)."""
        return np.searchsorted(self.boxes.label, np.arange(self.n_labels + 1))

    @cached_property
    def positives(self) -> np.ndarray:
        """How many objects of each label count, int64 (C,)."""
        return np.bincount(self.object_label, minlength=self.n_labels).astype(np.int64)

    def chosen(self, routing: np.ndarray) -> RankedBoxes:
        """The boxes that count under a routing (M,)."""
        boxes = self.boxes
        rows = np.flatnonzero(routing[boxes.image] == self.expert)
        return RankedBoxes(boxes.label[rows], boxes.image[rows], boxes.true_positive[rows], boxes.ignored[rows])

    def cells(self, boxes: RankedBoxes, weight: np.ndarray) -> np.ndarray:
        """AP of each label and threshold, (C, T), if image m is there ``weight[m]`` times."""
        positives = np.bincount(self.object_label, weight[self.object_image], minlength=self.n_labels)
        return average_precisions(
            np.searchsorted(boxes.label, np.arange(self.n_labels + 1)),
            boxes.image,
            boxes.true_positive,
            boxes.ignored,
            weight,
            positives.astype(np.int64),
            len(IOU_THRESHOLDS),
        )


def _check_same_images(matches: Sequence[Matches]) -> None:
    if not matches:
        raise OrxeError("no matches are given: expected those of at least one expert")
    first = matches[0]
    for i, other in enumerate(matches[1:], start=1):
        same = other.n_images == first.n_images and other.names == first.names
        for part in ("object_label", "object_image", "object_counts"):
            same = same and np.array_equal(getattr(first, part), getattr(other, part))
        if not same:
            raise OrxeError(
                f"the matches of experts 0 and {i} are of different images or labels: "
                "match both with the same ground truth"
            )


def _mean(cells: np.ndarray) -> float:
    """Mean of the cells that have an object; NaN if none has."""
    known = cells[~np.isnan(cells)]
    return float(known.mean()) if known.size else float("nan")
