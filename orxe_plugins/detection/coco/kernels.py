"""The two loops of COCO's evaluation, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from orxe_plugins.detection.coco.rules import IOU_THRESHOLDS, RECALL_POINTS

#: COCO's own code takes an overlap of 1 for a match whatever its last digit is
_LEAST_OVERLAPS = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)


@njit(cache=True, nogil=True)
def overlap(box: np.ndarray, object_box: np.ndarray, crowd: bool) -> float:
    """IoU of a box and an object, both left, top, width, height; in a crowd, the box's covered share."""
    width = min(box[0] + box[2], object_box[0] + object_box[2]) - max(box[0], object_box[0])
    height = min(box[1] + box[3], object_box[1] + object_box[3]) - max(box[1], object_box[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    area = box[2] * box[3]
    return common / (area if crowd else area + object_box[2] * object_box[3] - common)


@njit(cache=True, nogil=True)
def match_groups(
    key: np.ndarray,
    boxes: np.ndarray,
    outside: np.ndarray,
    object_key: np.ndarray,
    objects: np.ndarray,
    crowd: np.ndarray,
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Match boxes and objects that share a key; both are sorted by it, boxes then by falling score.

    Args:
        key: (D,); one key for each label and image.
        boxes: left, top, width, height, (D, 4).
        outside: whether the box is of another size, (D, A).
        object_key: (G,).
        objects: (G, 4).
        crowd: (G,).
        counts: (G, A).

    Returns:
        Bit masks over thresholds, (D, A) each: true positives, and boxes to be ignored.
    """
    n_sizes = counts.shape[1]
    true_positive = np.zeros((len(key), n_sizes), dtype=np.uint16)
    ignored = np.zeros((len(key), n_sizes), dtype=np.uint16)
    every_bit = (1 << len(_LEAST_OVERLAPS)) - 1
    start, first_object = 0, 0
    while start < len(key):
        end = start
        while end < len(key) and key[end] == key[start]:
            end += 1
        while first_object < len(object_key) and object_key[first_object] < key[start]:
            first_object += 1
        last_object = first_object
        while last_object < len(object_key) and object_key[last_object] == key[start]:
            last_object += 1
        if last_object == first_object:
            for d in range(start, end):
                for a in range(n_sizes):
                    ignored[d, a] = every_bit if outside[d, a] else 0
        else:
            ious = np.empty((end - start, last_object - first_object))
            for d in range(start, end):
                for g in range(first_object, last_object):
                    ious[d - start, g - first_object] = overlap(boxes[d], objects[g], crowd[g])
            group = slice(start, end)
            of_group = slice(first_object, last_object)
            for a in range(n_sizes):
                _match_group(
                    ious,
                    outside[group, a],
                    crowd[of_group],
                    counts[of_group, a],
                    _LEAST_OVERLAPS,
                    true_positive[group, a],
                    ignored[group, a],
                )
        start, first_object = end, last_object
    return true_positive, ignored


@njit(cache=True, nogil=True)
def _match_group(
    ious: np.ndarray,
    outside: np.ndarray,
    crowd: np.ndarray,
    counts: np.ndarray,
    thresholds: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
) -> None:
    """Match the boxes of one image, label and size; each takes the best object that is still free.

    An object that counts is preferred to one that does not, whatever the overlaps. A crowd can be matched many times.
    """
    n_objects = len(counts)
    for t in range(len(thresholds)):
        bit = np.uint16(1 << t)
        taken = np.zeros(n_objects, dtype=np.bool_)
        for d in range(len(ious)):
            best = -1
            for wanted in (True, False):
                least = thresholds[t]
                for g in range(n_objects):
                    if counts[g] != wanted or (taken[g] and not crowd[g]) or ious[d, g] < least:
                        continue
                    # Of two equal overlaps the later one, as in COCO's own loop.
                    least = ious[d, g]
                    best = g
                if best >= 0:
                    break
            if best < 0:
                if outside[d]:
                    ignored[d] |= bit
            else:
                taken[best] = True
                if counts[best]:
                    true_positive[d] |= bit
                else:
                    ignored[d] |= bit


@njit(cache=True, nogil=True)
def average_precisions(
    label_start: np.ndarray,
    image: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
    weight: np.ndarray,
    positives: np.ndarray,
    n_thresholds: int,
) -> np.ndarray:
    """Average precision of every label and IoU threshold, for objects of one size.

    Args:
        label_start: where each label's boxes begin, (C + 1,); within a label they are sorted by falling score.
        image: of each box, (D,).
        true_positive, ignored: bit masks over thresholds, (D,).
        weight: how many times each image is in the data set, integers of shape (M,).
        positives: how many objects count, integers of shape (C,).
        n_thresholds: T.

    Returns:
        float64 of shape (C, T); NaN where no object counts.
    """
    result = np.full((len(positives), n_thresholds), np.nan)
    precision = np.empty((n_thresholds, positives.max() if positives.size else 0))
    for c in range(len(positives)):
        if positives[c] == 0:
            continue
        found = np.zeros(n_thresholds, dtype=np.int64)
        wrong = np.zeros(n_thresholds, dtype=np.int64)
        wrong_at_all = 0
        for d in range(label_start[c], label_start[c + 1]):
            copies = weight[image[d]]
            if true_positive[d] | ignored[d] == 0:  # most boxes: wrong at every threshold
                wrong_at_all += copies
                continue
            for t in range(n_thresholds):
                if true_positive[d] >> t & 1:
                    for _ in range(copies):
                        found[t] += 1
                        # The same tiny addend as in COCO's code, so that figures agree to the last digits.
                        all_boxes = wrong[t] + wrong_at_all + found[t] + 2.220446049250313e-16
                        precision[t, found[t] - 1] = found[t] / all_boxes
                elif not ignored[d] >> t & 1:
                    wrong[t] += copies
        for t in range(n_thresholds):
            result[c, t] = mean_precision(precision[t], found[t], positives[c], RECALL_POINTS)
    return result


@njit(cache=True, nogil=True)
def mean_precision(precision: np.ndarray, found: int, positives: int, recalls: np.ndarray) -> float:
    """Mean over recall points of the greatest precision at that recall or a higher one.

    Args:
        precision: precision just after each true positive; changed in place.
        found: number of true positives.
        positives: number of objects.
        recalls: rising, (R,).
    """
    for n in range(found - 2, -1, -1):
        precision[n] = max(precision[n], precision[n + 1])
    total = 0.0
    n = 0
    for recall in recalls:
        # The first one at this recall is this far at least: what follows is the exact test, for a few of them.
        n = max(n, min(found, int(recall * positives) - 2))
        while n < found and (n + 1) / positives < recall:
            n += 1
        if n >= found:
            break
        total += precision[n]
    return total / len(recalls)


@njit(cache=True, nogil=True)
def changed_precisions(
    image: np.ndarray,
    expert: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
    routing: np.ndarray,
    positives: int,
    n_thresholds: int,
    n_experts: int,
    n_images: int,
) -> np.ndarray:
    """Change of one label's AP where one image is answered by another expert than a routing says, (N, M).

    Args:
        image, expert, true_positive, ignored: of the label's boxes by all experts, by falling score, (D,).
        routing: expert of each image, (M,).
        positives: how many objects count, at least 1.
        n_thresholds, n_experts, n_images: T, N and M.
    """
    result = np.zeros((n_experts, n_images))
    # Only where one of the two experts has a box does anything change.
    has = np.zeros((n_experts, n_images), dtype=np.bool_)
    for d in range(len(image)):
        has[expert[d], image[d]] = True
    precision = np.empty((n_thresholds, positives))
    before = _routed_precision(
        image, expert, true_positive, ignored, routing, -1, 0, positives, n_thresholds, precision
    )
    for m in range(n_images):
        for i in range(n_experts):
            if i != routing[m] and (has[i, m] or has[routing[m], m]):
                after = _routed_precision(
                    image, expert, true_positive, ignored, routing, m, i, positives, n_thresholds, precision
                )
                result[i, m] = after - before
    return result


@njit(cache=True, nogil=True)
def _routed_precision(
    image: np.ndarray,
    expert: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
    routing: np.ndarray,
    changed: int,
    by: int,
    positives: int,
    n_thresholds: int,
    precision: np.ndarray,
) -> float:
    """AP of one label, mean over thresholds, where image ``changed`` is answered by expert ``by``."""
    found = np.zeros(n_thresholds, dtype=np.int64)
    wrong = np.zeros(n_thresholds, dtype=np.int64)
    wrong_at_all = 0
    for d in range(len(image)):
        if expert[d] != (by if image[d] == changed else routing[image[d]]):
            continue
        if true_positive[d] | ignored[d] == 0:
            wrong_at_all += 1
            continue
        for t in range(n_thresholds):
            if true_positive[d] >> t & 1:
                found[t] += 1
                precision[t, found[t] - 1] = found[t] / (wrong[t] + wrong_at_all + found[t] + 2.220446049250313e-16)
            elif not ignored[d] >> t & 1:
                wrong[t] += 1
    total = 0.0
    for t in range(n_thresholds):
        total += mean_precision(precision[t], found[t], positives, RECALL_POINTS)
    return total / n_thresholds


@njit(cache=True, nogil=True)
def routed_mean_precision(
    label_start: np.ndarray,
    image: np.ndarray,
    expert: np.ndarray,
    true_positive: np.ndarray,
    ignored: np.ndarray,
    routing: np.ndarray,
    positives: np.ndarray,
    n_thresholds: int,
) -> float:
    """AP of a routing, mean over labels that have an object and over thresholds; NaN if none has.

    Args:
        label_start: where each label's boxes begin, (C + 1,); within a label they are sorted by falling score.
        image, expert, true_positive, ignored: of all experts' boxes, (D,).
        routing: expert of each image, (M,).
        positives: how many objects count, (C,).
        n_thresholds: T.
    """
    precision = np.empty((n_thresholds, positives.max() if positives.size else 0))
    total, known = 0.0, 0
    for c in range(len(positives)):
        if positives[c]:
            part = slice(label_start[c], label_start[c + 1])
            known += 1
            total += _routed_precision(
                image[part], expert[part], true_positive[part], ignored[part], routing, -1, 0, positives[c],
                n_thresholds, precision,
            )  # fmt: skip
    return total / known if known else np.nan
