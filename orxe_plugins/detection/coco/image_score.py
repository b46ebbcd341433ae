"""A score for the boxes of one image, which the search needs: average precision is defined for a data set."""

from __future__ import annotations

import numpy as np

from orxe_plugins.detection.coco.kernels import average_precisions
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.detection.coco.rules import IOU_THRESHOLDS


def pooled_ap(matches: Matches) -> np.ndarray:
    """A score for each image: its own average precision over all labels pooled.

    The image's boxes of all labels stand in one ranking by score; each is right or wrong by
    COCO's matching within its label. The average precision of that ranking is averaged over IoU
    0.5 to 0.95. It depends on ranks alone, so that experts whose scores are on different scales can be
    compared. A box of a label that the image does not have counts as wrong, which it would not in a mean
    over the image's labels. An image without an object scores 1 less the highest score among
    its boxes: 1 if the expert finds nothing there. Crowds, and boxes in them, do not count.

    Returns:
        float64 of shape (M,), in [0, 1].
    """
    counted = matches.object_image[matches.object_counts[:, 0]]
    positives = np.bincount(counted, minlength=matches.n_images)
    order = np.lexsort((-matches.score, matches.image))
    image = matches.image[order]
    # The compiled loop works label by label; here each image's pooled boxes take the place of a label.
    cells = average_precisions(
        np.searchsorted(image, np.arange(matches.n_images + 1)),
        np.zeros(len(image), dtype=np.int32),
        matches.true_positive[order, 0],
        matches.ignored[order, 0],
        np.ones(1, dtype=np.int32),
        positives,
        len(IOU_THRESHOLDS),
    )  # (M, T)
    score = 1.0 - _highest_wrong(matches)
    score[positives > 0] = cells[positives > 0].mean(axis=1)
    return score


def _highest_wrong(matches: Matches) -> np.ndarray:
    """Highest score of a box that found nothing even at the lowest IoU threshold, 0 without one, (M,)."""
    wrong = ((matches.true_positive[:, 0] | matches.ignored[:, 0]) & 1) == 0
    highest = np.zeros(matches.n_images)
    np.maximum.at(highest, matches.image[wrong], matches.score[wrong])
    return highest
