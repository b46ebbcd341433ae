"""Candidates: all policies that a search came by, measured on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from orxe_plugins.search.engine.integer_problem import Workspace
from orxe_plugins.search.engine.objective import best_per_preference
from orxe_plugins.search.engine.problem import Cuts, Problem, RankedRecords
from orxe_plugins.search.engine.settings import SearchSettings
from orxe_plugins.search.engine.tally import count_into, new_tally


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy, measured on the samples.

    Attributes:
        cuts: the policy.
        cost: mean cost over the reference cost, exact: the costs of needed experts are in it too.
        loss: mean loss.
        penalty: of the regulariser for the thresholds in use, in mean loss.
        legal: whether each expert that runs on any sample, except for the last of them, answers enough samples.
    """

    cuts: Cuts
    cost: float
    loss: float
    penalty: float
    legal: bool


@dataclass(frozen=True)
class PreferenceSearch:
    """One search for one preference.

    Attributes:
        preference: its number.
        search: takes its problem and memory to work in, and gives policies.
    """

    preference: int
    search: Callable[[Problem, Workspace], Iterable[Cuts]]


class Candidates:
    """The problems of P preferences on the same M samples, and the policies that are known for them.

    Args:
        ranked: the records.
        preferences: P of them.
        settings: what holds for the whole search.
        n_all: how many samples there are in all, where these are a part of them.
    """

    def __init__(
        self, ranked: RankedRecords, preferences: Sequence[float], settings: SearchSettings, n_all: int
    ) -> None:
        self.ranked = ranked
        self.settings = settings
        self.regulariser = settings.regulariser.scaled(ranked.shape[1] / n_all)
        self.problems = [Problem.of(ranked, p, regulariser=self.regulariser) for p in preferences]
        self.known: dict[bytes, Candidate] = {}
        self._workspaces: SimpleQueue[Workspace] = SimpleQueue()
        self._n_workspaces = 0

    def run(self, searches: Sequence[PreferenceSearch]) -> list[list[Cuts]]:
        """Run all searches and keep what they find, which is returned too, for each of them."""
        count = max(1, min(self.settings.threads, len(searches)))
        while self._n_workspaces < count:
            self._workspaces.put(self.problems[0].workspace())
            self._n_workspaces += 1

        def one(search: PreferenceSearch) -> list[Cuts]:
            work = self._workspaces.get()
            try:
                return list(search.search(self.problems[search.preference], work))
            finally:
                self._workspaces.put(work)

        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(one, searches))
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
        """The best known policy for each preference; along rising ones, the cost never falls and loss + penalty never
        rises."""
        legal = [c for c in self.distinct() if c.legal]
        cost, loss = np.array([(c.cost, c.loss + c.penalty) for c in legal]).T
        return [legal[k] for k in best_per_preference(cost, loss, preferences)]

    def _measure(self, cuts: Cuts) -> Candidate:
        """Cost and loss of a policy, in its plainest form: experts that no sample reaches are disabled."""
        ranked = self.ranked
        n, m = ranked.shape
        tally = new_tally(n)
        total = count_into(tally, ranked.routing, cuts)
        plain = cuts.copy()
        unused = tally.ran == 0
        unused[-1] = False
        plain.exits[unused] = ranked.n_cuts + 1
        plain.skips[unused] = 0
        plain.skips[int(np.argmax(tally.ran > 0))] = 0  # there is no confidence yet that could be compared with it
        n_exits, n_skips = np.count_nonzero(tally.ran) - 1, np.count_nonzero(plain.skips)
        cost = float((tally.ran + tally.needed) @ ranked.cost + tally.answered @ ranked.shared_cost) / m
        penalty = float(self.regulariser.alpha * n_exits + self.regulariser.beta * n_skips) / m
        answered = tally.answered[:-1][tally.ran[:-1] > 0]
        legal = bool((answered >= self.regulariser.min_exits).all())
        return Candidate(plain, cost, total / m, penalty, legal)
