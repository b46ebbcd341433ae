"""Candidates: all policies that a search came by, measured on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from orxe_plugins.search.engine import kernels
from orxe_plugins.search.engine.objective import best_per_preference
from orxe_plugins.search.engine.problem import Cuts, Problem, Samples


@dataclass(frozen=True)
class Settings:
    """What holds for a whole search.

    Attributes:
        skip_gates: search gate 1 too.
        min_exits: fewest samples that an enabled expert must answer, of all M.
        alpha: what an enabled expert beside the last must win to be worth having, in right answers (in
            samples' losses of 1).
        beta: the same for a gate 1 that is in use.
        seed: of everything random.
        threads: how many; the result does not depend on it.
    """

    skip_gates: bool = True
    min_exits: int = 0
    alpha: float = 0.0
    beta: float = 0.0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy and what it does on the samples.

    Attributes:
        cuts: the policy.
        cost: mean cost over the reference cost, exact: needed experts are paid for too.
        loss: mean loss.
        penalty: price of the gates in use, in mean loss.
        legal: whether each expert that runs on any sample, beside the last of them, answers enough samples.
    """

    cuts: Cuts
    cost: float
    loss: float
    penalty: float
    legal: bool


@dataclass(frozen=True)
class Job:
    """One search for one preference.

    Attributes:
        preference: its number.
        search: takes its problem and memory to work in, and gives policies.
    """

    preference: int
    search: Callable[[Problem, kernels.Work], Iterable[Cuts]]


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
        self.alpha, self.beta = settings.alpha * share, settings.beta * share
        self.problems = [
            Problem.of(samples, p, alpha=self.alpha, beta=self.beta, min_exits=self.min_exits) for p in preferences
        ]
        self.known: dict[bytes, Candidate] = {}
        self._works: SimpleQueue[kernels.Work] = SimpleQueue()
        self._n_works = 0

    def map(self, jobs: Sequence[Job]) -> list[list[Cuts]]:
        """Do all jobs and keep what they find, which is returned too, for each of them."""
        count = max(1, min(self.settings.threads, len(jobs)))
        while self._n_works < count:
            self._works.put(self.problems[0].work())
            self._n_works += 1

        def do(job: Job) -> list[Cuts]:
            work = self._works.get()
            try:
                return list(job.search(self.problems[job.preference], work))
            finally:
                self._works.put(work)

        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(do, jobs))
        self.offer(cuts for some in found for cuts in some)
        return found

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
        cost, loss = np.array([(c.cost, c.loss + c.penalty) for c in candidates]).T
        legal = np.array([c.legal for c in candidates])
        preference = np.array([p.preference for p in self.problems])[:, None]
        return np.where(legal, (1 - preference) * cost + preference * loss, np.inf)

    def pick(self, preferences: Sequence[float]) -> list[Candidate]:
        """The best known policy for each preference; along rising ones, neither cost nor loss + penalty turns back."""
        legal = [c for c in self.distinct() if c.legal]
        cost, loss = np.array([(c.cost, c.loss + c.penalty) for c in legal]).T
        return [legal[k] for k in best_per_preference(cost, loss, preferences)]

    def _measure(self, cuts: Cuts) -> Candidate:
        """Cost and loss of a policy, in its plainest form: nothing is said of experts that nobody reaches."""
        s = self.samples
        ran, answered, asked = np.zeros((3, s.shape[0]), dtype=np.int64)
        total = kernels.tally(s.rank, s.loss, s.needs, cuts.exits, cuts.skips, s.n_cuts, ran, answered, asked)
        plain = cuts.copy()
        unused = ran == 0
        unused[-1] = False
        plain.exits[unused] = s.n_cuts + 1
        plain.skips[unused] = 0
        plain.skips[int(np.argmax(ran > 0))] = 0  # nobody has a confidence there
        gates, skips = np.count_nonzero(ran) - 1, np.count_nonzero(plain.skips)
        m = s.shape[1]
        cost = float((ran + asked) @ s.cost + answered @ s.shared_cost) / m
        penalty = float(self.alpha * gates + self.beta * skips) / m
        legal = bool((answered[:-1][ran[:-1] > 0] >= self.min_exits).all())
        return Candidate(plain, cost, total / m, penalty, legal)
