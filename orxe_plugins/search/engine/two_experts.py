"""Two experts: every threshold at once, exact.

One sort and two running sums give cost and loss of every cut; the lower convex hull holds the best cut of
every preference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.policies.policy import Policy
from orxe_plugins.records import Records
from orxe_plugins.search.engine.grid import midpoint
from orxe_plugins.search.engine.objective import Objective, best_per_preference
from orxe_plugins.search.engine.settings import UNREGULARISED, Regulariser


@dataclass(frozen=True, eq=False)
class TwoExpertFit:
    """The best policy of each of P preferences on some records.

    Attributes:
        policies: P of them.
        cost: mean cost per sample, in the records' unit, (P,).
        score: mean score, (P,).
    """

    policies: tuple[Policy, ...]
    cost: np.ndarray
    score: np.ndarray


def fit_two_experts(
    records: Records,
    preferences: Sequence[float],
    objective: Objective,
    regulariser: Regulariser = UNREGULARISED,
) -> TwoExpertFit:
    """The best threshold of each preference for two experts; see :func:`orxe_plugins.search.fit.fit_policies`."""
    m = len(records)
    order = np.argsort(-records.confidence[0], kind="stable")
    falling = records.confidence[0][order]
    # How many exit: none with the first expert disabled, or all down to some confidence. Ties are never split.
    exits = np.append(0, np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) + 1)
    alone = (exits == 0) | (exits == m)  # one expert answers everything: no threshold is in use
    gained = (records.score[0] - records.score[1].astype(np.float64))[order]
    total = records.score[1].sum(dtype=np.float64)
    score = (total + np.append(0.0, np.cumsum(gained))[exits]) / m
    last = records.cost[1] + records.shared_cost[1]
    cost = records.cost[0] + (exits * records.shared_cost[0] + (m - exits) * last) / m
    cost[0] = records.standalone_cost[1]
    loss = 1 - objective.mapped(score) + np.where(alone, 0.0, regulariser.alpha / m)
    legal = np.flatnonzero((exits == 0) | (exits >= regulariser.min_exits))
    best = legal[best_per_preference(cost[legal] / objective.reference_cost, loss[legal], preferences)]

    def policy(count: int) -> Policy:
        if count == 0:
            return Policy((None,))
        return Policy((0.0 if count == m else midpoint(falling[count], falling[count - 1]),))

    return TwoExpertFit(tuple(policy(int(exits[k])) for k in best), cost[best], score[best])
