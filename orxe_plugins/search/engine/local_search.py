"""Local search for one preference: where to start, how to descend, how to get out of a local minimum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orxe_plugins.search.engine.integer_problem import Workspace
from orxe_plugins.search.engine.pair_pass import PairSettings, pair_pass
from orxe_plugins.search.engine.pairs import NONE, OFF, SKIP
from orxe_plugins.search.engine.problem import Cuts, Descent, Problem, coarsening

#: bins of the grid that pair moves work on, of at most so many samples, and of more
FINE_BINS, FEW_SAMPLES = 128, 1024
PAIR_BINS = 32
#: how many enabled experts may lie between the two of a pair
PAIR_WINDOW = 2


def starts(problem: Problem, rng: np.random.Generator, count: int, skip_gates: bool) -> Iterator[Cuts]:
    """Both plain ends, then ``count`` random starts.

    Random thresholds alone end in poor minima. Two kinds of starts do well on recorded and made-up
    data: all samples exit at the first of a random set of experts (best where cost counts), and one
    common threshold for a random set (best where performance counts).
    """
    yield from problem.both_ends()
    n = problem.n_experts
    for k in range(count):
        on = problem.integer.allowed & (rng.random(n) < rng.choice([0.2, 0.35, 0.5, 0.8]))
        common = 0 if k % 2 == 0 else int(rng.integers(0, problem.integer.n_cuts))
        exits = np.where(on, common, problem.never).astype(np.int32)
        exits[-1] = 0
        skips = np.zeros(n, dtype=np.int32)
        if skip_gates and common:
            skips[on] = rng.integers(0, common + 1, int(on.sum()))
            skips[-1] = 0
        yield Cuts(exits, skips)


def kicked(problem: Problem, cuts: Cuts, rng: np.random.Generator, skip_gates: bool) -> Cuts:
    """A copy with one to three experts switched off, switched on, or given other thresholds."""
    moved = cuts.copy()
    n, bins = problem.n_experts, problem.integer.n_cuts
    for i in rng.choice(n - 1, min(n - 1, int(rng.integers(1, 4))), replace=False):
        on = moved.exits[i] < problem.never
        if on and rng.random() < 0.5:
            moved.exits[i], moved.skips[i] = problem.never, 0
        elif on or problem.integer.allowed[i]:
            # An expert that answers no sample can be of use: its confidence decides which samples skip later experts.
            answers_none = problem.integer.top_allowed[i] and rng.random() < 0.1
            moved.exits[i] = bins if answers_none else rng.integers(0, bins)
            moved.skips[i] = rng.integers(0, bins) if skip_gates and rng.random() < 0.5 else 0
    return moved


def search_around(
    problem: Problem, cuts: Cuts, work: Workspace, descent: Descent, rng: np.random.Generator, kicks: int
) -> Cuts:
    """Iterated local search: descend; then kick, descend, and keep what is better, ``kicks`` times."""
    best = problem.descend(cuts, work, descent)
    for _ in range(kicks):
        tried = kicked(problem, cuts, rng, descent.skip_gates)
        total = problem.descend(tried, work, descent)
        if total < best:
            best, cuts = total, tried
    return cuts


def pair_moves(problem: Problem, cuts: Cuts, work: Workspace, skip_gates: bool, max_moves: int = 20) -> int:
    """Set two or three thresholds at once as long as that helps, in place; returns the objective in ticks."""
    few = problem.integer.rank.shape[1] <= FEW_SAMPLES
    shift = coarsening(problem.integer.n_cuts, FINE_BINS if few else PAIR_BINS)
    settings = PairSettings(skip_gates, shift, PAIR_WINDOW)
    choice = np.zeros(9, dtype=np.int64)
    descent = Descent(skip_gates)
    total = problem.descend(cuts, work, descent)
    for _ in range(max_moves):
        gain, _ = pair_pass(problem.integer, work, cuts, settings, choice)
        if gain <= 0:
            break
        for expert, kind, cut in choice.reshape(3, 3).tolist():
            if kind != NONE and cut == OFF:
                cuts.exits[expert], cuts.skips[expert] = problem.never, 0
            elif kind != NONE:
                (cuts.skips if kind == SKIP else cuts.exits)[expert] = cut
        total = problem.descend(cuts, work, descent)
    return total
