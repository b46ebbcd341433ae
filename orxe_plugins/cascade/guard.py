"""BudgetGuard: keeps the mean cost of a cascade within a budget when its inputs get harder."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.faults import check_on_error
from orxe_plugins.cascade.routing import Route, route_batch
from orxe_plugins.cascade.stream_answer import check_seconds
from orxe_plugins.cascade.tolerant import route_tolerant
from orxe_plugins.cost.sharing import positions_of
from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.forecast import PathCosts, expected_cost
from orxe_plugins.policies.ledger import Ledger
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.selection import check_number
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.wording import plain

#: a policy that is expected to use less than this part of the budget leaves much of it
_USED = 0.9
#: the table's cost counts as much as so many samples that were seen
_PRIOR = 16


@dataclass(frozen=True)
class GuardState:
    """Where a budget guard stands.

    Attributes:
        per_sample: the budget: mean cost per sample, in the unit of the experts' costs.
        window: the number of samples in a row that the budget is kept over.
        samples: samples that were routed so far.
        mean_cost: mean cost of the last ``window`` samples; NaN before the first one.
        room: how much of the tolerance is left, 1 all of it: at 0, a sample goes on only when others saved for it.
        row: the policy in force, with its cost and score when it was fitted.
        expected_cost: its mean cost on the last samples if none was held back.
        held_back: samples so far that were answered earlier than by the policy, for want of budget.
        changes: how often the policy was changed.
    """

    per_sample: float
    window: int
    samples: int
    mean_cost: float
    room: float
    row: PolicyRow
    expected_cost: float
    held_back: int
    changes: int


class BudgetGuard:
    """Routes batches so that no ``window`` samples in a row cost much more than the budget, whatever the inputs.

    Two things hold the budget. Slowly, the policy is chosen anew from the cascade's table: the one with the best score
    whose cost on the last samples fits, by the confidences that the experts had on them. At once, samples that would
    go on to the next expert are held back when the window has no budget left for it, the surest of a batch first.
    Any ``window`` samples in a row cost at most ``window * per_sample * (1 + tolerance)``.

    A guard answers one batch after another, also from several threads. :meth:`attach` lets it stand before
    everything that the cascade answers, such as streams and the models of frameworks; the cascade's own ``policy`` and
    ``set_preference`` have no effect then.

    Args:
        cascade: its experts' costs are counted now if they are not known.
        per_sample: the budget: mean cost per sample, in the unit of the experts' costs.
        window: over how many samples in a row it is kept.
        tolerance: how far the mean over a window may be above the budget, as a share of it.

    Raises:
        OrxeError: the cheapest expert alone costs more than the budget, or ``window`` is so short that the dearest
            path through the experts exceeds the tolerance by one sample.
    """

    def __init__(self, cascade: Cascade, *, per_sample: float, window: int, tolerance: float = 0.05) -> None:
        check_type("cascade", cascade, Cascade, "load_cascade(folder) gives one; of a framework's model, its .cascade")
        check_number("per_sample", per_sample)
        check_number("tolerance", tolerance)
        self.cascade = cascade
        self.window = check_count("window", window, 1)
        self._costs = _costs_of(cascade)
        self._check(float(per_sample), float(tolerance))
        self._ledger = Ledger(float(per_sample), float(tolerance) * per_sample * window)
        self._rows = self._rows_within()
        self._row = self._best({row: self._fitted(row) for row in self._rows}, float(per_sample))
        self._expected = self._fitted(self._row)
        self._seen = _Recent(self.window, len(cascade.members))
        self._held_back, self._changes, self._since = 0, 0, 0
        self._lock = threading.RLock()

    def route(self, batch: Any, *, on_error: str = "raise", timeout: float | None = None) -> tuple[Any, Route]:
        """Outputs for B samples, and which expert gave each of them: see :meth:`orxe_plugins.Cascade.route`.

        A sample that an expert fails on goes on to the next one where it has no answer yet: what that costs is counted,
        and held back from those that come after it.
        """
        check_seconds("timeout", timeout)
        tolerant = check_on_error(on_error) != "raise" or timeout is not None
        with self._lock:
            context, members, policy = self.cascade.context(batch), self.cascade.members, self._row.policy
            limit = _BatchLimit(self._ledger, policy, self._costs, context.size)
            try:
                if tolerant:
                    outputs, route = route_tolerant(members, policy, batch, context, on_error, timeout, limit)
                else:
                    outputs, route = route_batch(members, policy, batch, context, limit)
            except BaseException:
                # What ran before the error did cost something: it counts, though nobody got an answer.
                self._ledger.settle(limit.costs)
                raise
            self._note(route, limit)
            return outputs, route

    @property
    def state(self) -> GuardState:
        """Where the guard stands now."""
        with self._lock:
            ledger = self._ledger
            return GuardState(
                ledger.per_sample, self.window, self._seen.count, self._seen.mean_cost,
                1.0 - ledger.debt / ledger.room, self._row, self._expected, self._held_back, self._changes,
            )  # fmt: skip

    def attach(self) -> BudgetGuard:
        """Let everything that the cascade answers go through this guard from now on; the guard comes back."""
        self.cascade.guard = self
        return self

    def detach(self) -> None:
        """Let the cascade answer by its own policy again."""
        if self.cascade.guard is self:
            self.cascade.guard = None

    # --- the policy ---------------------------------------------------------------------------

    def _note(self, route: Route, limit: _BatchLimit) -> None:
        cost = route.cost.cpu().numpy()
        self._ledger.settle(np.nan_to_num(cost, nan=0.0))
        self._seen.add(limit.confidences, cost)
        self._held_back += limit.held_back
        self._since += len(cost)
        if self._since >= max(self.window // 10, 1):
            self._since = 0
            self._reconsider()

    def _reconsider(self) -> None:
        """Take another policy if that in force costs too much by now, or leaves much of the budget unused.

        Both by more than the chance of the last samples explains, so that the policy rests while inputs stay alike.
        Where all that fit leave much of the budget unused, one that costs too much is the better choice: samples are
        held back from it, the surest ones first.
        """
        budget, error = self._ledger.per_sample, self._standard_error
        expected = {row: self._forecast(row) for row in self._rows}
        self._expected = expected[self._row]
        too_dear = self._expected > budget + 3 * error
        if not too_dear and self._expected >= _USED * budget - 2 * error:
            return
        best = self._best(expected, budget)
        if too_dear and expected[best] > budget:
            return  # no row uses the budget better than that in force, from which samples are held back
        if best != self._row and (too_dear or _worth(best) > _worth(self._row)):
            self._row, self._expected = best, expected[best]
            self._changes += 1

    @property
    def _standard_error(self) -> float:
        """Of a mean cost over the last samples, at most."""
        alone = [self._costs.alone(i) for i in range(len(self.cascade.members))]
        return (self._dearest - min(alone)) / 2 / float(np.sqrt(len(self._seen.confidences) + _PRIOR))

    @property
    def _dearest(self) -> float:
        """Cost of a sample that goes through all experts."""
        return sum(self._costs.cost) + max(self._costs.shared_cost)

    def _forecast(self, row: PolicyRow) -> float:
        """Mean cost of a row on the last samples; the fitted cost counts while there are few."""
        seen, fitted = self._seen.confidences, self._fitted(row)
        now = expected_cost(row.policy, seen, self._costs)
        if now is None:  # no sample tells: as much dearer than fitted as the policy in force is
            now = fitted * max(1.0, self._expected / max(self._fitted(self._row), 1e-12))
        return (now * len(seen) + fitted * _PRIOR) / (len(seen) + _PRIOR)

    def _fitted(self, row: PolicyRow) -> float:
        """What a row cost when it was fitted; of thresholds given by hand, the least that they can cost."""
        return self._costs.alone(row.policy.enabled[0]) if np.isnan(row.cost) else row.cost

    def _best(self, expected: dict[PolicyRow, float], budget: float) -> PolicyRow:
        """The row with the best score whose expected cost fits; the cheapest dearer one if that is far below it."""
        fits = [row for row, cost in expected.items() if cost <= budget]
        best = max(fits, key=_worth) if fits else None
        if best is not None and expected[best] >= _USED * self._ledger.per_sample:
            return best
        better = [row for row in expected if row not in fits and (best is None or _worth(row) > _worth(best))]
        return min(better, key=lambda row: expected[row]) if better else best or self._row

    def _rows_within(self) -> tuple[PolicyRow, ...]:
        """The rows that can be kept within the budget, as samples can stop at their first expert."""
        table, n = self.cascade.table, len(self.cascade.members)
        rows = (PolicyRow(0.5, self.cascade.policy, np.nan, np.nan),) if table is None else table.offered
        kept = tuple(row for row in rows if self._costs.alone(row.policy.enabled[0]) <= self._ledger.per_sample)
        cheapest = min(range(n), key=self._costs.alone)
        return kept or (PolicyRow(0.0, Policy.only(cheapest, n), self._costs.alone(cheapest), np.nan),)

    def _check(self, budget: float, tolerance: float) -> None:
        unit = "GMACs" if self.cascade.table is None else self.cascade.table.cost_unit
        least = min(map(self._costs.alone, range(len(self.cascade.members))))
        if budget < least:
            raise OrxeError(
                f"per_sample is {budget:g} {unit}, but the cheapest expert alone costs {plain(least)} {unit}: no "
                "policy keeps within that budget"
            )
        if not tolerance > 0:
            raise OrxeError(f"tolerance is {tolerance:g}: expected a share above 0, such as 0.05")
        needed = (self._dearest - budget) / (tolerance * budget)
        if self.window < needed:
            raise OrxeError(
                f"window is {self.window}: one sample that goes through all experts costs {plain(self._dearest)} "
                f"{unit}, above the tolerance of so few; give at least {int(np.ceil(needed))}, or a larger tolerance"
            )


class _Recent:
    """The confidences and costs of the last samples, in rings of a fixed size."""

    def __init__(self, window: int, n_experts: int) -> None:
        self.count = 0
        self._confidences = np.full((window, n_experts), np.nan, np.float32)
        self._cost = np.full(window, np.nan)

    @property
    def confidences(self) -> np.ndarray:
        """(M, N), NaN where an expert did not run; in no order."""
        return self._confidences[: min(self.count, len(self._cost))]

    @property
    def mean_cost(self) -> float:
        """Of the samples that are kept; NaN if there are none."""
        cost = self._cost[: min(self.count, len(self._cost))]
        return float(cost.mean()) if len(cost) else float("nan")

    def add(self, confidences: np.ndarray, cost: np.ndarray) -> None:
        """Keep the samples of a batch, (B, N) and (B,), in place of the oldest ones."""
        size = len(self._cost)
        place = (self.count + np.arange(len(cost)))[-size:] % size
        self._confidences[place], self._cost[place] = confidences[-size:], cost[-size:]
        self.count += len(cost)


class _BatchLimit:
    """Holds samples of one batch back where the ledger has no room for the next expert."""

    def __init__(self, ledger: Ledger, policy: Policy, costs: PathCosts, size: int) -> None:
        self._ledger, self._policy, self._path = ledger, policy, costs
        self.costs = np.full(size, costs.alone(policy.enabled[0]))  # what each sample costs by now
        self.confidences = np.full((size, policy.n_experts), np.nan, np.float32)  # of all experts but the last
        self.held_back = 0

    def leaving(self, expert: int, rows: Tensor, confidence: Tensor, leaving: Tensor) -> Tensor:
        """See :class:`orxe_plugins.cascade.routing.Limit`."""
        self.confidences[rows.cpu().numpy(), expert] = confidence.detach().cpu().numpy()
        going = (~leaving).nonzero().squeeze(1)
        if not len(going):
            return leaving
        order = torch.argsort(confidence[going], stable=True)
        wanting = going[order]
        places = rows[wanting].cpu().numpy()
        extra = self._path.step(self._policy, expert)
        granted = self._ledger.admit(self.costs, places, extra)
        self.costs[places[granted]] += extra
        self.held_back += int((~granted).sum())
        held = wanting[torch.from_numpy(~granted).to(wanting.device)]
        return leaving.index_fill(0, held, True)


def _worth(row: PolicyRow) -> tuple[float, float]:
    """What rows are ranked by; one of an unknown score is the last resort."""
    return (-np.inf if np.isnan(row.score) else row.score, -row.cost)


def _costs_of(cascade: Cascade) -> PathCosts:
    members = cascade.members
    needs = positions_of([expert.name for expert in members], [expert.needs for expert in members])
    return PathCosts(
        tuple(float(expert.measure_cost()) for expert in members),
        tuple(float(expert.shared_cost) for expert in members),
        needs,
    )
