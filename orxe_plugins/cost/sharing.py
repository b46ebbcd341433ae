"""Costs that experts of one cascade share: the backbone that exits lie in, the answer that they build on.

A sample costs the ``cost`` of every expert that ran on it, and the ``shared_cost`` of the one that
answered it: the part of a backbone that leads up to that exit. It includes the parts up to all earlier exits.
If an expert ``needs`` another one's answer, that one runs too, where it did not run already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from orxe_plugins.errors import OrxeError


def check_sharing(names: Sequence[str], shared_cost: Sequence[float], needs: Sequence[int]) -> None:
    """Raise unless the cost of every path follows from these figures alone.

    Exits of one backbone have to stand at the end of a cascade, in the backbone's order: a sample that is
    answered behind an exit has then gone through the backbone up to there, whether or not that exit ran.

    Args:
        names: N experts in routing order.
        shared_cost: cost of the shared backbone up to each of them; 0 for one that shares none.
        needs: position of the expert whose answer each of them builds on; -1 for none.

    Raises:
        OrxeError: the order or the needs make a cost depend on more than these figures.
    """
    for i in range(1, len(names)):
        if shared_cost[i] < shared_cost[i - 1]:
            raise OrxeError(
                f"expert {names[i]!r} stands behind {names[i - 1]!r}, an exit of a backbone that it has no larger "
                "part of: exits of one backbone must be the last experts of a cascade. Leave out one of the two"
            )
    for i, j in enumerate(needs):
        if j >= i or (j >= 0 and needs[j] >= 0):
            raise OrxeError(
                f"expert {names[i]!r} builds on the answer of {names[j]!r}: expected an expert before it that "
                "needs no other"
            )


def positions_of(names: Sequence[str], needs: Sequence[str | None]) -> tuple[int, ...]:
    """Position of each needed expert; -1 for none.

    Raises:
        OrxeError: one is not among the experts.
    """
    for name, needed in zip(names, needs, strict=True):
        if needed is not None and needed not in names:
            raise OrxeError(
                f"expert {name!r} builds on the answer of {needed!r}, which is not among the experts "
                f"{', '.join(names)}: add it, or name it by needs="
            )
    return tuple(-1 if needed is None else list(names).index(needed) for needed in needs)


def routing_order(cost: np.ndarray, shared_cost: np.ndarray) -> np.ndarray:
    """Order of N experts, cheapest first; exits of one backbone come where its end does.

    Args:
        cost: cost per sample of each expert if it alone answers every sample, (N,).
        shared_cost: the part of it that exits share, (N,).
    """
    is_exit = shared_cost > 0
    place = np.where(is_exit, cost[is_exit].max(initial=0.0), cost)
    return np.lexsort((cost, shared_cost, place))


def ran_for_others(ran: Any, needs: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Every needed expert, with the samples on which it ran only because another expert needs it, bool (M,).

    Args:
        ran: which experts ran in their own place, a bool array or tensor (M, N).
        needs: see :func:`check_sharing`.
    """
    for j in sorted({j for j in needs if j >= 0}):
        wanted = reduce(or_, (ran[:, i] for i, needed in enumerate(needs) if needed == j))
        yield j, wanted & ~ran[:, j]
