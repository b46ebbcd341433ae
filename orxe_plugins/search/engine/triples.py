"""Three thresholds minimised at once: who exits at one expert, and both gates of the next one.

Bringing in an expert for some samples only, and sending it others than before, takes three changes
of which none helps without the others.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def best_of_triple(task, work, exits, skips, enabled, i, j, shift, n_pending, fresh, cells):  # type: ignore[no-untyped-def]
    """Best gate 2 of expert i and best gates 1 and 2 of expert j, with no enabled expert in between.

    Args:
        task, work, exits, skips: see ``kernels``; expert i is about to run.
        enabled: the enabled experts.
        shift: the coarse grid has bins of 2 ** shift ranks.
        n_pending, fresh: how many samples wait before expert i, and whether no expert has run yet.
        cells: int64 (2, levels, levels), memory.

    Returns:
        The gain, and the cuts: gate 2 of i, gate 1 of j, gate 2 of j.
    """
    levels = cells.shape[2]
    next_of_i = work.following[np.searchsorted(enabled, i + 1)]
    after = work.following[np.searchsorted(enabled, j + 1)]
    first = enabled[np.searchsorted(enabled, i + 1)]
    on_i, on_j = exits[i] <= task.n_cuts, exits[j] <= task.n_cuts
    # By the confidence that gate 1 of j looks at. Row 0: expert i ran on them. Row 1: they went past it.
    cells[:] = 0  # by the bin of j's confidence too: what "answered by j" costs more than "goes on behind j"
    ran = np.zeros((2, levels), np.int64)  # j ran on them, and they go on
    past = np.zeros((2, levels), np.int64)  # they went past j
    stop = np.zeros(levels, np.int64)  # i answers them
    now = (task.gate_price if on_i else 0) + (task.gate_price if on_j else 0)
    for p in range(n_pending):
        m, current = work.pending[p], work.current[p]
        arrives = fresh or current >= skips[i]
        r = task.rank[i, m] if arrives else current
        now += work.value[i if on_i and arrives else first if fresh else next_of_i[current], m]
        b, own, paid = np.int64(r) >> shift, 0 if arrives else 1, task.run[i] if arrives else np.int64(0)
        r_j = task.rank[j, m]
        low = paid + task.run[j] + work.value[after[r_j], m]
        high = paid + task.run[j] + task.passed[j] + np.int64(task.weight * task.loss[j, m])
        cells[own, b, np.int64(r_j) >> shift] += high - low
        ran[own, b] += low
        past[own, b] += paid + work.value[after[r], m]
        if arrives:
            stop[b] += task.run[i] + task.passed[i] + np.int64(task.weight * task.loss[i, m])
    best, x, s, y = now, 0, 0, 0
    for cut in range(levels - 1, -1, -1):
        total = 2 * task.gate_price
        exit_gain = np.int64(0)
        for b in range(levels):
            ran[0, b] += cells[0, b, cut]
            ran[1, b] += cells[1, b, cut]
            total += ran[0, b] + ran[1, b]
            exit_gain += stop[b] - ran[0, b]
        skip_gain = least = np.int64(0)
        least_at = 0
        for a in range(levels + task.top_allowed[i]):
            if skip_gain < least:
                least, least_at = skip_gain, a
            if total + exit_gain + least < best:
                best, x, s, y = total + exit_gain + least, a, least_at, cut
            if a < levels:
                exit_gain -= stop[a] - ran[0, a]
                skip_gain += past[0, a] - ran[0, a] + past[1, a] - ran[1, a]
    return now - best, min(x << shift, task.n_cuts), s << shift, y << shift
