"""The search over all preferences: wide on few samples, then ever narrower on more of them.

On a sub-sample a descent takes milliseconds, so that many starts and kicks can be tried; the best few are
polished on a larger one, and the best of those on all samples. What one preference finds is
offered to all the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.search.engine.algorithm_1 import algorithm_1
from orxe_plugins.search.engine.candidates import Candidates, Job, Settings
from orxe_plugins.search.engine.kernels import Work
from orxe_plugins.search.engine.local_search import pair_moves, search_around, starts
from orxe_plugins.search.engine.problem import Cuts, Problem, Samples, coarsening


@dataclass(frozen=True)
class Rung:
    """How one step of the ladder searches.

    Attributes:
        samples: at most that many.
        bins: at most that many bins of the grid.
        starts: random starts for each preference, beside both ends and Algorithm 1; None: no start.
        keep: how many of the best known policies each preference goes on from.
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


LADDER = (
    Rung(samples=4096, bins=1024, starts=4, rounds=3, kicks=12, pair_moves=4, algorithm_1=True),
    Rung(samples=65_536, bins=8192, keep=2),
    Rung(samples=2**62, bins=2**16, max_sweeps=4, enough=1e-5, algorithm_1=True),
)
#: what all kicks of one round may take, in ticks of one expert and sample or bin: where there are few of these, there
#: are more kicks, for with few samples every single one of them makes a local minimum of its own
ROUND_EFFORT = 16_000_000
#: what a kick takes beside its samples, in the same ticks
KICK_EFFORT = 20_000
#: searches at once on the lowest rung, at least: a few preferences are searched for several times over
ISLANDS = 8


def climb(
    samples: Samples, preferences: Sequence[float], settings: Settings, ladder: Sequence[Rung] = LADDER
) -> Candidates:
    """Search for every preference, in each view of the costs.

    Args:
        samples: all M samples on the full grid.
        preferences: P of them, rising.
        settings: see :class:`Settings`.
        ladder: the steps, the last one on all samples and the full grid.

    Returns:
        All policies that the last step came by, measured on all samples.
    """
    first, *others = (_climb(view, preferences, settings, ladder) for view in samples.views())
    for other in others:
        first.offer(one.cuts for one in other.distinct())
    if others:
        first.offer([_with_needed(samples, cuts) for cuts in first.leaders(3)])
    return first


def _with_needed(samples: Samples, cuts: Cuts) -> Cuts:
    """The same policy, but every needed expert runs before the one that needs it, and answers nobody anew."""
    repaired = cuts.copy()
    nobody = samples.n_cuts - 1 + samples.top_allowed
    for i in np.flatnonzero(samples.needs >= 0):
        j = samples.needs[i]
        if cuts.exits[i] <= samples.n_cuts:
            repaired.skips[j] = 0
            if cuts.exits[j] > samples.n_cuts:
                repaired.exits[j] = nobody[j]
    return repaired


def _climb(samples: Samples, preferences: Sequence[float], settings: Settings, ladder: Sequence[Rung]) -> Candidates:
    m = samples.shape[1]
    order = np.random.default_rng(settings.seed).permutation(m)
    candidates: Candidates | None = None
    above: list[Cuts] = []
    size = (0, -1)
    for number, rung in enumerate(ladder):
        shift = coarsening(samples.n_cuts, rung.bins)
        if size == (size := (min(m, rung.samples), shift)):
            continue  # the rung below was this one already, and searched more widely
        whole = size == (m, 0)
        part = samples if whole else samples.some(np.sort(order[: size[0]]), shift)
        candidates = Candidates(part, preferences, settings, m)
        candidates.offer(_shifted(cuts, samples.n_cuts, part.n_cuts, -shift) for cuts in above)
        _search(candidates, rung, number)
        above = [_shifted(cuts, part.n_cuts, samples.n_cuts, shift) for cuts in candidates.leaders(3)]
    assert candidates is not None
    return candidates


