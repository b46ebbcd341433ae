"""Two thresholds minimised at once, on a coarse grid, compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

#: how a choice says "disabled"
OFF = -1
#: the two kinds of thresholds, and how a choice says "no third threshold"
NONE, SKIP, EXIT = 0, 1, 2


class Pair(NamedTuple):
    """Two thresholds: which kind (:data:`SKIP` or :data:`EXIT`) of expert i, and which kind of expert j >= i.

    Attributes:
        i, kind_i, j, kind_j: the two.
        shift: the coarse grid has bins of 2 ** shift ranks.
    """

    i: int
    kind_i: int
    j: int
    kind_j: int
    shift: int


class PairMemory(NamedTuple):
    """Memory of a pair's sums, by branch of the first threshold (0: below the cut, 1: at or above it).

    Attributes:
        grids: int64 (2, L + 1, L), by coarse rank at the first and the second threshold: by how much being at or above
            the second cut costs more than being below it.
        rows: int64 (2, L + 1, 2), by coarse rank at the first: objective where the samples are below the second
            cut, and where expert j is disabled. The last row is for samples to which the first threshold does not
            apply.
    """

    grids: np.ndarray
    rows: np.ndarray


class Waiting(NamedTuple):
    """A sample that waits before an expert.

    Attributes:
        sample: its number.
        current: the rank that the last expert gave it.
        fresh: no expert has run on it yet.
    """

    sample: int
    current: int
    fresh: bool


@njit(cache=True, nogil=True)
def best_of_pair(problem, work, cuts, place, pair, memory):  # type: ignore[no-untyped-def]
    """Gain and cuts of the best setting of one pair.

    Every waiting sample is followed from the first threshold to the second in each way that the first
    one may decide (branch 0: below the cut, 1: at or above it, 2: expert i is disabled); what it
    costs then is known for each way that the second one may decide. Filed by the two ranks that are
    compared, prefix sums give the objective of all settings.
    """
    grids, rows = memory
    i, kind_i, j, kind_j, shift = pair
    enabled, behind, fresh = place.enabled, place.behind, place.fresh
    levels = grids.shape[2]
    after = work.following[behind]
    skip_cut, exit_cut = cuts.skips[i], cuts.exits[i]
    on = exit_cut <= problem.n_cuts
    grids[:] = 0
    rows[:] = 0
    off_row = np.zeros(levels, np.int64)
    off_total = off_off = now = np.int64(0)
    for p in range(place.n_pending):
        m, current = work.pending[p], work.current[p]
        r = problem.rank[i, m]
        arrives = fresh or current >= skip_cut
        next_i = i if on and arrives else enabled[behind] if fresh else after[current]
        now += work.value[next_i, m]
        a = np.int64(current if kind_i == SKIP else r) >> shift
        # A sample that does not arrive at an exit threshold goes the same way whatever its cut is.
        for branch in range(0 if kind_i == SKIP or arrives else 2, 2 if kind_i == SKIP else 3):
            if i == j:
                b, low, high, off = _own_thresholds(problem, work, place, pair, (m, r, current), branch)
            elif branch == 2 or (kind_i == SKIP and branch == 0):
                b, low, high, off = _follow(problem, work, cuts, place, pair, Waiting(m, current, fresh))
            elif branch == 1 and (kind_i == EXIT or r >= exit_cut):
                low = problem.run_cost[i] + problem.shared_cost[i] + np.int64(problem.loss_weight * problem.loss[i, m])
                b, high, off = -1, low, low
            else:
                b, low, high, off = _follow(problem, work, cuts, place, pair, Waiting(m, r, False))
                run = problem.run_cost[i]
                low, high, off = low + run, high + run, off + run
            if branch == 2:
                off_total += low
                off_off += off
                if b >= 0:
                    off_row[b] += high - low
                if arrives:
                    continue
            row, column = (np.int64(branch), a) if branch < 2 else (np.int64(1), np.int64(levels))
            rows[row, column, 0] += low
            rows[row, column, 1] += off
            if b >= 0:
                grids[row, column, b] += high - low
    penalty_i = problem.exit_penalty if kind_i == EXIT else np.int64(0)
    penalty_j = problem.exit_penalty if kind_j == EXIT else np.int64(0)
    now += (penalty_i if on else 0) + (penalty_j if cuts.exits[j] <= problem.n_cuts else 0)
    may_be_top = kind_i == EXIT and problem.top_allowed[i]
    best, x, y = _least(memory, penalty_i, penalty_j, may_be_top, kind_j == EXIT, now)
    if kind_i == EXIT:
        total = off_total + penalty_j
        for b in range(levels - 1, -1, -1):
            total += off_row[b]
            if total < best:
                best, x, y = total, OFF, b
        if kind_j == EXIT and off_off < best:
            best, x, y = off_off, OFF, OFF
    return now - best, min(x << shift, problem.n_cuts) if x > 0 else x, y << shift if y > 0 else y


@njit(cache=True, nogil=True)
def _own_thresholds(problem, work, place, pair, waiting, branch):  # type: ignore[no-untyped-def]
    """As :func:`_follow`, from an expert's skip threshold to its own exit threshold.

    Args:
        waiting: number of the sample, its rank at the expert, and its rank so far.
        branch: see :func:`best_of_pair`.
    """
    m, r, current = waiting
    i, after = pair.i, work.following[place.behind]
    past = work.value[after[current], m]
    if branch == 0:
        return -1, past, past, past
    low = problem.run_cost[i] + work.value[after[r], m]
    high = problem.run_cost[i] + problem.shared_cost[i] + np.int64(problem.loss_weight * problem.loss[i, m])
    return np.int64(r) >> pair.shift, low, high, past


@njit(cache=True, nogil=True)
def _follow(problem, work, cuts, place, pair, waiting):  # type: ignore[no-untyped-def]
    """Follow a sample from behind the place's expert to a threshold of expert j.

    Returns:
        The coarse rank that is compared with the threshold (-1 if the sample does not come to it), and what
        the sample costs from here on if that is below the cut, if not, and if expert j is disabled.
    """
    m, current, fresh = waiting
    enabled, k, j = place.enabled, place.behind, pair.j
    cost = np.int64(0)
    while enabled[k] < j:
        e = enabled[k]
        if fresh or current >= cuts.skips[e]:
            cost += problem.run_cost[e]
            current, fresh = problem.rank[e, m], False
            if current >= cuts.exits[e]:
                cost += problem.shared_cost[e] + np.int64(problem.loss_weight * problem.loss[e, m])
                return -1, cost, cost, cost
        k += 1
    behind = k + 1 if enabled[k] == j else k
    after = work.following[behind]
    past = cost + work.value[enabled[behind] if fresh else after[current], m]
    if pair.kind_j == SKIP:
        inside = cost + work.value[j, m]
        if fresh:
            return -1, inside, inside, inside
        return np.int64(current) >> pair.shift, past, inside, past
    if not fresh and current < cuts.skips[j]:
        return -1, past, past, past
    r = problem.rank[j, m]
    low = cost + problem.run_cost[j] + work.value[after[r], m]
    high = cost + problem.run_cost[j] + problem.shared_cost[j] + np.int64(problem.loss_weight * problem.loss[j, m])
    return np.int64(r) >> pair.shift, low, high, past


@njit(cache=True, nogil=True)
def _least(memory, penalty_i, penalty_j, may_be_top, j_may_be_off, now):  # type: ignore[no-untyped-def]
    """Least objective over all settings where expert i is enabled, and the setting; ``now`` if none is less.

    Args:
        may_be_top: expert i may be enabled and yet answer no sample.
    """
    grids, rows = memory
    levels = grids.shape[2]
    sums = np.zeros(levels, np.int64)  # by the second rank, over both branches
    total = off_total = np.int64(0)
    for a in range(levels + 1):
        total += rows[1, a, 0]
        off_total += rows[1, a, 1]
        for b in range(levels):
            sums[b] += grids[1, a, b]
    best, x, y = now, 0, 0
    for cut in range(levels + may_be_top):
        here = total + penalty_i + penalty_j
        for b in range(levels - 1, -1, -1):
            here += sums[b]
            if here < best:
                best, x, y = here, cut, b
        if j_may_be_off and off_total + penalty_i < best:
            best, x, y = off_total + penalty_i, cut, OFF
        total += rows[0, cut, 0] - rows[1, cut, 0]
        off_total += rows[0, cut, 1] - rows[1, cut, 1]
        for b in range(levels):
            sums[b] += grids[0, cut, b] - grids[1, cut, b]
    return best, x, y
