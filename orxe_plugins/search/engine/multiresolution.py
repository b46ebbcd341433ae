"""The search over all preferences: wide on few samples, then ever narrower on more of them.

On few samples and a coarse grid a descent takes milliseconds, so that many starts and kicks can be tried; the best few
are polished on more, and the best of those on all samples. What one preference finds is offered to all the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.search.engine.algorithm_1 import algorithm_1
from orxe_plugins.search.engine.candidates import Candidates, PreferenceSearch
from orxe_plugins.search.engine.integer_problem import Workspace
from orxe_plugins.search.engine.local_search import pair_moves, search_around, starts
from orxe_plugins.search.engine.problem import Cuts, Descent, Problem, RankedRecords, coarsening
from orxe_plugins.search.engine.settings import SearchSettings


@dataclass(frozen=True)
class Level:
    """How one level of the search works.

    Attributes:
        samples: at most that many.
        bins: at most that many bins of the grid.
        starts: random starts for each preference, beside both ends and Algorithm 1; None: no start.
        keep: from how many of the best known policies each preference goes on.
        rounds: how often it does; in between, preferences share what they found.
        kicks: of the iterated local search, in each round, at least; see :data:`ROUND_EFFORT`.
        pair_moves: how many may follow.
        max_sweeps: sweeps of each descent, at most.
        enough: a sweep that gains no more than this share of the objective ends a descent.
        algorithm_1: whether its result is a start too.
    """

    samples: int
    bins: int
    starts: int | None = None
    keep: int = 1
    rounds: int = 1
    kicks: int = 0
    pair_moves: int = 0
    max_sweeps: int = 60
    enough: float = 0.0
    algorithm_1: bool = False

    def descent(self, skip_gates: bool) -> Descent:
        """How a descent searches on this level."""
        return Descent(skip_gates, self.max_sweeps, self.enough)


LEVELS = (
    Level(samples=4096, bins=1024, starts=4, rounds=3, kicks=12, pair_moves=4, algorithm_1=True),
    Level(samples=65_536, bins=8192, keep=2),
    Level(samples=2**62, bins=2**16, max_sweeps=4, enough=1e-5, algorithm_1=True),
)
#: what all kicks of one round may take, in ticks of one expert and sample or bin: where there are few of these, there
#: are more kicks, as with few samples every single one of them makes a local minimum of its own
ROUND_EFFORT = 16_000_000
#: what a kick takes beside its samples, in the same ticks
KICK_EFFORT = 20_000
#: searches at once on the first level, at least: if there are few preferences, each is searched for several times
ISLANDS = 8


def search_levels(
    ranked: RankedRecords, preferences: Sequence[float], settings: SearchSettings, levels: Sequence[Level] = LEVELS
) -> Candidates:
    """Search for every preference, with each way in which the costs may be counted.

    Args:
        ranked: all M samples on the full grid.
        preferences: P of them, rising.
        settings: what holds for the whole search.
        levels: from the coarsest one to the last one, which is on all samples and the full grid.

    Returns:
        All policies that the last level came by, measured on all samples.
    """
    first, *others = (_search_view(view, preferences, settings, levels) for view in ranked.cost_views())
    for other in others:
        first.offer(one.cuts for one in other.distinct())
    if others:
        first.offer([_with_needed(ranked, cuts) for cuts in first.leaders(3)])
    return first


def _with_needed(ranked: RankedRecords, cuts: Cuts) -> Cuts:
    """The same policy, but every needed expert runs before the one that needs it, and answers no further sample."""
    repaired = cuts.copy()
    answers_none = ranked.n_cuts - 1 + ranked.top_allowed
    for i in np.flatnonzero(ranked.needs >= 0):
        j = ranked.needs[i]
        if cuts.exits[i] <= ranked.n_cuts:
            repaired.skips[j] = 0
            if cuts.exits[j] > ranked.n_cuts:
                repaired.exits[j] = answers_none[j]
    return repaired


def _search_view(
    ranked: RankedRecords, preferences: Sequence[float], settings: SearchSettings, levels: Sequence[Level]
) -> Candidates:
    """All levels, with one way of counting the costs."""
    m = ranked.shape[1]
    order = np.random.default_rng(settings.seed).permutation(m)
    candidates: Candidates | None = None
    found: list[Cuts] = []
    size = (0, -1)
    for number, level in enumerate(levels):
        shift = coarsening(ranked.n_cuts, level.bins)
        if size == (size := (min(m, level.samples), shift)):
            continue  # the level before was as fine as this one, and searched more widely
        whole = size == (m, 0)
        part = ranked if whole else ranked.samples(np.sort(order[: size[0]]), shift)
        candidates = Candidates(part, preferences, settings, m)
        candidates.offer(_regridded(cuts, ranked.n_cuts, part.n_cuts, -shift) for cuts in found)
        _search_level(candidates, level, number)
        found = [_regridded(cuts, part.n_cuts, ranked.n_cuts, shift) for cuts in candidates.leaders(3)]
    assert candidates is not None
    return candidates


def _search_level(candidates: Candidates, level: Level, number: int) -> None:
    count = len(candidates.problems)
    seed = [candidates.settings.seed, number]
    every = range(count)
    islands = [k % count for k in range(max(count, ISLANDS if level.kicks else 1))]
    if level.starts is not None:
        candidates.run([_from_starts(candidates, level, k, [*seed, task]) for task, k in enumerate(islands)])
    plain = [_algorithm_1(candidates, k) for k in every] if level.algorithm_1 else []
    # Algorithm 1 takes as long as a descent on all samples, so that one preference alone keeps two cores busy.
    found = candidates.run(plain + _from_best(candidates, level, islands, [*seed, 0]))
    for turn in range(1, level.rounds):
        candidates.run(_from_best(candidates, level, islands, [*seed, turn]))
    of_algorithm_1 = {candidates.known[cuts.key].cuts.key for some in found[: len(plain)] for cuts in some}
    unimproved = [k for k in every if candidates.best(k)[0].key in of_algorithm_1]
    candidates.run(_from_best(candidates, level, unimproved, [*seed, level.rounds]))
    if level.pair_moves:
        candidates.run([_pairs(candidates, level, k, cuts) for k in every for cuts in candidates.best(k, level.keep)])


def _from_starts(candidates: Candidates, level: Level, preference: int, seed: Sequence[int]) -> PreferenceSearch:
    """Descend from both ends and from random starts."""
    skip_gates = candidates.settings.skip_gates

    def search(problem: Problem, work: Workspace) -> Iterator[Cuts]:
        for cuts in starts(problem, np.random.default_rng(seed), level.starts or 0, skip_gates):
            problem.descend(cuts, work, level.descent(skip_gates))
            yield cuts

    return PreferenceSearch(preference, search)


def _algorithm_1(candidates: Candidates, preference: int) -> PreferenceSearch:
    """Algorithm 1."""
    skip_gates = candidates.settings.skip_gates
    return PreferenceSearch(preference, lambda problem, work: [algorithm_1(problem, work, skip_gates)])


def _from_best(
    candidates: Candidates, level: Level, preferences: Sequence[int], seed: Sequence[int]
) -> list[PreferenceSearch]:
    """Search around the best known policies of preferences, given by number."""
    descent = level.descent(candidates.settings.skip_gates)
    kicks = _kicks(candidates.ranked, level.kicks, len(preferences))
    best = {k: candidates.best(k, level.keep) for k in set(preferences)}

    def around(preference: int, start: Cuts, task: int) -> PreferenceSearch:
        def search(problem: Problem, work: Workspace) -> list[Cuts]:
            rng = np.random.default_rng([*seed, task])
            return [search_around(problem, start.copy(), work, descent, rng, kicks)]

        return PreferenceSearch(preference, search)

    tasks = [(k, cuts) for k in preferences for cuts in best[k]]
    return [around(k, cuts, task) for task, (k, cuts) in enumerate(tasks)]


def _kicks(ranked: RankedRecords, least: int, searches: int) -> int:
    """How many kicks each of so many searches makes, at least ``least`` unless that is 0."""
    n, m = ranked.shape
    affordable = ROUND_EFFORT // (max(1, searches) * (n * (m + ranked.n_cuts) + KICK_EFFORT))
    return max(least, affordable) if least else 0


def _pairs(candidates: Candidates, level: Level, preference: int, start: Cuts) -> PreferenceSearch:
    """Pair moves from a policy on."""

    def search(problem: Problem, work: Workspace) -> list[Cuts]:
        cuts = start.copy()
        pair_moves(problem, cuts, work, candidates.settings.skip_gates, level.pair_moves)
        return [cuts]

    return PreferenceSearch(preference, search)


def _regridded(cuts: Cuts, bins: int, new_bins: int, shift: int) -> Cuts:
    """Cuts on a grid that is 2 ** shift times finer, or coarser if shift is negative."""

    def move(old: np.ndarray) -> np.ndarray:
        new = np.minimum(old << shift if shift > 0 else old >> -shift, new_bins)
        return np.where(old > bins, new_bins + 1, np.where(old == bins, new_bins, new)).astype(np.int32)

    return Cuts(move(cuts.exits), move(cuts.skips))
