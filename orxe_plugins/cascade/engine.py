"""One expert on one parcel of samples: what it answers, who goes on, and what becomes of those that it fails on."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch

from orxe_plugins.cascade.calls import Call, has_room
from orxe_plugins.cascade.faults import NOT_FINITE, ExpertTimeoutError, Fault, checked, in_words
from orxe_plugins.cascade.parcel import Outcome, Parcel
from orxe_plugins.cascade.pieces import Piece, Started, told_by
from orxe_plugins.cascade.plan import host_cost, stages_of
from orxe_plugins.cascade.routing import Limit
from orxe_plugins.cascade.singles import Singles
from orxe_plugins.data.batch import samples_of
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.absent import AbsentExpert
from orxe_plugins.experts.expert import Answers, Expert
from orxe_plugins.policies.policy import Policy


class Engine:
    """Runs experts on parcels. It holds no samples, so that several threads may use it.

    Args:
        experts: N experts.
        tolerant: keep earlier answers, and answer by them the samples that an expert fails on; else its error is
            raised.
        timeout: seconds that one call of an expert may take; None lets it take forever.
        deadline: when all has to be done, on the clock of ``time.monotonic``.
        limit: holds samples back that would go on by their thresholds; it knows them by their numbers.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        tolerant: bool = False,
        timeout: float | None = None,
        deadline: float | None = None,
        limit: Limit | None = None,
    ) -> None:
        self._experts = experts
        self._limit = limit
        self._tolerant = tolerant
        self._timeout = timeout
        self._deadline = deadline
        self._policies: list[Policy] = []
        self._numbers: dict[Policy, int] = {}
        self._lock = threading.Lock()

    def number_of(self, policy: Policy) -> int:
        """The number by which parcels know a policy."""
        with self._lock:
            if policy not in self._numbers:
                self._numbers[policy] = len(self._policies)
                self._policies.append(policy)
            return self._numbers[policy]

    def policy(self, number: int) -> Policy:
        """The policy that parcels know by a number."""
        return self._policies[number]

    def run(self, expert: int, parcel: Parcel) -> Outcome:
        """Run an expert on a parcel of samples that reached it.

        Raises:
            Exception: what the expert raised, unless faults are tolerated.
        """
        return Outcome.joined(list(self.parts(expert, parcel)))

    def parts(self, expert: int, parcel: Parcel, patience: float | None = None) -> Iterator[Outcome]:
        """The same in parts, each as soon as it is there: samples that the expert hangs on come last.

        Args:
            expert: index of the expert.
            parcel: the samples; they are not to be used any more.
            patience: seconds after which each sample is also tried by itself; by default half of the time there is.
        """
        timeout = self._time_left()
        if timeout is None or self._lacks(expert):
            yield self.finish(self.start(expert, parcel))
            return
        parcel.ran[:, expert] = True
        yield from self._hedged(expert, parcel, timeout, timeout / 2 if patience is None else patience)

    def start(self, expert: int, parcel: Parcel) -> Started:
        """Hand an expert a parcel of samples that reached it, without waiting for the device that it runs on.

        Raises:
            Exception: what the expert raised, unless faults are tolerated.
        """
        if self._lacks(expert):
            return Started(expert, parcel, None)
        parcel.ran[:, expert] = True
        return self._handed(expert, parcel, self._halved(expert, parcel, np.arange(len(parcel))))

    def _handed(self, expert: int, parcel: Parcel, pieces: list[Piece]) -> Started:
        """Pieces with what the host has to know of them, which sets off now: later it would come behind other work."""
        member = self._experts[expert]
        told = [None if isinstance(made, Exception) else told_by(member, made) for _, made in pieces]
        return Started(expert, parcel, pieces, told)

    def _settled(self, expert: int, parcel: Parcel, pieces: list[Piece]) -> Outcome:
        """What becomes of samples by what an expert made of them."""
        return self.finish(self._handed(expert, parcel, pieces))

    def _lacks(self, expert: int) -> bool:
        """Whether there is no such expert, and samples go on without it."""
        return self._tolerant and isinstance(self._experts[expert], AbsentExpert)

    def finish(self, started: Started) -> Outcome:
        """What came of a parcel; the host waits for the expert's device here."""
        expert, parcel, pieces, told = started
        if pieces is None:
            error = cast(AbsentExpert, self._experts[expert]).error
            leaves = self._failed(expert, parcel, np.arange(len(parcel)), error, goes_on=True)
            return self._outcome(expert, parcel, list(parcel.answers), leaves)
        leaves = np.zeros(len(parcel), dtype=bool)
        given: list[Any] = list(parcel.answers) or [None] * len(parcel)
        for (index, made), read in zip(pieces, told, strict=True):
            if isinstance(made, Exception):
                leaves[index] = self._failed(expert, parcel, index, made)
            else:
                assert read is not None
                leaves[index] = self._answered(expert, parcel, index, (made.outputs, *read()), given)
        return self._outcome(expert, parcel, given, leaves)

    # --- running ------------------------------------------------------------------------------

    def _time_left(self) -> float | None:
        limits = [] if self._timeout is None else [self._timeout]
        if self._deadline is not None:
            limits.append(max(self._deadline - time.monotonic(), 0.0))
        return min(limits, default=None)

    def _answers(self, expert: int, parcel: Parcel, index: np.ndarray) -> Answers:
        one = self._experts[expert]
        at_hand = None if len(index) == len(parcel) else torch.from_numpy(index)
        return checked(one, one.run(parcel.rows(index), parcel.context.on_rows(at_hand)), len(index))

    def _halved(self, expert: int, parcel: Parcel, index: np.ndarray) -> list[Piece]:
        """Answers to some of the samples; those that fail are halved until the faulty ones stand alone."""
        try:
            return [(index, self._answers(expert, parcel, index))]
        except Exception as error:
            if not self._tolerant:
                raise
            if len(index) == 1:
                # Its traceback would keep the whole batch in memory for as long as somebody keeps the answer.
                return [(index, error.with_traceback(None))]
        middle = len(index) // 2
        parts = (index[:middle], index[middle:])
        return [piece for part in parts for piece in self._halved(expert, parcel, part)]

    def _hedged(self, expert: int, parcel: Parcel, timeout: float, patience: float) -> Iterator[Outcome]:
        """The same where a call may take so many seconds: after some of them, each sample is also tried by itself."""
        end = math.inf if self._deadline is None else time.monotonic() + timeout
        whole = self._call(expert, parcel)
        in_singles = self._tolerant and len(parcel) > 1 and has_room(len(parcel))
        if whole.wait(min(patience, timeout) if in_singles else timeout):
            yield self._settled(expert, parcel, whole.result())
            return
        if not self._tolerant:
            raise self._hangs(expert, timeout)
        if not in_singles:
            yield self._settled(expert, parcel, self._hung(expert, parcel, timeout))
            return
        singles = Singles(lambda one: self._pieces(expert, one), parcel, whole, timeout, patience, end)
        for part, pieces in singles.answers():
            given = self._hung(expert, part, timeout) if pieces is None else pieces
            yield self._settled(expert, part, given)

    def _hung(self, expert: int, parcel: Parcel, timeout: float) -> list[Piece]:
        return [(np.arange(len(parcel)), self._hangs(expert, timeout))]

    def _pieces(self, expert: int, parcel: Parcel) -> list[Piece]:
        return self._halved(expert, parcel, np.arange(len(parcel)))

    def _call(self, expert: int, parcel: Parcel) -> Call[list[Piece]]:
        return Call(lambda: self._pieces(expert, parcel))

    def _hangs(self, expert: int, timeout: float) -> Exception:
        return ExpertTimeoutError(f"expert {self._experts[expert].name!r} gave no answer within {timeout:.3g} s")

    # --- what becomes of the samples ----------------------------------------------------------

    def _answered(
        self,
        expert: int,
        parcel: Parcel,
        index: np.ndarray,
        answers: tuple[Any, np.ndarray, np.ndarray],
        given: list[Any],
    ) -> np.ndarray:
        """Take an expert's answers to samples into ``given``; which of these are done with, bool (K,).

        Args:
            expert: its index.
            parcel: the samples.
            index: places of those that were answered.
            answers: outputs, confidence (K,), and which outputs are not finite (K,).
            given: an output for each sample of the parcel.
        """
        outputs, confidence, is_bad = answers
        kept = np.flatnonzero(~is_bad) if self._tolerant else np.arange(len(index))
        rows, places = samples_of(outputs), index[kept]
        for place, k in zip(places.tolist(), kept.tolist(), strict=True):
            given[place] = rows[k]
        parcel.expert[places] = expert
        parcel.confidence[places] = parcel.seen[places, expert] = confidence[kept]
        leaves = np.zeros(len(index), dtype=bool)
        leaves[kept] = self._held_back(expert, parcel, places, self._exits(expert, parcel, places))
        error = OrxeError(f"expert {self._experts[expert].name!r}: {NOT_FINITE}")
        if self._tolerant and is_bad.any():
            leaves[is_bad] = self._failed(expert, parcel, index[is_bad], error, NOT_FINITE, goes_on=True)
        for number in parcel.number[index[is_bad & leaves]].tolist() if not self._tolerant else ():
            parcel.faults[number] = [(Fault(number, expert, NOT_FINITE), error)]
        return leaves

    def _failed(
        self,
        expert: int,
        parcel: Parcel,
        index: np.ndarray,
        error: Exception,
        message: str | None = None,
        goes_on: bool = False,
    ) -> np.ndarray:
        """Note that an expert failed on samples; which of them are done with, bool (K,).

        A sample that an earlier expert answered keeps that answer, unless it ``goes_on``. Others go on where an
        expert is left.
        """
        for number in parcel.number[index].tolist():
            noted = parcel.faults.setdefault(number, [])
            noted.append((Fault(number, expert, message or in_words(error)), error))
        is_last = expert == len(self._experts) - 1
        if goes_on or is_last:
            return np.full(len(index), is_last)
        return parcel.expert[index] >= 0

    def _exits(self, expert: int, parcel: Parcel, index: np.ndarray) -> np.ndarray:
        """Which samples exit after an expert, bool (K,)."""
        leaves = np.ones(len(index), dtype=bool)
        for number, rows in _by_policy(parcel.policy[index]):
            threshold = next(s.exit for s in stages_of(self._policies[number]) if s.expert == expert)
            if threshold is not None:
                # As torch does, a threshold is compared in the precision of the confidence.
                leaves[rows] = parcel.confidence[index[rows]] >= np.float32(threshold)
        return leaves

    def _held_back(self, expert: int, parcel: Parcel, index: np.ndarray, leaves: np.ndarray) -> np.ndarray:
        """Which samples exit after an expert, bool (K,), when a limit has had its say."""
        if self._limit is None or expert == len(self._experts) - 1:
            return leaves
        told = (parcel.number[index], parcel.confidence[index], leaves)
        return self._limit.leaving(expert, *map(torch.from_numpy, told)).numpy()

    def _goes_to(self, expert: int, parcel: Parcel, index: np.ndarray) -> np.ndarray:
        """The next expert of samples that go on, int64 (K,)."""
        goal = np.full(len(index), -1, dtype=np.int64)
        for number, rows in _by_policy(parcel.policy[index]):
            for stage in stages_of(self._policies[number]):
                if stage.expert <= expert:
                    continue
                waiting = rows[goal[rows] < 0]
                places = index[waiting]
                # Without any answer so far there is no confidence that a skip threshold could be compared with.
                enters = (parcel.confidence[places] >= np.float32(stage.skip)) | (parcel.expert[places] < 0)
                goal[waiting[enters]] = stage.expert
        return goal

    def _outcome(self, expert: int, parcel: Parcel, given: list[Any], leaves: np.ndarray) -> Outcome:
        outcome = Outcome()
        done = np.flatnonzero(leaves)
        cost = host_cost(self._experts, parcel.ran[done], parcel.expert[done])
        # Single numbers of an array are slow to come by: those of all samples are taken out at once.
        columns = (parcel.number[done], parcel.expert[done], parcel.confidence[done], cost)
        for place, *known in zip(done.tolist(), *(column.tolist() for column in columns), strict=True):
            outcome.finished.append(parcel.finished(place, given[place], *known))
        onward = np.flatnonzero(~leaves)
        if len(onward):
            parcel.answers = given if self._tolerant else []
            goals = self._goes_to(expert, parcel, onward)
            now = time.monotonic()
            for goal in np.unique(goals).tolist():
                outcome.onward[goal] = parcel.take(onward[goals == goal], now)
        return outcome


def _by_policy(policy: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Each policy's number, with the places of the samples that are under it."""
    return [(int(number), np.flatnonzero(policy == number)) for number in np.unique(policy)]
