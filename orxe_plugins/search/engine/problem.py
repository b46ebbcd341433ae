"""One preference's search problem: records as ranks, costs and losses in whole ticks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from orxe_plugins.records import Records
from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.integer_problem import IntegerProblem, Workspace, new_workspace
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.settings import UNREGULARISED, Regulariser
from orxe_plugins.search.engine.tally import RoutingData


@dataclass(frozen=True, eq=False)
class RankedRecords:
    """Records in the form that the search works on (see ``integer_problem`` for the names and shapes).

    Attributes:
        rank: uint16 (N, M).
        loss: uint8 or float64 (N, M).
        n_cuts: number of bins of the ranks.
        top_allowed: bool (N,).
        cost, shared_cost: costs over the reference cost, float64 (N,).
        needs: expert that each one builds on, int32 (N,); -1 for none.
        run_cost: what the kernels count for running each expert, float64 (N,); see :meth:`cost_views`.
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
    def of(cls, records: Records, grid: Grid, objective: Objective) -> RankedRecords:
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

    @property
    def routing(self) -> RoutingData:
        """What samples are routed by."""
        return RoutingData(self.rank, self.loss, self.needs, self.n_cuts)

    def samples(self, index: np.ndarray, shift: int = 0) -> RankedRecords:
        """Some of the samples, on a grid that is 2 ** shift times coarser."""
        rank = np.ascontiguousarray(self.rank[:, index]) >> np.uint16(shift)
        loss = np.ascontiguousarray(self.loss[:, index])
        return replace(self, rank=rank, loss=loss, n_cuts=((self.n_cuts - 1) >> shift) + 1)

    def experts(self, index: Sequence[int]) -> RankedRecords:
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

    def cost_views(self) -> list[RankedRecords]:
        """The same samples with each way in which the kernels may count the costs.

        The kernels charge an expert where it runs, but not where a later one needs its answer and it did
        not run. Where experts need others, two more views enclose the truth: in one, needed experts run
        free of charge, as if every sample had paid for them anyway; in the other, experts pay for those that they need.
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


class Cuts(NamedTuple):
    """A policy as cuts on the grid (see ``kernels``).

    Attributes:
        exits: int32 (N,).
        skips: int32 (N,).
    """

    exits: np.ndarray
    skips: np.ndarray

    def copy(self) -> Cuts:
        """The same cuts in memory of their own."""
        return Cuts(self.exits.copy(), self.skips.copy())

    @property
    def key(self) -> bytes:
        """Equal for equal policies, and only for them."""
        return self.exits.tobytes() + self.skips.tobytes()


@dataclass(frozen=True)
class Descent:
    """How a descent searches.

    Attributes:
        skip_gates: search skip thresholds too.
        max_sweeps: sweeps over all thresholds, at most.
        enough: stop when a sweep improves the objective by no more than this share of it.
    """

    skip_gates: bool
    max_sweeps: int = 60
    enough: float = 0.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What one preference asks of some samples: all costs and losses, in ticks of the objective.

    Attributes:
        integer: the problem in the form that the kernels take.
        preference: what it is weighed by, moved off the very ends.
        ticks: how many ticks an objective of 1 is, per sample.
    """

    integer: IntegerProblem
    preference: float
    ticks: float

    @classmethod
    def of(
        cls,
        ranked: RankedRecords,
        preference: float,
        allowed: np.ndarray | None = None,
        regulariser: Regulariser = UNREGULARISED,
    ) -> Problem:
        """The problem of one preference.

        Args:
            ranked: the records.
            preference: between 0 and 1.
            allowed: bool (N,), experts that may be enabled; all by default.
            regulariser: as it is meant for these samples.
        """
        n, m = ranked.shape
        # At the ends one of the two terms has the weight 0; it still decides between equals.
        least = 1 / (50 * n * m)
        preference = min(max(preference, least), 1 - least)
        bound = ranked.run_cost.sum() + ranked.shared_cost[-1] + max(1.0, ranked.max_loss)
        ticks = float(2.0 ** min(40, np.floor(61 - np.log2(bound * m))))
        weight: float | int = float(np.rint(preference * ticks))
        integer = IntegerProblem(
            rank=ranked.rank,
            loss=ranked.loss,
            run_cost=np.rint((1 - preference) * ticks * ranked.run_cost).astype(np.int64),
            shared_cost=np.rint((1 - preference) * ticks * ranked.shared_cost).astype(np.int64),
            loss_weight=int(weight) if ranked.loss.dtype == np.uint8 else weight,
            exit_penalty=round(weight * regulariser.alpha),
            skip_penalty=round(weight * regulariser.beta),
            n_cuts=ranked.n_cuts,
            allowed=np.ones(n, dtype=bool) if allowed is None else allowed,
            top_allowed=ranked.top_allowed,
            min_exits=regulariser.min_exits,
        )
        return cls(integer, preference, ticks)

    @property
    def n_experts(self) -> int:
        """Number of experts N."""
        return self.integer.rank.shape[0]

    @property
    def never(self) -> int:
        """The exit cut that disables an expert."""
        return self.integer.n_cuts + 1

    @property
    def scale(self) -> float:
        """Ticks of the mean objective: what totals over all samples are divided by."""
        return self.ticks * self.integer.rank.shape[1]

    def workspace(self) -> Workspace:
        """Memory for the kernels; one for each thread."""
        n_experts, n_samples = self.integer.rank.shape
        return new_workspace(n_experts, n_samples, self.integer.n_cuts)

    def both_ends(self) -> list[Cuts]:
        """The two plain starts: all samples go to the last expert, and all exit at the first."""
        n = self.n_experts
        to_last = np.full(n, self.never, dtype=np.int32)
        to_last[-1] = 0
        # Where the first expert is not allowed, the first allowed one takes its place.
        at_first = np.where(self.integer.allowed, 0, self.never).astype(np.int32)
        at_first[-1] = 0
        return [Cuts(exits, np.zeros(n, dtype=np.int32)) for exits in (to_last, at_first)]

    def sweep(
        self, cuts: Cuts, work: Workspace, *, exits: bool = True, skips: bool = True, adopt: bool = True
    ) -> tuple[int, int, kernels.SweepGains]:
        """One pass of :func:`kernels.sweep`: the objective before, the gain that was adopted, and all gains."""
        n = self.n_experts
        gain, cut = np.zeros((2, 2, n), dtype=np.int64)
        gains = kernels.SweepGains(gain, cut, np.zeros(n, dtype=np.int64))
        mode = kernels.SweepMode(exits, skips, adopt)
        before, adopted = kernels.sweep(self.integer, work, cuts, mode, gains)
        return int(before), int(adopted), gains

    def descend(self, cuts: Cuts, work: Workspace, descent: Descent) -> int:
        """Sweep over all thresholds, in place, until nothing improves; returns the objective in ticks.

        Args:
            cuts: where to start; changed in place.
            work: memory.
            descent: how to search.
        """
        total = 0
        for _ in range(descent.max_sweeps):
            before, gained, _ = self.sweep(cuts, work, skips=descent.skip_gates)
            total = before - gained
            if gained <= descent.enough * abs(total):
                break
        return total


def coarsening(n_cuts: int, bins: int) -> int:
    """By how many bits ranks must be shifted to leave at most ``bins`` bins."""
    return max(0, int(np.ceil(np.log2(max(1.0, n_cuts / bins)))))


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
