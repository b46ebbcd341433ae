"""Every policy tried, where records are so few that this takes no time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from orxe_plugins.search.engine.candidates import Settings
from orxe_plugins.search.engine.kernels import tally
from orxe_plugins.search.engine.objective import best_per_preference
from orxe_plugins.search.engine.problem import Cuts, Samples

#: policies x samples, at most
_LIMIT = 20_000_000


def try_all(samples: Samples, preferences: Sequence[float], settings: Settings) -> list[Cuts]:
    """The best policy for each preference; none at all where there are too many policies to try."""
    n, m = samples.shape
    if m * 2.0 ** (n - 1) > _LIMIT:  # on or off alone are too many
        return []
    if m * len(np.unique(samples.rank[0])) > _LIMIT:  # so are the first expert's alone: spare the other ones
        return []
    choices = _choices(samples, settings.skip_gates)
    count = math.prod(len(each) for each in choices)
    if count * m > _LIMIT:
        return []
    sizes = np.array([len(each) for each in choices], dtype=np.int64)
    table = np.zeros((len(choices), sizes.max(initial=1)), dtype=np.int32)
    for row, each in zip(table, choices, strict=True):
        row[: len(each)] = each
    result = np.empty((count, 3))
    _measure_all(
        samples.rank, samples.loss, samples.needs, samples.cost, samples.shared_cost, samples.n_cuts,
        table, sizes, settings.min_exits, settings.alpha / m, settings.beta / m, result,
    )  # fmt: skip
    legal = np.flatnonzero(result[:, 2])
    best = legal[best_per_preference(result[legal, 0], result[legal, 1], preferences)]
    found = []
    for k in dict.fromkeys(best.tolist()):
        exits, skips = np.zeros((2, n), dtype=np.int32)
        _decode(k, table, sizes, exits, skips)
        found.append(Cuts(exits, skips))
    return found


def _choices(samples: Samples, skip_gates: bool) -> list[np.ndarray]:
    """Cuts that can be told apart: gate 2 of each expert but the last, then gate 1 of each."""
    n = samples.shape[0]
    nobody, never = samples.n_cuts, samples.n_cuts + 1
    seen = [np.unique(row) for row in samples.rank[:-1]]
    exits = [
        np.unique(np.concatenate([[0, never], here, [nobody] if top else []]))
        for here, top in zip(seen, samples.top_allowed, strict=False)
    ]
    earlier = [seen[:i] if skip_gates else [] for i in range(n - 1)]
    skips = [np.unique(np.concatenate([[0], *some])) for some in earlier]
    return exits + skips


@njit(cache=True, nogil=True)
def _decode(number, table, sizes, exits, skips):  # type: ignore[no-untyped-def]
    """The cuts of a policy that is given by its number."""
    n = len(exits)
    for row in range(len(sizes)):
        cut = table[row, number % sizes[row]]
        number //= sizes[row]
        if row < n - 1:
            exits[row] = cut
        else:
            skips[row - n + 1] = cut


@njit(cache=True, nogil=True)
def _measure_all(rank, loss, needs, cost, shared, n_cuts, table, sizes, min_exits, alpha, beta, result):  # type: ignore[no-untyped-def]
    """Cost, loss with penalty, and legality of each policy, into ``result`` (K, 3); see ``candidates``."""
    n, m = rank.shape
    exits, skips = np.zeros(n, np.int32), np.zeros(n, np.int32)
    ran, answered, asked = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(len(result)):
        _decode(k, table, sizes, exits, skips)
        total = tally(rank, loss, needs, exits, skips, n_cuts, ran, answered, asked)
        paid, used, skipping, legal = 0.0, 0, 0, True
        for i in range(n):
            paid += (ran[i] + asked[i]) * cost[i] + answered[i] * shared[i]
            if ran[i] > 0:
                skipping += used > 0 and skips[i] > 0
                used += 1
        for i in range(n - 1):
            legal &= ran[i] == 0 or answered[i] >= min_exits
        result[k, 0] = paid / m
        result[k, 1] = total / m + (used - 1) * alpha + skipping * beta
        result[k, 2] = legal
