"""The lower convex hull of costs and losses: the best policy of every preference at once.

A preference weighs cost against loss, so that what it picks from a set of policies is a vertex of
their lower convex hull. Walking along the hull, rising preferences never pick less cost or more loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

#: differences that are rounding, not gains
_SLACK = 1e-12


def pick(cost: np.ndarray, loss: np.ndarray, preferences: Sequence[float]) -> np.ndarray:
    """Which of K policies is best for each of P preferences, int64 (P,).

    The least of (1 - preference) * cost + preference * loss; of equals, the cheapest. At the
    preferences 0 and 1, the term that is worth nothing still decides between equals.

    Args:
        cost, loss: float64 (K,), of one order of magnitude.
        preferences: each between 0 and 1.
    """
    vertices = lower_hull(cost, loss)
    dearer, better = np.diff(cost[vertices]), -np.diff(loss[vertices])
    # Beyond this preference, the next vertex is better.
    change = np.maximum.accumulate(dearer / (dearer + better))
    picked: np.ndarray = vertices[np.searchsorted(change, np.asarray(preferences), side="left")]
    return picked


def lower_hull(cost: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Vertices of the lower left convex hull of K points, by rising cost and falling loss, int64."""
    order = np.lexsort((loss, cost))
    kept = np.empty(len(order), dtype=np.int64)
    count = _lower_hull(cost, loss, order, kept, _SLACK)
    return kept[:count]


@njit(cache=True, nogil=True)
def _lower_hull(cost, loss, order, kept, slack):  # type: ignore[no-untyped-def]
    """Andrew's monotone chain: a stack of vertices, from which those above a chord are taken again."""
    n = 0
    for k in order:
        if n and loss[k] >= loss[kept[n - 1]] - slack:
            continue  # as dear or dearer, and no better
        while n:
            if cost[k] - cost[kept[n - 1]] <= slack:
                n -= 1  # as cheap, and better
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
