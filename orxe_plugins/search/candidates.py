"""Candidates: all policies that a search came by, measured on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from orxe_plugins.search import kernels
from orxe_plugins.search.problem import Cuts, Problem, Samples


@dataclass(frozen=True)
class Settings:
    """What holds for a whole search.

    Attributes:
        skip_gates: search gate 1 too.
        gate_samples: samples that a gate must win to be worth having.
        min_exits: fewest samples that an enabled expert must answer, of all M.
        seed: of everything random.
        threads: how many; the result does not depend on it.
    """

    skip_gates: bool = True
    gate_samples: float = 0.0
    min_exits: int = 0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy and what it does on the samples.

    Attributes:
        cuts: the policy.
        cost: mean cost over the reference cost.
        loss: mean loss.
        gates: number of experts that run on any sample, beside the last of them.
        legal: whether each of those answers enough samples.
    """

    cuts: Cuts
    cost: float
    loss: float
    gates: int
    legal: bool


class Candidates:
    """The problems of P preferences on the same M samples, and the policies that are known for them.

    Args:
        samples: the records.
        preferences: P of them.
        settings: see :class:`Settings`.
        n_all: how many samples there are in all, where these are a part of them.
    """

    def __init__(self, samples: Samples, preferences: Sequence[float], settings: Settings, n_all: int) -> None:
        share = samples.shape[1] / n_all
        self.samples = samples
        self.settings = settings
        self.min_exits = int(np.ceil(settings.min_exits * share))
        self.problems = [
            Problem.of(samples, p, gate_samples=settings.gate_samples * share, min_exits=self.min_exits)
            for p in preferences
        ]
        self.known: dict[bytes, Candidate] = {}
        self._works: SimpleQueue[kernels.Work] = SimpleQueue()
        self._n_works = 0

    def map(self, function: Callable[[Problem, kernels.Work, int], Iterable[Cuts]], tasks: Sequence[int]) -> None:
        """Run ``function(problem, memory, task number)`` for preferences, given by number, and keep what it finds."""
        count = min(self.settings.threads, len(tasks))
        while self._n_works < count:
            self._works.put(self.problems[0].work())
            self._n_works += 1

        def run(number: int) -> list[Cuts]:
            work = self._works.get()
            try:
                return list(function(self.problems[tasks[number]], work, number))
            finally:
                self._works.put(work)

        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(run, range(len(tasks))))
        self.offer(cuts for some in found for cuts in some)

    def offer(self, policies: Iterable[Cuts]) -> None:
        """Measure policies that are not known yet and keep them."""
        new = {cuts.key: cuts for cuts in policies if cuts.key not in self.known}
        with ThreadPoolExecutor(self.settings.threads) as pool:
            for key, candidate in zip(new, pool.map(self._measure, new.values()), strict=True):
                self.known[key] = candidate
                self.known.setdefault(candidate.cuts.key, candidate)

    def best(self, preference: int, count: int = 1) -> list[Cuts]:
        """The best ``count`` known policies for a preference, given by its number."""
        distinct = self.distinct()
        value = self.objectives(distinct)[preference]
        return [distinct[k].cuts.copy() for k in np.argsort(value, kind="stable")[:count]]

    def leaders(self, count: int) -> list[Cuts]:
        """All policies that are among the best ``count`` of any preference."""
        distinct = self.distinct()
        order = np.argsort(self.objectives(distinct), axis=1, kind="stable")[:, :count]
        return [distinct[k].cuts for k in dict.fromkeys(order.ravel().tolist())]

    def distinct(self) -> list[Candidate]:
        """All known policies, in the order in which they came."""
        return list({id(one): one for one in self.known.values()}.values())

    def objectives(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Objective of each preference and candidate, (P, K); infinite where one is not legal."""
        cost, loss, gates = np.array([(c.cost, c.loss, c.gates) for c in candidates]).T
        legal = np.array([c.legal for c in candidates])
        preference = np.array([p.preference for p in self.problems])[:, None]
        gate = np.array([p.task.gate_price / p.scale for p in self.problems])[:, None]
        return np.where(legal, (1 - preference) * cost + preference * loss + gate * gates, np.inf)

    def _measure(self, cuts: Cuts) -> Candidate:
        """Cost and loss of a policy, in its plainest form: nothing is said of experts that nobody reaches."""
        s = self.samples
        ran, answered = np.zeros((2, s.shape[0]), dtype=np.int64)
        total = kernels.tally(s.rank, s.loss, cuts.exits, cuts.skips, s.n_cuts, ran, answered)
        plain = cuts.copy()
        unused = ran == 0
        unused[-1] = False
        plain.exits[unused] = s.n_cuts + 1
        plain.skips[unused] = 0
        plain.skips[int(np.argmax(ran > 0))] = 0  # nobody has a confidence there
        gates = int(np.count_nonzero(ran)) - 1
        m = s.shape[1]
        legal = bool((answered[:-1][ran[:-1] > 0] >= self.min_exits).all())
        return Candidate(plain, float(ran @ s.cost + answered @ s.passing) / m, total / m, gates, legal)
