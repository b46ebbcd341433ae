"""What people do instead of the search: three baselines in plain NumPy, written from their papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from orxe_plugins import Policy, Records

#: a baseline: records, one preference, whether skip thresholds are searched -> a policy
Baseline = Callable[[Records, float, bool], Policy]


class Thresholds:
    """The thresholds that are being searched; an exit threshold of None is "never"."""

    def __init__(self, records: Records, preference: float) -> None:
        self.records, self.preference = records, preference
        n = records.n_experts
        self.skips: list[float] = [0.0] * (n - 1)
        self.exits: list[float | None] = [None] * (n - 1)

    @property
    def policy(self) -> Policy:
        """As a policy."""
        return Policy(tuple(self.exits), tuple(self.skips))

    def objective(self) -> float:
        """By routing all samples, with those that are still on their way kept together."""
        records = self.records
        last = records.n_experts - 1
        index = np.arange(len(records))
        so_far: np.ndarray | None = None
        cost = score = 0.0
        for i in range(last + 1):
            exit_at = self.exits[i] if i < last else 0.0
            if exit_at is None:
                continue
            skip_at = self.skips[i] if i < last else 0.0
            here = index if so_far is None or skip_at <= 0 else index[so_far >= skip_at]
            now = records.confidence[i, here]
            stop = now >= exit_at if i < last else np.ones(len(here), dtype=bool)
            cost += len(here) * records.cost[i] + np.count_nonzero(stop) * records.shared_cost[i]
            score += float(records.score[i, here[stop]].sum())
            if i < last:
                if so_far is None or len(here) == len(index):
                    index, so_far = here[~stop], now[~stop]
                else:
                    past = so_far < skip_at
                    index = np.concatenate([index[past], here[~stop]])
                    so_far = np.concatenate([so_far[past], now[~stop]])
        m = len(records)
        relative = cost / m / records.standalone_cost[-1]
        return float((1 - self.preference) * relative + self.preference * (1 - score / m))

    def all_of(self, kind: str) -> list[float | None]:
        """All thresholds of one kind, "exit" or "skip", to be changed in place."""
        return self.exits if kind == "exit" else self.skips  # type: ignore[return-value]

    def minimise(self, kind: str, expert: int) -> tuple[float | None, float]:
        """One threshold by a bounded scalar minimiser over [0, 1]; "never" is tried too. Changes nothing."""
        values = self.all_of(kind)
        before = values[expert]

        def at(threshold: float | None) -> float:
            values[expert] = threshold
            return self.objective()

        found = minimize_scalar(at, bounds=(0.0, 1.0), method="bounded")
        best: tuple[float | None, float] = float(found.x), float(found.fun)
        off = None if kind == "exit" else 0.0
        without = at(off)
        values[expert] = before
        return (off, without) if without < best[1] else best


def algorithm_1(records: Records, preference: float, skip_gates: bool) -> Policy:
    """ORXE's supplement, Algorithm 1: in every round, try each threshold and adopt the best change alone.

    From "all to the last" on; exit thresholds (gate 2) first, then skip thresholds (gate 1) in the same way. Every line
    search is a bounded scalar minimiser, as the supplement takes the objective to be convex in each threshold.
    """
    state = Thresholds(records, preference)
    least = state.objective()
    for kind in ("exit", "skip") if skip_gates else ("exit",):
        while True:
            tried = [(*state.minimise(kind, i), i) for i in range(records.n_experts - 1)]
            threshold, value, i = min(tried, key=lambda one: one[1])
            if value >= least - 1e-12:
                break
            state.all_of(kind)[i] = threshold
            least = value
    return state.policy


def one_pass(records: Records, preference: float, skip_gates: bool) -> Policy:
    """Each threshold minimised once, in order."""
    state = Thresholds(records, preference)
    least = state.objective()
    for kind in ("exit", "skip") if skip_gates else ("exit",):
        for i in range(records.n_experts - 1):
            threshold, value = state.minimise(kind, i)
            if value < least:
                state.all_of(kind)[i] = threshold
                least = value
    return state.policy


def common_threshold(records: Records, preference: float, skip_gates: bool) -> Policy:
    """The usual hand-written cascade: one threshold for all experts, the best of 0, 0.01 ... 1."""
    state = Thresholds(records, preference)
    n = records.n_experts
    choices: Sequence[float] = [k / 100 for k in range(101)]
    values = []
    for threshold in choices:
        state.exits[:] = [threshold] * (n - 1)
        values.append(state.objective())
    return Policy.uniform(choices[int(np.argmin(values))], n)


BASELINES: dict[str, Baseline] = {
    "Algorithm 1, bounded minimiser": algorithm_1,
    "one pass": one_pass,
    "one common threshold": common_threshold,
}
