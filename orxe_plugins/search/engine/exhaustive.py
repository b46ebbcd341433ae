"""Every policy tried, where records are so few that this takes no time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from orxe_plugins.search.engine.objective import best_per_preference
from orxe_plugins.search.engine.problem import Cuts, RankedRecords
from orxe_plugins.search.engine.settings import SearchSettings
from orxe_plugins.search.engine.tally import count_into, new_tally

#: policies x samples, at most
_LIMIT = 20_000_000


class _Choices(NamedTuple):
    """The cuts that are tried: exit cuts of each expert but the last, then skip cuts of each.

    Attributes:
        table: int32 (2 (N - 1), K), a row of cuts for each threshold, filled up with zeros.
        sizes: int64 (2 (N - 1),), how many cuts each row has.
    """

    table: np.ndarray
    sizes: np.ndarray


class _Measure(NamedTuple):
    """How policies are measured.

    Attributes:
        cost, shared_cost: float64 (N,), over the reference cost.
        min_exits: fewest samples that an enabled expert must answer.
        exit_penalty, skip_penalty: for each threshold in use, in mean loss.
    """

    cost: np.ndarray
    shared_cost: np.ndarray
    min_exits: int
    exit_penalty: float
    skip_penalty: float


def try_all(ranked: RankedRecords, preferences: Sequence[float], settings: SearchSettings) -> list[Cuts]:
    """The best policy for each preference; an empty list where there are too many policies to try."""
    n, m = ranked.shape
    if m * 2.0 ** (n - 1) > _LIMIT:  # on or off alone are too many
        return []
    if m * len(np.unique(ranked.rank[0])) > _LIMIT:  # so are the first expert's alone: the other ones are not counted
        return []
    cuts = _cuts_to_try(ranked, settings.skip_gates)
    count = math.prod(len(each) for each in cuts)
    if count * m > _LIMIT:
        return []
    sizes = np.array([len(each) for each in cuts], dtype=np.int64)
    choices = _Choices(np.zeros((len(cuts), sizes.max(initial=1)), dtype=np.int32), sizes)
    for row, each in zip(choices.table, cuts, strict=True):
        row[: len(each)] = each
    regulariser = settings.regulariser
    measure = _Measure(
        ranked.cost, ranked.shared_cost, regulariser.min_exits, regulariser.alpha / m, regulariser.beta / m
    )
    result = np.empty((count, 3))
    _measure_all(ranked.routing, measure, choices, Cuts(*np.zeros((2, n), dtype=np.int32)), new_tally(n), result)
    legal = np.flatnonzero(result[:, 2])
    best = legal[best_per_preference(result[legal, 0], result[legal, 1], preferences)]
    found = []
    for k in dict.fromkeys(best.tolist()):
        policy = Cuts(*np.zeros((2, n), dtype=np.int32))
        _decode(k, choices, policy)
        found.append(policy)
    return found


def _cuts_to_try(ranked: RankedRecords, skip_gates: bool) -> list[np.ndarray]:
    """Cuts that can be told apart: exit cuts of each expert but the last, then skip cuts of each."""
    n = ranked.shape[0]
    answers_none, never = ranked.n_cuts, ranked.n_cuts + 1
    seen = [np.unique(row) for row in ranked.rank[:-1]]
    exits = [
        np.unique(np.concatenate([[0, never], here, [answers_none] if top else []]))
        for here, top in zip(seen, ranked.top_allowed, strict=False)
    ]
    earlier = [seen[:i] if skip_gates else [] for i in range(n - 1)]
    skips = [np.unique(np.concatenate([[0], *some])) for some in earlier]
    return exits + skips


@njit(cache=True, nogil=True)
def _decode(number, choices, cuts):  # type: ignore[no-untyped-def]
    """Write the cuts of a policy that is given by its number into ``cuts``."""
    n = len(cuts.exits)
    for row in range(len(choices.sizes)):
        cut = choices.table[row, number % choices.sizes[row]]
        number //= choices.sizes[row]
        if row < n - 1:
            cuts.exits[row] = cut
        else:
            cuts.skips[row - n + 1] = cut


@njit(cache=True, nogil=True)
def _measure_all(data, measure, choices, cuts, tally, result):  # type: ignore[no-untyped-def]
    """Cost, loss with penalty, and legality of each policy, into ``result`` (K, 3); see ``candidates``.

    Args:
        data: what samples are routed by.
        measure, choices: see there.
        cuts, tally: memory; all cuts are 0.
        result: float64 (K, 3), to fill.
    """
    n, m = data.rank.shape
    ran, answered, needed = tally
    for k in range(len(result)):
        _decode(k, choices, cuts)
        total = count_into(tally, data, cuts)
        cost, used, skipping, legal = 0.0, 0, 0, True
        for i in range(n):
            cost += (ran[i] + needed[i]) * measure.cost[i] + answered[i] * measure.shared_cost[i]
            if ran[i] > 0:
                skipping += used > 0 and cuts.skips[i] > 0
                used += 1
        for i in range(n - 1):
            legal &= ran[i] == 0 or answered[i] >= measure.min_exits
        result[k, 0] = cost / m
        result[k, 1] = total / m + (used - 1) * measure.exit_penalty + skipping * measure.skip_penalty
        result[k, 2] = legal
