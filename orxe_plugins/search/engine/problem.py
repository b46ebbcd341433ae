"""One preference's search problem: records as ranks, prices in whole ticks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from orxe_plugins.records.records import Records
from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.objective import Objective


@dataclass(frozen=True, eq=False)
class Samples:
    """Records as the kernels read them (see ``kernels`` for the names and shapes).

    Attributes:
        rank: uint16 (N, M).
        loss: uint8 or float64 (N, M).
        n_cuts: number of bins of the ranks.
        top_allowed: bool (N,).
        cost, shared_cost: costs over the reference cost, float64 (N,).
        needs: expert that each one builds on, int32 (N,); -1 for none.
        run_cost: what the kernels count for running each expert, float64 (N,); see :meth:`views`.
    """

    rank: np.ndarray
    loss: np.ndarray
    n_cuts: int
    top_allowed: np.ndarray
    cost: np.ndarray
    shared_cost: np.ndarray
    needs: np.ndarray
    run_cost: np.ndarray

    @classmethod
    def of(cls, records: Records, grid: Grid, objective: Objective) -> Samples:
        """All samples of some records."""
        reference = objective.reference_cost
        return cls(
            rank=grid.rank,
            loss=objective.losses(records.score),
            n_cuts=grid.n_cuts,
            top_allowed=grid.top_allowed,
            cost=records.cost / reference,
            shared_cost=records.shared_cost / reference,
            needs=np.array(records.needs, dtype=np.int32),
            run_cost=records.cost / reference,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return self.rank.shape[0], self.rank.shape[1]

    def some(self, index: np.ndarray, shift: int = 0) -> Samples:
        """Some samples, on a grid that is 2 ** shift times coarser."""
        rank = np.ascontiguousarray(self.rank[:, index]) >> np.uint16(shift)
        loss = np.ascontiguousarray(self.loss[:, index])
        return replace(self, rank=rank, loss=loss, n_cuts=((self.n_cuts - 1) >> shift) + 1)

    def experts(self, index: Sequence[int]) -> Samples:
        """The same samples with some of the experts; the last of them always answers."""
        rows = np.asarray(index)
        return replace(
            self,
            rank=self.rank[rows],
            loss=self.loss[rows],
            top_allowed=self.top_allowed[rows],
            cost=self.cost[rows],
            shared_cost=self.shared_cost[rows],
            needs=np.full(len(rows), -1, dtype=np.int32),
            run_cost=self.run_cost[rows],
        )

    def views(self) -> list[Samples]:
        """The same samples in each way in which the kernels should see the costs.

        The kernels charge an expert where it runs, but not where a later one needs its answer and it did
        not run. Where experts need others, two more views enclose the truth: needed experts run for
        nothing, as if every sample had paid for them anyway; and experts pay for those that they need.
        """
        needing = np.flatnonzero(self.needs >= 0)
        if not len(needing):
            return [self]
        free, charged = self.cost.copy(), self.cost.copy()
        free[self.needs[needing]] = 0
        charged[needing] += self.cost[self.needs[needing]]
        return [self, replace(self, run_cost=free), replace(self, run_cost=charged)]

    @cached_property
    def max_loss(self) -> float:
        """The greatest loss, or gain, of one answer."""
        return float(max(self.loss.max(), -self.loss.min(initial=0)))


@dataclass(frozen=True, eq=False)
class Cuts:
    """A policy as cuts on the grid (see ``kernels``).

    Attributes:
        exits: gate 2, int32 (N,).
        skips: gate 1, int32 (N,).
    """

    exits: np.ndarray
    skips: np.ndarray

    def copy(self) -> Cuts:
        """Cuts of its own memory."""
        return Cuts(self.exits.copy(), self.skips.copy())

    @property
    def key(self) -> bytes:
        """What tells policies apart."""
        return self.exits.tobytes() + self.skips.tobytes()


@dataclass(frozen=True, eq=False)
class Problem:
    """What one preference asks of some samples: prices of everything, in ticks of the objective.

    Attributes:
        task: the prices, as the kernels take them.
        preference: what they stand for, moved off the very ends.
        ticks: how many ticks an objective of 1 is, per sample.
    """

    task: kernels.Task
    preference: float
    ticks: float

    @classmethod
    def of(
        cls,
        samples: Samples,
        preference: float,
        allowed: np.ndarray | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
        min_exits: int = 0,
    ) -> Problem:
        """The problem of one preference.

        Args:
            samples: the records.
            preference: between 0 and 1.
            allowed: bool (N,), experts that may be enabled; all by default.
            alpha, beta: prices of a gate 2 and a gate 1, in answers; see ``candidates.Settings``.
            min_exits: fewest samples that an enabled expert must answer.
        """
        n, m = samples.shape
        # At the ends one of the two terms is worth nothing; it still decides between equals.
        least = 1 / (50 * n * m)
        preference = min(max(preference, least), 1 - least)
        bound = samples.run_cost.sum() + samples.shared_cost[-1] + max(1.0, samples.max_loss)
        ticks = float(2.0 ** min(40, np.floor(61 - np.log2(bound * m))))
        run = np.rint((1 - preference) * ticks * samples.run_cost).astype(np.int64)
        passed = np.rint((1 - preference) * ticks * samples.shared_cost).astype(np.int64)
        weight: float | int = float(np.rint(preference * ticks))
        gate_price, skip_price = round(weight * alpha), round(weight * beta)
        if samples.loss.dtype == np.uint8:
            weight = int(weight)
        everyone = np.ones(n, dtype=bool) if allowed is None else allowed
        task = kernels.Task(
            samples.rank, samples.loss, run, passed, weight, gate_price, skip_price,
            samples.n_cuts, everyone, samples.top_allowed, min_exits,
        )  # fmt: skip
        return cls(task, preference, ticks)

    @property
    def n_experts(self) -> int:
        """Number of experts N."""
        return self.task.rank.shape[0]

    @property
    def never(self) -> int:
        """The exit cut that disables an expert."""
        return self.task.n_cuts + 1

    @property
    def scale(self) -> float:
        """Ticks of the mean objective: what totals over all samples are divided by."""
        return self.ticks * self.task.rank.shape[1]

    def work(self) -> kernels.Work:
        """Memory for the kernels; one for each thread."""
        n_experts, n_samples = self.task.rank.shape
        return kernels.work_for(n_experts, n_samples, self.task.n_cuts)

    def only(self, allowed: np.ndarray) -> Problem:
        """The same problem where only some experts may be enabled anew, bool (N,)."""
        return replace(self, task=self.task._replace(allowed=allowed))

    def both_ends(self) -> list[Cuts]:
        """The two plain starts: all to the last, and all exit at the first."""
        n = self.n_experts
        to_last = np.full(n, self.never, dtype=np.int32)
        to_last[-1] = 0
        # Where the first expert is barred, the first that is not takes its place.
        at_first = np.where(self.task.allowed, 0, self.never).astype(np.int32)
        at_first[-1] = 0
        return [Cuts(exits, np.zeros(n, dtype=np.int32)) for exits in (to_last, at_first)]

    def what_if(self, cuts: Cuts) -> tuple[np.ndarray, np.ndarray]:
        """What each expert is worth to a policy, in ticks, int64 (N,) both.

        Returns:
            What the best exit cut at each expert alone would gain, and what disabling it would lose.
        """
        _, _, gain, _, lose = self.sweep(cuts, self.work(), gate1=False, adopt=False)
        return gain[0], lose

    def sweep(
        self, cuts: Cuts, work: kernels.Work, gate1: bool, *, gate2: bool = True, adopt: bool = True
    ) -> tuple[int, int, np.ndarray, np.ndarray, np.ndarray]:
        """One pass of :func:`kernels.sweep`: objective before, gain adopted, then its three arrays."""
        gain, cut = np.zeros((2, 2, self.n_experts), dtype=np.int64)
        lose = np.zeros(self.n_experts, dtype=np.int64)
        before, adopted = kernels.sweep(self.task, work, cuts.exits, cuts.skips, gate2, gate1, adopt, gain, cut, lose)
        return int(before), int(adopted), gain, cut, lose

    def descend(
        self, cuts: Cuts, work: kernels.Work, skip_gates: bool, max_sweeps: int = 60, enough: float = 0.0
    ) -> int:
        """Sweep over all thresholds, in place, until nothing improves; returns the objective in ticks.

        Args:
            cuts: where to start; changed in place.
            work: memory.
            skip_gates: search gate 1 too.
            max_sweeps: at most that many.
            enough: stop when a sweep improves the objective by no more than this share of it.
        """
        total = 0
        for _ in range(max_sweeps):
            before, gained = self.sweep(cuts, work, skip_gates)[:2]
            total = before - gained
            if gained <= enough * abs(total):
                break
        return total


def coarsening(n_cuts: int, bins: int) -> int:
    """By how many bits ranks must be shifted to leave at most ``bins`` bins."""
    return max(0, int(np.ceil(np.log2(max(1.0, n_cuts / bins)))))


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