def _search(candidates: Candidates, rung: Rung, number: int) -> None:
    count = len(candidates.problems)
    seed = [candidates.settings.seed, number]
    everyone = range(count)
    islands = [k % count for k in range(max(count, ISLANDS if rung.kicks else 1))]
    if rung.starts is not None:
        candidates.map([_begin(candidates, rung, k, [*seed, task]) for task, k in enumerate(islands)])
    plain = [_plain(candidates, k) for k in everyone] if rung.algorithm_1 else []
    # Algorithm 1 is as long as a descent on all samples, so that one preference alone keeps two cores busy.
    found = candidates.map(plain + _go_on(candidates, rung, islands, [*seed, 0]))
    for turn in range(1, rung.rounds):
        candidates.map(_go_on(candidates, rung, islands, [*seed, turn]))
    steepest = {candidates.known[cuts.key].cuts.key for some in found[: len(plain)] for cuts in some}
    still = [k for k in everyone if candidates.best(k)[0].key in steepest]
    candidates.map(_go_on(candidates, rung, still, [*seed, rung.rounds]))
    if rung.pair_moves:
        candidates.map([_pairs(candidates, rung, k, cuts) for k in everyone for cuts in candidates.best(k, rung.keep)])


def _begin(candidates: Candidates, rung: Rung, preference: int, seed: Sequence[int]) -> Job:
    """Descend from both ends and from random starts."""
    skip_gates = candidates.settings.skip_gates

    def search(problem: Problem, work: Work) -> Iterator[Cuts]:
        for cuts in starts(problem, np.random.default_rng(seed), rung.starts or 0, skip_gates):
            problem.descend(cuts, work, skip_gates, rung.max_sweeps, rung.enough)
            yield cuts

    return Job(preference, search)


def _plain(candidates: Candidates, preference: int) -> Job:
    """Algorithm 1."""
    return Job(preference, lambda problem, work: [algorithm_1(problem, work, candidates.settings.skip_gates)])


def _go_on(candidates: Candidates, rung: Rung, preferences: Sequence[int], seed: Sequence[int]) -> list[Job]:
    """Search around the best known policies of preferences, given by number."""
    skip_gates = candidates.settings.skip_gates
    kicks = _kicks(candidates.samples, rung.kicks, len(preferences))
    best = {k: candidates.best(k, rung.keep) for k in set(preferences)}

    def around(preference: int, start: Cuts, task: int) -> Job:
        def search(problem: Problem, work: Work) -> list[Cuts]:
            rng = np.random.default_rng([*seed, task])
            cuts = start.copy()
            return [search_around(problem, cuts, work, rng, kicks, skip_gates, rung.max_sweeps, rung.enough)]

        return Job(preference, search)

    tasks = [(k, cuts) for k in preferences for cuts in best[k]]
    return [around(k, cuts, task) for task, (k, cuts) in enumerate(tasks)]


def _kicks(samples: Samples, least: int, searches: int) -> int:
    """How many kicks each of so many searches makes, at least ``least`` unless that is 0."""
    n, m = samples.shape
    affordable = ROUND_EFFORT // (max(1, searches) * (n * (m + samples.n_cuts) + KICK_EFFORT))
    return max(least, affordable) if least else 0


def _pairs(candidates: Candidates, rung: Rung, preference: int, start: Cuts) -> Job:
    """Pair moves from a policy on."""

    def search(problem: Problem, work: Work) -> list[Cuts]:
        cuts = start.copy()
        pair_moves(problem, cuts, work, candidates.settings.skip_gates, rung.pair_moves)
        return [cuts]

    return Job(preference, search)


def _shifted(cuts: Cuts, bins: int, new_bins: int, shift: int) -> Cuts:
    """Cuts on a grid that is 2 ** shift times finer, or coarser if shift is negative."""

    def move(old: np.ndarray) -> np.ndarray:
        new = np.minimum(old << shift if shift > 0 else old >> -shift, new_bins)
        return np.where(old > bins, new_bins + 1, np.where(old == bins, new_bins, new)).astype(np.int32)

    return Cuts(move(cuts.exits), move(cuts.skips))
