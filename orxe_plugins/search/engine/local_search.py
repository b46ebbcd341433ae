"""Local search for one preference: where to start, how to descend, how to get out of a local minimum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orxe_plugins.search.engine import pairs
from orxe_plugins.search.engine.kernels import Work
from orxe_plugins.search.engine.problem import Cuts, Problem, coarsening

#: levels of the grid that pair moves work on, of at most so many samples, and of more
FINE_LEVELS, FEW_SAMPLES = 128, 1024
PAIR_LEVELS = 32
#: how many enabled experts may lie between the two of a pair
PAIR_WINDOW = 2


def starts(problem: Problem, rng: np.random.Generator, count: int, skip_gates: bool) -> Iterator[Cuts]:
    """Both plain ends, then ``count`` random starts.

    Random thresholds alone end in poor minima. Two kinds of starts do well on recorded and made-up
    data: everybody exits at the first of a random set of experts (best where cost counts), and one
    common threshold for a random set (best where performance counts).
    """
    yield from problem.both_ends()
    n = problem.n_experts
    for k in range(count):
        on = problem.task.allowed & (rng.random(n) < rng.choice([0.2, 0.35, 0.5, 0.8]))
        common = 0 if k % 2 == 0 else int(rng.integers(0, problem.task.n_cuts))
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
    n, bins = problem.n_experts, problem.task.n_cuts
    for i in rng.choice(n - 1, min(n - 1, int(rng.integers(1, 4))), replace=False):
        on = moved.exits[i] < problem.never
        if on and rng.random() < 0.5:
            moved.exits[i], moved.skips[i] = problem.never, 0
        elif on or problem.task.allowed[i]:
            # One that answers nobody is of use as a judge of who may skip later experts.
            judge = problem.task.top_allowed[i] and rng.random() < 0.1
            moved.exits[i] = bins if judge else rng.integers(0, bins)
            moved.skips[i] = rng.integers(0, bins) if skip_gates and rng.random() < 0.5 else 0
    return moved


def search_around(
    problem: Problem,
    cuts: Cuts,
    work: Work,
    rng: np.random.Generator,
    kicks: int,
    skip_gates: bool,
    max_sweeps: int = 60,
    enough: float = 0.0,
) -> Cuts:
    """Iterated local search: descend; then kick, descend, and keep what is better."""
    best = problem.descend(cuts, work, skip_gates, max_sweeps, enough)
    for _ in range(kicks):
        tried = kicked(problem, cuts, rng, skip_gates)
        total = problem.descend(tried, work, skip_gates, max_sweeps, enough)
        if total < best:
            best, cuts = total, tried
    return cuts


def pair_moves(problem: Problem, cuts: Cuts, work: Work, skip_gates: bool, max_moves: int = 20) -> int:
    """Set two or three thresholds at once as long as that helps, in place; returns the objective in ticks."""
    few = problem.task.rank.shape[1] <= FEW_SAMPLES
    shift = coarsening(problem.task.n_cuts, FINE_LEVELS if few else PAIR_LEVELS)
    choice = np.zeros(9, dtype=np.int64)
    total = problem.descend(cuts, work, skip_gates)
    for _ in range(max_moves):
        gain, _ = pairs.pair_pass(problem.task, work, cuts.exits, cuts.skips, skip_gates, shift, PAIR_WINDOW, choice)
        if gain <= 0:
            break
        for expert, gate, cut in choice.reshape(3, 3).tolist():
            if gate and cut == pairs.OFF:
                cuts.exits[expert], cuts.skips[expert] = problem.never, 0
            elif gate:
                (cuts.skips if gate == 1 else cuts.exits)[expert] = cut
        total = problem.descend(cuts, work, skip_gates)
    return total
