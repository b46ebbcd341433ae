"""Three thresholds minimised at once: the exit threshold of one expert, and both thresholds of the next one.

Bringing in an expert for some samples only, and sending it other samples than before, takes three changes
of which none helps without the others.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def best_of_triple(problem, work, cuts, place, j, shift, cells):  # type: ignore[no-untyped-def]
    """Best exit cut of expert i and best skip and exit cuts of expert j, with no enabled expert in between.

    Args:
        problem, work, cuts: see ``kernels``.
        place: where the pass stands; its expert is i.
        j: the other expert.
        shift: the coarse grid has bins of 2 ** shift ranks.
        cells: int64 (2, levels, levels), memory.

    Returns:
        The gain, and the cuts: exit cut of i, skip cut of j, exit cut of j.
    """
    i, enabled, fresh = place.expert, place.enabled, place.fresh
    levels = cells.shape[2]
    next_of_i = work.following[place.behind]
    after = work.following[np.searchsorted(enabled, j + 1)]
    first = enabled[place.behind]
    skip_cut = cuts.skips[i]
    on_i, on_j = cuts.exits[i] <= problem.n_cuts, cuts.exits[j] <= problem.n_cuts
    # By the confidence that the skip threshold of j is compared with. Row 0: expert i ran. Row 1: it was skipped.
    cells[:] = 0  # by the bin of j's confidence too: by how much being answered by j costs more than going on behind j
    ran = np.zeros((2, levels), np.int64)  # j runs, and the samples go on
    past = np.zeros((2, levels), np.int64)  # j is skipped
    stop = np.zeros(levels, np.int64)  # i answers
    now = (problem.exit_penalty if on_i else 0) + (problem.exit_penalty if on_j else 0)
    for p in range(place.n_pending):
        m, current = work.pending[p], work.current[p]
        arrives = fresh or current >= skip_cut
        r = problem.rank[i, m] if arrives else current
        now += work.value[i if on_i and arrives else first if fresh else next_of_i[current], m]
        b, own, paid = np.int64(r) >> shift, 0 if arrives else 1, problem.run_cost[i] if arrives else np.int64(0)
        r_j = problem.rank[j, m]
        low = paid + problem.run_cost[j] + work.value[after[r_j], m]
        answer = problem.run_cost[j] + problem.shared_cost[j] + np.int64(problem.loss_weight * problem.loss[j, m])
        high = paid + answer
        cells[own, b, np.int64(r_j) >> shift] += high - low
        ran[own, b] += low
        past[own, b] += paid + work.value[after[r], m]
        if arrives:
            loss = np.int64(problem.loss_weight * problem.loss[i, m])
            stop[b] += problem.run_cost[i] + problem.shared_cost[i] + loss
    best, x, s, y = now, 0, 0, 0
    for cut in range(levels - 1, -1, -1):
        total = 2 * problem.exit_penalty
        exit_gain = np.int64(0)
        for b in range(levels):
            ran[0, b] += cells[0, b, cut]
            ran[1, b] += cells[1, b, cut]
            total += ran[0, b] + ran[1, b]
            exit_gain += stop[b] - ran[0, b]
        skip_gain = least = np.int64(0)
        least_at = 0
        for a in range(levels + problem.top_allowed[i]):
            if skip_gain < least:
                least, least_at = skip_gain, a
            if total + exit_gain + least < best:
                best, x, s, y = total + exit_gain + least, a, least_at, cut
            if a < levels:
                exit_gain -= stop[a] - ran[0, a]
                skip_gain += past[0, a] - ran[0, a] + past[1, a] - ran[1, a]
    return now - best, min(x << shift, problem.n_cuts), s << shift, y << shift
