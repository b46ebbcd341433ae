"""Pool: which K experts out of many make the best cascade for a range of preferences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import check_preferences
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import Cuts, Descent, Problem, RankedRecords, coarsening, cpu_count
from orxe_plugins.search.engine.settings import SearchSettings
from orxe_plugins.search.fit import search_policies
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.pareto import pareto_front

#: the preferences that a pool is chosen for by default
PREFERENCES = (*(i / 10 for i in range(1, 10)), 0.95, 0.99)
_SHORTLIST = 4
_BINS = 1024


def select_pool(
    records: Records,
    k: int,
    preferences: Iterable[float] = PREFERENCES,
    *,
    max_samples: int = 8192,
    seed: int = 0,
    threads: int | None = None,
) -> tuple[str, ...]:
    """Choose ``k`` experts whose cascades have the least objective, summed over the preferences.

    Greedy forward selection from the most accurate expert, then swaps until none helps. Beside it,
    two plain choices are tried: the k cheapest Pareto-optimal experts, and k of them evenly
    spread. The swaps start from the best of the three. All this uses quick searches; a
    thorough one chooses between the outcome and the three, so that it is never worse than those
    on the samples that the choice is made on.

    Args:
        records: of the whole pool, on the fitting split.
        k: how many experts to keep.
        preferences: what the cascades are for.
        max_samples: choose on at most this many samples, drawn at random.
        seed: of that draw.
        threads: all cores by default; the result does not depend on it.

    Returns:
        Names of the experts, cheapest first; all of them if there are at most ``k``.

    Raises:
        OrxeError: ``k`` is below 1.
    """
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    if check_count("k", k) < 1:
        raise OrxeError(f"k is {k!r}: expected at least one expert")
    check_count("seed", seed)
    check_count("max_samples", max_samples, 1)
    wanted = check_preferences(preferences)
    ordered = records.sorted_by_cost()
    if k >= ordered.n_experts:
        return ordered.names
    if len(ordered) > max_samples:
        ordered = ordered.samples(np.sort(np.random.default_rng(seed).permutation(len(ordered))[:max_samples]))
    scorer = _Scorer(ordered, wanted, threads or cpu_count())
    candidates = [_grow(scorer, k), *_pareto_choices(ordered, k)]
    best = min(candidates, key=lambda chosen: scorer.fit(chosen).objective)
    finalists = dict.fromkeys([_swap(scorer, best), *filter(scorer.complete, candidates)])
    return tuple(ordered.names[i] for i in min(finalists, key=scorer.thorough))


@dataclass(frozen=True)
class _Fit:
    """The cascades of one set of experts: summed objective, and the exit cuts of each preference."""

    objective: float
    exits: tuple[np.ndarray, ...]


class _Scorer:
    """Objective of sets of experts, by a quick search of exit thresholds on a coarse grid."""

    def __init__(self, records: Records, preferences: Sequence[float], threads: int) -> None:
        objective = Objective.of(records)
        grid = Grid.of(records.confidence, threads)
        ranked = RankedRecords.of(records, grid, objective)
        self.ranked = ranked.samples(np.arange(len(records)), coarsening(grid.n_cuts, _BINS))
        self.preferences = preferences
        self.means = records.mean_score
        self.needs = records.needs
        self.threads = threads
        self._fits: dict[tuple[int, ...], _Fit] = {}

    @property
    def never(self) -> int:
        """The exit cut that disables an expert."""
        return self.ranked.n_cuts + 1

    def complete(self, chosen: Iterable[int]) -> bool:
        """Whether every expert that one of these needs is among them."""
        inside = set(chosen)
        return all(self.needs[i] < 0 or self.needs[i] in inside for i in inside)

    def fit(self, chosen: tuple[int, ...]) -> _Fit:
        """Search for every preference with these experts alone (positions, rising); they have to be complete."""
        if not self.complete(chosen):
            return _Fit(np.inf, ())
        if chosen not in self._fits:
            part = self.ranked.experts(chosen)
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(pool.map(lambda preference: _quick_search(part, preference), self.preferences))
            self._fits[chosen] = _Fit(sum(value for value, _ in found), tuple(exits for _, exits in found))
        return self._fits[chosen]

    def thorough(self, chosen: tuple[int, ...]) -> float:
        """Objective of these experts, summed over the preferences, as the search itself finds it on this grid."""
        settings = SearchSettings(skip_gates=False, threads=self.threads)
        found = search_policies(self.ranked.experts(chosen), self.preferences, settings)
        return float(found.objectives(found.distinct()).min(axis=1).sum())

    def gains(self, chosen: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """What each expert cheaper than the last chosen one is worth, (last + 1,), by one line search.

        Returns:
            Gain of adding each expert (0 for chosen ones), and loss of removing each (0 for others).
        """
        last = chosen[-1]
        part = self.ranked.experts(range(last + 1))
        fit = self.fit(chosen)

        def one(preference: float, exits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            all_exits = np.full(last + 1, self.never, dtype=np.int32)
            all_exits[list(chosen)] = exits
            problem = Problem.of(part, preference)
            cuts = Cuts(all_exits, np.zeros_like(all_exits))
            _, _, gains = problem.sweep(cuts, problem.workspace(), skips=False, adopt=False)
            return gains.gain[0] / problem.scale, gains.loss_if_disabled / problem.scale

        with ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(one, self.preferences, fit.exits))
        gain = np.sum([g for g, _ in found], axis=0)
        loss = np.sum([d for _, d in found], axis=0)
        inside = np.zeros(last + 1, dtype=bool)
        inside[list(chosen)] = True
        return np.where(inside, 0.0, gain), np.where(inside, loss, 0.0)


def _quick_search(ranked: RankedRecords, preference: float) -> tuple[float, np.ndarray]:
    """The objective and the exit cuts of the better one of two descents, from both ends."""
    problem = Problem.of(ranked, preference)
    work, descent = problem.workspace(), Descent(skip_gates=False)
    found = [(problem.descend(cuts, work, descent) / problem.scale, cuts.exits) for cuts in problem.both_ends()]
    return min(found, key=lambda one: one[0])


def _grow(scorer: _Scorer, k: int) -> tuple[int, ...]:
    """Start with the most accurate expert; add the one that helps most, k - 1 times."""
    chosen = _most_accurate(scorer, k)
    while len(chosen) < k:
        outside = [i for i in range(len(scorer.means)) if i not in chosen and scorer.complete((*chosen, i))]
        gain, _ = scorer.gains(chosen)
        cheaper = [i for i in outside if i < chosen[-1]]
        short = sorted(cheaper, key=lambda i: -gain[i])[:_SHORTLIST]
        if not short:  # only experts costlier than the most accurate one are left
            short = outside[:_SHORTLIST]
        chosen = min((_with(chosen, i) for i in short), key=lambda tried: scorer.fit(tried).objective)
    return chosen


def _most_accurate(scorer: _Scorer, k: int) -> tuple[int, ...]:
    """The most accurate expert that fits together with the expert that it needs, if any; and that one."""
    for i in np.argsort(-scorer.means, kind="stable").tolist():
        chosen = (i,) if scorer.needs[i] < 0 else (scorer.needs[i], i)
        if len(chosen) <= k:
            return chosen
    raise AssertionError("a needed expert needs no other one, so that a single expert always fits")


def _swap(scorer: _Scorer, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """Exchange one expert for another as long as that helps."""
    while True:
        now = scorer.fit(chosen).objective
        _, loss = scorer.gains(chosen)
        tried: list[tuple[int, ...]] = []
        for out in sorted(chosen, key=lambda i: loss[i])[:_SHORTLIST]:
            rest = tuple(i for i in chosen if i != out)
            if not rest:
                tried += [(i,) for i in range(len(scorer.means))]
            if not rest or not scorer.complete(rest):
                continue
            gain, _ = scorer.gains(rest)
            cheaper = [i for i in range(rest[-1]) if i not in chosen]
            tried += [_with(rest, i) for i in sorted(cheaper, key=lambda i: -gain[i])[:_SHORTLIST]]
            # Line searches say nothing of experts behind the last one: try the most accurate of them.
            costlier = [i for i in range(rest[-1] + 1, len(scorer.means)) if i not in chosen]
            tried += [_with(rest, i) for i in sorted(costlier, key=lambda i: -scorer.means[i])[:2]]
        best = min(tried, key=lambda one: scorer.fit(one).objective, default=chosen)
        if scorer.fit(best).objective >= now * (1 - 1e-9):
            return chosen
        chosen = best


def _pareto_choices(records: Records, k: int) -> list[tuple[int, ...]]:
    """The k cheapest Pareto-optimal experts, and k evenly spread ones; filled up with others where there are fewer."""
    order = pareto_experts(records)
    rest = [i for i in range(records.n_experts) if i not in order]
    cheapest = (order + rest)[:k]
    spread = np.linspace(0, len(order) - 1, k).round().astype(int) if len(order) >= k else range(len(order))
    evenly = list(dict.fromkeys(order[i] for i in spread))
    evenly += [i for i in order + rest if i not in evenly][: k - len(evenly)]
    return [tuple(sorted(cheapest)), tuple(sorted(evenly))]


def pareto_experts(records: Records) -> list[int]:
    """Experts that no other one beats in both cost and mean score, cheapest first."""
    front: list[int] = pareto_front(records.standalone_cost, records.mean_score).tolist()
    return front


def _with(chosen: tuple[int, ...], extra: int) -> tuple[int, ...]:
    return tuple(sorted((*chosen, extra)))
