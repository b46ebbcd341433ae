"""What a policy does on samples, counted: how often each expert runs and answers. Compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class RoutingData(NamedTuple):
    """What samples are routed by.

    Attributes:
        rank: uint16 (N, M), confidences on the grid.
        loss: uint8 or float64 (N, M).
        needs: int32 (N,), the expert that each one builds on, which stands before it; -1 for none.
        n_cuts: number of bins G of the ranks.
    """

    rank: np.ndarray
    loss: np.ndarray
    needs: np.ndarray
    n_cuts: int


class Tally(NamedTuple):
    """What each expert did, int64 (N,).

    Attributes:
        ran: on how many samples it ran.
        answered: how many it answered.
        needed: on how many it ran only because a later expert builds on it.
    """

    ran: np.ndarray
    answered: np.ndarray
    needed: np.ndarray


def new_tally(n_experts: int) -> Tally:
    """Memory for a tally of N experts."""
    return Tally(*np.zeros((3, n_experts), dtype=np.int64))


@njit(cache=True, nogil=True)
def count_into(tally, data, cuts):  # type: ignore[no-untyped-def]
    """Route all samples by a policy's cuts and count what each expert did into ``tally``.

    Args:
        tally: a :class:`Tally` to fill.
        data: :class:`RoutingData`.
        cuts: the policy's cuts, see ``kernels``.

    Returns:
        The sum of the losses of all answers.
    """
    rank, loss, needs, exits, skips = data.rank, data.loss, data.needs, cuts.exits, cuts.skips
    ran, answered, needed = tally.ran, tally.answered, tally.needed
    enabled = np.flatnonzero(exits <= data.n_cuts)
    last = len(enabled) - 1
    ran[:] = 0
    answered[:] = 0
    needed[:] = 0
    seen = np.full(rank.shape[0], -1)  # the last sample that each expert ran on, for whatever reason
    total = 0.0
    for m in range(rank.shape[1]):
        k = 0
        while True:
            i = enabled[k]
            ran[i] += 1
            seen[i] = m
            j = needs[i]
            if j >= 0 and seen[j] != m:
                seen[j] = m
                needed[j] += 1
            r = rank[i, m]
            if k == last or r >= exits[i]:
                answered[i] += 1
                total += loss[i, m]
                break
            k += 1
            while k < last and r < skips[enabled[k]]:
                k += 1
    return total
