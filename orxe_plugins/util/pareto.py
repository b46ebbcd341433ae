"""The Pareto filter: which points no other one beats in cost and score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

_T = TypeVar("_T")


def pareto_front(cost: ArrayLike, score: ArrayLike, size: ArrayLike | None = None) -> np.ndarray:
    """Positions of the points that no other point beats.

    A point beats another one if it costs no more, scores no less and is not larger. Of points that are equal in
    all of this, the first one is kept.

    Args:
        cost: (K,), lower is better.
        score: (K,), higher is better.
        size: integers (K,), lower is better; few different values, such as numbers of experts. None: all are equal.

    Returns:
        int64 of shape (F,), by rising cost. Without ``size`` the scores of these points rise strictly.

    >>> pareto_front([1, 2, 3, 4], [0.6, 0.8, 0.7, 0.9]).tolist()
    [0, 1, 3]
    """
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    sizes = np.zeros(len(costs), dtype=np.int64) if size is None else np.asarray(size)
    order = np.lexsort((sizes, -scores, costs))
    scores, sizes = scores[order], sizes[order]
    kept = np.zeros(len(order), dtype=bool)
    for most in np.unique(sizes):
        rivals = np.flatnonzero(sizes <= most)  # what may beat a point of this size; rising cost
        best = np.maximum.accumulate(scores[rivals])
        better = rivals[np.append(True, best[1:] > best[:-1])]
        kept[better[sizes[better] == most]] = True
    front: np.ndarray = order[kept]
    return front


def thinned(points: Sequence[_T], count: int) -> tuple[_T, ...]:
    """At most ``count`` of some points in a row, evenly chosen; the ends are among them."""
    if len(points) <= count:
        return tuple(points)
    return tuple(points[i] for i in np.linspace(0, len(points) - 1, count).round().astype(int))
