"""COCO's average precision of one routing after another, where most images keep their expert from one to the next.

Most boxes are wrong at every threshold. They only count by how many of them come before a box that is not, so that
they are kept as such counts: a routing changes them for those images alone whose expert has changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from orxe_plugins.detection.coco.average_precision import RoutedAP
from orxe_plugins.detection.coco.kernels import mean_precision
from orxe_plugins.detection.coco.rules import IOU_THRESHOLDS, RECALL_POINTS


class RunningAP:
    """``RoutedAP.ap``, to the last digit, for a search that asks for many routings that differ little.

    It remembers the routing that it was asked for last, so that one object serves one thread.

    Args:
        routed: the AP of every routing.
    """

    def __init__(self, routed: RoutedAP) -> None:
        self._routed = routed
        size = routed.every_size
        boxes, n = size.boxes, routed.n_experts
        matters = (boxes.true_positive | boxes.ignored) != 0
        rows = np.flatnonzero(matters)
        self._boxes = (boxes.image[rows], size.expert[rows], boxes.true_positive[rows], boxes.ignored[rows])
        label = boxes.label[rows]
        self._label_start = np.searchsorted(label, np.arange(size.n_labels + 1))
        # Each wrong box belongs to the next box that matters; behind the last one of its label it changes nothing.
        before = np.cumsum(matters)[~matters]
        wrong_label = boxes.label[~matters]
        counts = before < self._label_start[wrong_label + 1]
        key = boxes.image[~matters][counts].astype(np.int64) * n + size.expert[~matters][counts]
        order = np.argsort(key, kind="stable")
        self._before = before[counts][order].astype(np.int32)
        self._start = np.searchsorted(key[order], np.arange(routed.n_images * n + 1))
        self._positives = size.positives
        self._counts = np.zeros(len(rows), dtype=np.int32)
        self._routing = np.full(routed.n_images, -1, dtype=np.int32)

    def __call__(self, expert_of_image: Any) -> float:
        """``ap`` of a routing.

        Args:
            expert_of_image: which expert answers each image, integers of shape (M,).
        """
        routing = self._routed.checked(expert_of_image).astype(np.int32)
        _move_counts(self._counts, self._before, self._start, self._routing, routing, self._routed.n_experts)
        self._routing = routing
        return float(
            _counted_mean_precision(
                self._label_start, *self._boxes, self._counts, routing, self._positives, len(IOU_THRESHOLDS)
            )
        )


@njit(cache=True, nogil=True)
def _move_counts(
    counts: np.ndarray, before: np.ndarray, start: np.ndarray, old: np.ndarray, new: np.ndarray, n_experts: int
) -> None:
    """Bring counts of wrong boxes from one routing to another, in place.

    Args:
        counts: how many wrong boxes belong to each box that matters, (K,).
        before: to which of these each wrong box belongs, sorted by image and expert.
        start: where the wrong boxes of each image and expert begin, (M * N + 1,).
        old, new: expert of each image, (M,); -1 for none.
        n_experts: N.
    """
    for m in range(len(new)):
        if old[m] == new[m]:
            continue
        if old[m] >= 0:
            for d in range(start[m * n_experts + old[m]], start[m * n_experts + old[m] + 1]):
                counts[before[d]] -= 1
        for d in range(start[m * n_experts + new[m]], start[m * n_experts + new[m] + 1]):
            counts[before[d]] += 1


@njit(cache=True, nogil=True)
def _counted_mean_precision(
    label_start: np.ndarray,
    image: np.ndarray,
    expert: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
    counts: np.ndarray,
    routing: np.ndarray,
    positives: np.ndarray,
    n_thresholds: int,
) -> float:
    """As ``kernels.routed_mean_precision``; boxes that are wrong at every threshold are only counted.

    Args:
        label_start, image, expert, true_positive, ignored: of the boxes that matter, (K,) but for the first (C + 1,).
        counts: how many wrong boxes of the routing come before each of them and after the one before, (K,).
        routing: expert of each image, (M,).
        positives: how many objects count, (C,).
        n_thresholds: T.
    """
    precision = np.empty((n_thresholds, positives.max() if positives.size else 0))
    total, known = 0.0, 0
    found, left_out = np.empty(n_thresholds, dtype=np.int64), np.empty(n_thresholds, dtype=np.int64)
    for c in range(len(positives)):
        if not positives[c]:
            continue
        known += 1
        found[:] = 0
        left_out[:] = 0
        boxes = 0
        for d in range(label_start[c], label_start[c + 1]):
            boxes += counts[d]
            if expert[d] != routing[image[d]]:
                continue
            boxes += 1
            t, bits = 0, ignored[d]
            while bits:
                left_out[t] += bits & 1
                bits >>= 1
                t += 1
            t, bits = 0, true_positive[d]
            while bits:
                if bits & 1:
                    found[t] += 1
                    precision[t, found[t] - 1] = found[t] / (boxes - left_out[t] + 2.220446049250313e-16)
                bits >>= 1
                t += 1
        # Summed as in _routed_precision, so that both agree to the last digit.
        of_label = 0.0
        for t in range(n_thresholds):
            of_label += mean_precision(precision[t], found[t], positives[c], RECALL_POINTS)
        total += of_label / n_thresholds
    return total / known if known else np.nan
