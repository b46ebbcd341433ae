"""Pair moves: two thresholds (or three, see ``triples``) minimised at once, on a coarse grid, compiled by numba.

Line searches stop where no threshold alone improves: at "use this expert in place of that one", say, or
"run this expert, but only on the easier ones". Both change two thresholds at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from orxe_plugins.search.engine.kernels import advance, prepare, start
from orxe_plugins.search.engine.triples import best_of_triple

#: how a choice says "disabled"
OFF = -1


@njit(cache=True, nogil=True)
def pair_pass(task, work, exits, skips, skip_gates, shift, window, out):  # type: ignore[no-untyped-def]
    """Find the pair of thresholds that gains most when both are set at best, the rest being fixed.

    A threshold is a gate 2, or a gate 1 where an expert has one before it. Of two disabled
    experts, none is tried with the other.

    Args:
        task, work: see ``kernels``.
        exits, skips: the policy's cuts.
        skip_gates: try gate 1 too.
        shift: the coarse grid has bins of 2 ** shift ranks.
        window: how many enabled experts may lie between the two.
        out: int64 (9,), out: expert, gate (1 or 2; 0 for no third one) and cut of each; a cut of -1 is "disabled".

    Returns:
        The gain, and the objective before.
    """
    n_experts, n_samples = task.rank.shape
    enabled, before = prepare(task, work, exits, skips)
    levels = ((task.n_cuts - 1) >> shift) + 1
    # The last column is for those who go the same way whatever the first threshold is.
    grids = np.empty((2, levels + 1, levels), np.int64)
    rows = np.empty((2, levels + 1, 2), np.int64)
    n_pending = start(work, n_samples)
    fresh = True
    best = np.int64(0)
    for i in range(n_experts - 1):
        on = exits[i] <= task.n_cuts
        if n_pending and (on or task.allowed[i]):
            for gate_i in range(1, 3):
                if gate_i == 1 and (fresh or not skip_gates):
                    continue
                between = 0
                for j in range(i, n_experts - 1):
                    on_j = exits[j] <= task.n_cuts
                    if j > i and on_j:
                        between += 1
                    if between > window + 1:
                        break
                    for gate_j in range(1, 3):
                        if gate_j == 1 and not skip_gates:
                            continue
                        if not _is_tried(task, i, gate_i, on, j, gate_j, on_j):
                            continue
                        gain, x, y = _best_of_pair(
                            task,
                            work,
                            exits,
                            skips,
                            enabled,
                            i,
                            gate_i,
                            j,
                            gate_j,
                            shift,
                            n_pending,
                            fresh,
                            grids,
                            rows,
                        )
                        if gain > best:
                            best = gain
                            out[:] = np.array([i, gate_i, x, j, gate_j, y, 0, 0, 0])
            for j in range(i + 1, n_experts - 1 if skip_gates else 0):
                on_j = exits[j] <= task.n_cuts
                if on_j or task.allowed[j]:
                    gain, x, s, y = best_of_triple(
                        task, work, exits, skips, enabled, i, j, shift, n_pending, fresh, grids[:, :levels]
                    )
                    if gain > best:
                        best = gain
                        out[:] = np.array([i, 2, x, j, 1, s, j, 2, y])
                if on_j:
                    break
        if on:
            n_pending = advance(task, work, i, exits[i], skips[i], n_pending, fresh)
            fresh = False
    return best, before


@njit(cache=True, nogil=True)
def _is_tried(task, i, gate_i, on_i, j, gate_j, on_j):  # type: ignore[no-untyped-def]
    if i == j:
        return gate_i == 1 and gate_j == 2
    if (gate_i == 1 and not on_i) or (gate_j == 1 and not on_j):
        return False
    return (on_i and on_j) or (on_i and task.allowed[j]) or on_j


@njit(cache=True, nogil=True)
def _best_of_pair(  # type: ignore[no-untyped-def]
    task, work, exits, skips, enabled, i, gate_i, j, gate_j, shift, n_pending, fresh, grids, rows
):  # fmt: skip
    """Gain and cuts of the best setting of one pair.

    Every waiting sample is followed from the first threshold to the second in each way that the first
    one may decide (branch 0: below the cut, 1: at or above it, 2: expert i is disabled); what it
    costs then is known for each way that the second one may decide. Filed by the two ranks that are
    compared, prefix sums give the objective of all settings.
    """
    levels = grids.shape[2]
    behind = np.searchsorted(enabled, i + 1)
    after = work.following[behind]
    on = exits[i] <= task.n_cuts
    grids[:] = 0
    rows[:] = 0
    off_row = np.zeros(levels, np.int64)
    off_total = off_off = now = np.int64(0)
    for p in range(n_pending):
        m, current = work.pending[p], work.current[p]
        r = task.rank[i, m]
        arrives = fresh or current >= skips[i]
        next_i = i if on and arrives else enabled[behind] if fresh else after[current]
        now += work.value[next_i, m]
        a = np.int64(current if gate_i == 1 else r) >> shift
        # Who does not arrive at gate 2 goes the same way whatever its cut is.
        for branch in range(0 if gate_i == 1 or arrives else 2, 2 if gate_i == 1 else 3):
            if i == j:
                b, low, high, off = _own_gates(task, work, behind, i, m, r, current, branch, shift)
            elif branch == 2 or (gate_i == 1 and branch == 0):
                b, low, high, off = _follow(
                    task, work, exits, skips, enabled, behind, j, gate_j, m, current, fresh, shift
                )
            elif branch == 1 and (gate_i == 2 or r >= exits[i]):
                low = task.run[i] + task.passed[i] + np.int64(task.weight * task.loss[i, m])
                b, high, off = -1, low, low
            else:
                b, low, high, off = _follow(task, work, exits, skips, enabled, behind, j, gate_j, m, r, False, shift)
                low, high, off = low + task.run[i], high + task.run[i], off + task.run[i]
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
    price_i = task.gate_price if gate_i == 2 else np.int64(0)
    price_j = task.gate_price if gate_j == 2 else np.int64(0)
    now += (price_i if on else 0) + (price_j if exits[j] <= task.n_cuts else 0)
    best, x, y = _least(grids, rows, price_i, price_j, gate_i == 2 and task.top_allowed[i], gate_j == 2, now)
    if gate_i == 2:
        total = off_total + price_j
        for b in range(levels - 1, -1, -1):
            total += off_row[b]
            if total < best:
                best, x, y = total, OFF, b
        if gate_j == 2 and off_off < best:
            best, x, y = off_off, OFF, OFF
    return now - best, min(x << shift, task.n_cuts) if x > 0 else x, y << shift if y > 0 else y


@njit(cache=True, nogil=True)
def _own_gates(task, work, behind, i, m, r, current, branch, shift):  # type: ignore[no-untyped-def]
    """As :func:`_follow`, from an expert's gate 1 to its own gate 2."""
    past = work.value[work.following[behind][current], m]
    if branch == 0:
        return -1, past, past, past
    low = task.run[i] + work.value[work.following[behind][r], m]
    high = task.run[i] + task.passed[i] + np.int64(task.weight * task.loss[i, m])
    return np.int64(r) >> shift, low, high, past


