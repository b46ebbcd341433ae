"""What an image's boxes do to the AP of the whole data set: a score for the search that adds up to what is reported.

The AP of an image alone says little of the AP of a data set, where all boxes of a label stand in one ranking. ORIC
(arXiv 2410.18919) puts one image's better boxes into the data set and takes the difference. Here this is done for
every expert and every image, around routings that are drawn at random: around one that asks a single expert for all
images, the differences would not add up to those of routings far from it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from orxe_plugins.detection.coco.average_precision import RoutedAP
from orxe_plugins.detection.coco.kernels import changed_precisions
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.detection.coco.rules import IOU_THRESHOLDS

#: routings that contributions are means over
ROUTINGS = 8


def contributions(matches: Sequence[Matches], routings: int = ROUTINGS, seed: int = 0) -> np.ndarray:
    """The score of each expert on each image, by what its boxes there do to the AP of the data set.

    The score of expert i on image m is M times the change of the data set's AP where i answers m in place of the last
    expert, with M images; it is a mean over random routings of all images, in which each expert has another share
    each time. To each expert's scores a constant is added, so that their mean is the expert's own AP: the mean
    over images of a routing's scores is then near the AP of the routing. A score may lie outside of [0, 1].

    Args:
        matches: one for each of N experts, on the same M images.
        routings: how many routings.
        seed: of the draw.

    Returns:
        float64 of shape (N, M).
    """
    routed = RoutedAP(matches)
    n, m = routed.n_experts, routed.n_images
    rng = np.random.default_rng(seed)
    change = np.zeros((n, m))
    for _ in range(routings):
        routing = rng.choice(n, size=m, p=rng.dirichlet(np.ones(n))).astype(np.int32)
        change += changes(routed, routing)
    scores = m / routings * (change - change[-1])
    alone = np.array([routed(np.full(m, i)).ap for i in range(n)])
    scores += (alone - scores.mean(axis=1))[:, None]
    return scores


def changes(routed: RoutedAP, routing: np.ndarray) -> np.ndarray:
    """Change of the AP where one image is answered by another expert than a routing says, (N, M).

    Args:
        routed: the AP of every routing.
        routing: expert of each image, int32 (M,); its own entries are 0.
    """
    size = routed.every_size
    n, m = routed.n_experts, routed.n_images
    boxes, start, positives = size.boxes, size.label_start, size.positives
    known = np.flatnonzero(positives)

    def of_label(label: int) -> np.ndarray:
        rows = slice(start[label], start[label + 1])
        return changed_precisions(
            boxes.image[rows], size.expert[rows], boxes.true_positive[rows], boxes.ignored[rows], routing,
            int(positives[label]), len(IOU_THRESHOLDS), n, m,
        )  # fmt: skip

    total = np.zeros((n, m))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(of_label, known.tolist()):
            total += part
    return total / max(1, len(known))
