"""Exit lines: what every exit threshold of one expert would cost and score, with the rest of a policy as it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.grid import midpoint
from orxe_plugins.search.replay import replay
from orxe_plugins.util.pareto import pareto_front, thinned

#: cuts of a line that are looked at, at most
_CUTS = 64
#: stands for an expert that never runs
_NEVER = np.float32(2)


class _Arrays(NamedTuple):
    """Records as :func:`_line` reads them.

    Attributes:
        confidence: float32 (N, M).
        score: float64 (N, M).
        cost, shared_cost: float64 (N,).
    """

    confidence: np.ndarray
    score: np.ndarray
    cost: np.ndarray
    shared_cost: np.ndarray


class ExitLines:
    """Moves of one exit threshold, on some samples.

    An expert that others need costs as much as if it had run anyway, so that figures are near but not exact where
    experts build on others' answers: replay gives the exact ones.

    Args:
        records: N experts, M samples.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        score = np.ascontiguousarray(records.score, dtype=np.float64)
        self._arrays = _Arrays(records.confidence, score, records.cost, records.shared_cost)
        self._order = np.argsort(-records.confidence, axis=1, kind="stable")  # (N, M), most confident first

    def measure(self, policy: Policy) -> tuple[float, float, int]:
        """Mean cost, mean score and number of reachable experts of a policy."""
        outcome = replay(self.records, policy)
        return outcome.cost, outcome.score, len(policy.reachable)

    def moves(self, policy: Policy) -> dict[Policy, tuple[float, float, int]]:
        """All policies with one other exit threshold that no other one of the same line beats, with their figures."""
        found: dict[Policy, tuple[float, float, int]] = {}
        for i in range(policy.n_experts - 1):
            if policy.exit_thresholds[i] is not None:
                without = self._with(policy, i, None)
                found[without] = self.measure(without)
            found.update(self._line(policy, i))
        return found

    def _line(self, policy: Policy, i: int) -> dict[Policy, tuple[float, float, int]]:
        exits = np.array([_NEVER if t is None else t for t in policy.exit_thresholds], dtype=np.float32)
        skips = np.array(policy.skip_thresholds, dtype=np.float32)
        exits[i] = np.float32(1.5)  # runs, and answers no sample
        skips[i] = skips[i] if policy.exit_thresholds[i] is not None else np.float32(0)
        place, cost, score = _line(self._arrays, exits, skips, i, self._order[i])
        confidence = self.records.confidence[i][self._order[i]]
        found = {}
        # Expected scores differ from sample to sample, so that thousands of cuts may be left: neighbours are alike.
        for k in thinned(pareto_front(cost, score).tolist(), _CUTS):
            at = int(place[k])  # the first `at` samples exit, of those that come here
            above = confidence[at - 1] if at else np.float32(2)
            below = confidence[at] if at < len(confidence) else np.float32(-1)
            moved = self._with(policy, i, midpoint(below, above))
            found[moved] = (float(cost[k]), float(score[k]), len(moved.reachable))
        return found

    @staticmethod
    def _with(policy: Policy, i: int, threshold: float | None) -> Policy:
        exits, skips = list(policy.exit_thresholds), list(policy.skip_thresholds)
        if exits[i] is None or threshold is None:
            skips[i] = 0.0
        exits[i] = threshold
        return Policy(tuple(exits), tuple(skips))


@njit(cache=True, nogil=True)
def _line(arrays, exits, skips, i, order):  # type: ignore[no-untyped-def]
    """Figures of every cut of expert i's confidence that tells samples apart.

    Args:
        arrays: :class:`_Arrays`.
        exits, skips: float32 (N - 1,), the thresholds of the policy; see :data:`_NEVER`.
        i: the expert.
        order: int64 (M,), the samples by its falling confidence.

    Returns:
        How many of the most confident samples exit, int64 (K,), mean cost and mean score, float64 (K,).
    """
    confidence, score, cost, shared = arrays
    n, m = confidence.shape
    arrives = np.zeros(m, dtype=np.bool_)
    saves, gains = np.zeros(m), np.zeros(m)  # what changes if the sample exits at i
    total_cost, total_score = 0.0, 0.0
    for s in range(m):
        paid, before, so_far, first = 0.0, 0.0, np.float32(0), True
        answer = n - 1
        for j in range(n):
            if j < n - 1 and (exits[j] == 2 or (not first and so_far < skips[j])):
                continue
            paid += cost[j]
            first = False
            so_far = confidence[j, s]
            if j == i:
                arrives[s] = True
                before = paid
            if j == n - 1 or so_far >= exits[j]:
                answer = j
                break
        paid += shared[answer]
        total_cost += paid
        total_score += score[answer, s]
        if arrives[s]:
            saves[s] = before + shared[i] - paid
            gains[s] = score[i, s] - score[answer, s]
    place, costs, scores = np.empty(m + 1, np.int64), np.empty(m + 1), np.empty(m + 1)
    count = 0
    if confidence[i, order[0]] < 1:
        place[0], costs[0], scores[0] = 0, total_cost / m, total_score / m
        count = 1
    fresh = count == 0
    for k in range(m):
        s = order[k]
        if arrives[s]:
            total_cost += saves[s]
            total_score += gains[s]
            fresh = True
        if fresh and (k == m - 1 or confidence[i, order[k + 1]] < confidence[i, s]):
            place[count], costs[count], scores[count] = k + 1, total_cost / m, total_score / m
            count += 1
            fresh = False
    return place[:count], costs[:count], scores[:count]
