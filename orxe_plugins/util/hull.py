"""Convex hulls of points of cost and loss, or of cost and score.

Choosing one of two options at random reaches every point on the line between them, and a weighted sum of cost and loss
is least at a vertex of the hull. So the hull is both what random mixing reaches and what a preference can choose.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: differences that are rounding errors, not gains
_SLACK = 1e-12


def lower_hull(cost: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Positions of the vertices of the lower left convex hull of K points.

    Args:
        cost, loss: float64 (K,), lower is better, of one order of magnitude.

    Returns:
        int64 (H,), by rising cost and falling loss: from the cheapest point to the one with the least loss. Points on
        the line between two vertices are left out.

    >>> lower_hull(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 0.4, 0.1, 0.2])).tolist()
    [0, 2]
    """
    order = np.lexsort((loss, cost))
    kept = np.empty(len(order), dtype=np.int64)
    count = _monotone_chain(cost, loss, order, kept, _SLACK)
    return kept[:count]


def upper_hull(cost: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Positions of the vertices of the upper left convex hull of K points: :func:`lower_hull` for scores.

    Args:
        cost: float64 (K,), lower is better.
        score: float64 (K,), higher is better.

    Returns:
        int64 (H,), by rising cost and rising score.
    """
    return lower_hull(cost, -score)


@njit(cache=True, nogil=True)
def _monotone_chain(cost, loss, order, kept, slack):  # type: ignore[no-untyped-def]
    """Andrew's algorithm: a stack of vertices, from which those above the newest line are removed again."""
    n = 0
    for k in order:
        if n and loss[k] >= loss[kept[n - 1]] - slack:
            continue  # costs no less, and is no better
        while n:
            if cost[k] - cost[kept[n - 1]] <= slack:
                n -= 1  # costs as much, and is better
                continue
            if n < 2:
                break
            a, b = kept[n - 2], kept[n - 1]
            if (cost[b] - cost[a]) * (loss[a] - loss[k]) < (cost[k] - cost[a]) * (loss[a] - loss[b]):
                break
            n -= 1
        kept[n] = k
        n += 1
    return n