@njit(cache=True, nogil=True)
def _follow(task, work, exits, skips, enabled, k, j, gate_j, m, current, fresh, shift):  # type: ignore[no-untyped-def]
    """Follow sample m from before enabled expert number k to a gate of expert j.

    Returns:
        The coarse rank that the gate looks at (-1 if the sample does not come by it), and what
        the sample costs from here on if that is below the cut, if not, and if expert j is disabled.
    """
    cost = np.int64(0)
    while enabled[k] < j:
        e = enabled[k]
        if fresh or current >= skips[e]:
            cost += task.run[e]
            current, fresh = task.rank[e, m], False
            if current >= exits[e]:
                cost += task.passed[e] + np.int64(task.weight * task.loss[e, m])
                return -1, cost, cost, cost
        k += 1
    behind = k + 1 if enabled[k] == j else k
    after = work.following[behind]
    past = cost + work.value[enabled[behind] if fresh else after[current], m]
    if gate_j == 1:
        inside = cost + work.value[j, m]
        if fresh:
            return -1, inside, inside, inside
        return np.int64(current) >> shift, past, inside, past
    if not fresh and current < skips[j]:
        return -1, past, past, past
    r = task.rank[j, m]
    low = cost + task.run[j] + work.value[after[r], m]
    high = cost + task.run[j] + task.passed[j] + np.int64(task.weight * task.loss[j, m])
    return np.int64(r) >> shift, low, high, past


@njit(cache=True, nogil=True)
def _least(grids, rows, price_i, price_j, i_may_answer_nobody, j_may_be_off, now):  # type: ignore[no-untyped-def]
    """Least objective over all settings where expert i is enabled, and the setting; ``now`` if none is less."""
    levels = grids.shape[2]
    sums = np.zeros(levels, np.int64)  # by the second rank, over both branches
    total = off_total = np.int64(0)
    for a in range(levels + 1):
        total += rows[1, a, 0]
        off_total += rows[1, a, 1]
        for b in range(levels):
            sums[b] += grids[1, a, b]
    best, x, y = now, 0, 0
    for cut in range(levels + i_may_answer_nobody):
        here = total + price_i + price_j
        for b in range(levels - 1, -1, -1):
            here += sums[b]
            if here < best:
                best, x, y = here, cut, b
        if j_may_be_off and off_total + price_i < best:
            best, x, y = off_total + price_i, cut, OFF
        total += rows[0, cut, 0] - rows[1, cut, 0]
        off_total += rows[0, cut, 1] - rows[1, cut, 1]
        for b in range(levels):
            sums[b] += grids[0, cut, b] - grids[1, cut, b]
    return best, x, y
