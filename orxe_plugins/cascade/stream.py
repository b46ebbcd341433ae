"""A stream of samples through a cascade, expert by expert: batches stay full though most samples exit early."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from orxe_plugins.cascade.calls import Series
from orxe_plugins.cascade.counting import count_unknown
from orxe_plugins.cascade.engine import Engine, Started
from orxe_plugins.cascade.parcel import Finished, Outcome, Parcel
from orxe_plugins.cascade.source import Ahead, Unreadable, samples
from orxe_plugins.cascade.stream_answer import StreamAnswer, StreamOptions
from orxe_plugins.data.batch import stacked
from orxe_plugins.experts.expert import Expert

if TYPE_CHECKING:
    from orxe_plugins.cascade.cascade import Cascade

#: batches of samples that may be under way before one that is not full has to run
_MOST_BATCHES = 32
#: seconds after which late calls are looked at again
_POLL = 0.01
_NOW = time.monotonic


class _Late(NamedTuple):
    """A batch that an expert works on: what it gives, the expert's index, and the number of its oldest sample."""

    parts: Series[Outcome]
    expert: int
    oldest: int


class Stream:
    """Samples under way: a queue for each expert, and the answers that nobody took yet.

    Args:
        cascade: whose experts and policy they are.
        items: the samples.
        options: how to run.
    """

    def __init__(self, cascade: Cascade, items: Iterable[Any], options: StreamOptions) -> None:
        self._cascade, self._options = cascade, options
        self._experts, self._setup = cascade.members, cascade.setup
        self._tolerant = options.on_error == "best_available"
        self._engine = Engine(self._experts, self._tolerant, options.timeout)
        self._queues: list[deque[Parcel]] = [deque() for _ in self._experts]
        self._source = samples(items)
        self._arrived: list[tuple[int, int, Any]] = []  # number, policy, sample
        self._arrived_at = 0.0
        self._pulled = 0
        self._done: dict[int, StreamAnswer] = {}
        self._next = 0
        self._late: list[_Late] = []
        self._usual = [0.0] * len(self._experts)  # seconds, about the most of an expert's last batches
        # While a device runs one batch, the host tells the answers of the one before and gathers the next.
        self._overlaps = options.max_wait is None and _on_device(self._experts)
        self._running: Started | None = None
        self._broken: Exception | None = None

    def answers(self) -> Iterator[StreamAnswer]:
        """One answer for each sample.

        Raises:
            Exception: an expert or the source failed, and faults are not tolerated; or the source broke off.
        """
        ahead = None if self._options.max_wait is None else Ahead(self._source, self._options.batch_size)
        try:
            more, done = True, False
            while not done:
                more = more and self._pull(ahead)
                with torch.no_grad():
                    done = self._advance(flush=not more) and not more
                yield from self._ready()
        finally:
            if ahead is not None:
                ahead.stop()
        if self._broken is not None:
            raise self._broken

    # --- samples come in ----------------------------------------------------------------------

    def _pull(self, ahead: Ahead | None) -> bool:
        """Take samples until a batch is full or somebody has waited for long enough; whether there may be more."""
        while len(self._arrived) < self._options.batch_size:
            seconds = self._time_left()
            if seconds == 0:
                return True
            try:
                self._arrive(next(self._source) if ahead is None else ahead.get(seconds))
            except StopIteration:
                return False
            except queue.Empty:
                return True
            except Exception as error:
                if not self._tolerant:
                    raise
                self._broken = error
                return False
        return True

    def _arrive(self, item: Any) -> None:
        number, self._pulled = self._pulled, self._pulled + 1
        if isinstance(item, Unreadable):
            if not self._tolerant:
                raise item.error
            self._done[number] = StreamAnswer(number, None, -1, 0.0, 0.0, item.error)
            return
        if not self._arrived:
            self._arrived_at = _NOW()
        self._arrived.append((number, self._engine.number_of(self._cascade.policy), item))

    def _time_left(self) -> float | None:
        """Seconds until somebody has waited for long enough; None: nobody waits."""
        if self._options.max_wait is None:
            return None
        since = [self._arrived_at] if self._arrived else []
        since += [parcels[0].since for parcels in self._queues if parcels]
        seconds = max(min(since) + self._options.max_wait - _NOW(), 0.0) if since else None
        if self._late:
            return _POLL if seconds is None else min(seconds, _POLL)
        return seconds

    def _admit(self) -> None:
        """Let the samples that arrived stand at the experts that they enter first."""
        firsts: dict[int, list[tuple[int, int, Any]]] = {}
        entered = {number: self._engine.policy(number).enabled[0] for number in {one[1] for one in self._arrived}}
        for one in self._arrived:
            firsts.setdefault(entered[one[1]], []).append(one)
        self._arrived = []
        for expert, some in firsts.items():
            numbers, policies, items = zip(*some, strict=True)
            parcel = Parcel.of(numbers, policies, stacked(items), self._setup, len(self._experts))
            parcel.since, parcel.loose = self._arrived_at, True
            for policy in set(policies):
                count_unknown(self._experts, self._engine.policy(policy), parcel.batch)
            self._queues[expert].append(parcel)

    # --- experts run --------------------------------------------------------------------------

    def _advance(self, flush: bool) -> bool:
        """Run every expert that has a full batch, or whose samples must not wait any longer.

        False: there is more to do, but answers may go out that need not wait for it.
        """
        is_full = len(self._arrived) >= self._options.batch_size
        if self._arrived and (flush or is_full or self._overdue(self._arrived_at)):
            self._admit()
        while True:
            self._collect(wait=False)
            # Those that come out of a running batch may yet fill one that is not full.
            expert = self._due(flush and self._running is None)
            if expert is not None:
                self._step(expert)
            elif self._running is not None and flush:
                self._settle()
            elif self._late and (flush or self._piles_up(_MOST_BATCHES + 1)):
                self._collect(wait=True)
                if self._next in self._done or (self._done and not self._options.ordered):
                    return False
            else:
                return True

    def _due(self, flush: bool) -> int | None:
        """The next expert to run; the last ones first, so that few samples wait."""
        waiting = [expert for expert, parcels in enumerate(self._queues) if parcels]
        for expert in reversed(waiting):
            parcels = self._queues[expert]
            if sum(map(len, parcels)) >= self._options.batch_size or self._overdue(parcels[0].since):
                return expert
        if waiting and flush:
            return waiting[0]
        if waiting and self._piles_up(_MOST_BATCHES):
            return min(waiting, key=self._oldest)
        return None

    def _piles_up(self, batches: int) -> bool:
        """Whether so many batches of answers wait for an older sample, which must not wait for others any longer."""
        most = batches * self._options.batch_size
        if not self._options.ordered or self._pulled - self._next <= most:
            return False
        waiting = [self._oldest(expert) for expert, parcels in enumerate(self._queues) if parcels]
        late = [one.oldest for one in self._late]
        return self._pulled - min(waiting + late, default=self._pulled) > most

    def _oldest(self, expert: int) -> int:
        return min(int(parcel.number.min()) for parcel in self._queues[expert])

    def _overdue(self, since: float) -> bool:
        return self._options.max_wait is not None and _NOW() - since >= self._options.max_wait

    def _step(self, expert: int) -> None:
        """Run one batch of those who wait for an expert."""
        parcel = self._next_batch(expert)
        if self._options.timeout is None:
            started = self._engine.start(expert, parcel)
            self._settle()
            self._running = started
            if not self._overlaps:
                self._settle()
            return
        patience, oldest = self._patience(expert), int(parcel.number.min())
        parts = Series(self._engine.parts(expert, parcel, min(3 * patience, self._options.timeout / 2)))
        parts.wait(patience)
        self._late.append(_Late(parts, expert, oldest))
        self._collect(wait=False)

    def _settle(self) -> None:
        """Take in what the batch gave that was handed to a device last."""
        running, self._running = self._running, None
        if running is not None:
            self._take_in(self._engine.finish(running))

    def _patience(self, expert: int) -> float:
        """Seconds after which others go on without a batch: several times what the expert took so far."""
        timeout, usual = self._options.timeout, self._usual[expert]
        assert timeout is not None
        return min(timeout, 4 * usual + 0.05) if usual else timeout / 10

    def _learn(self, late: _Late) -> None:
        """Note how long a batch took, unless an expert hung on some of it."""
        seconds, usual, timeout = late.parts.seconds, self._usual[late.expert], self._options.timeout
        if seconds is not None and timeout is not None and seconds < timeout:
            # One that was late because the machine was busy counts, but not at once in full: it may have hung.
            most = min(seconds, 2 * usual + 0.1) if usual else seconds
            self._usual[late.expert] = max(0.95 * usual, most)

    def _next_batch(self, expert: int) -> Parcel:
        parcels, size = self._queues[expert], self._options.batch_size
        chosen: list[Parcel] = []
        while parcels and size:
            parcel = parcels.popleft()
            if len(parcel) > size:
                first, rest = parcel.split(size)
                parcels.appendleft(rest)
                parcel = first
            chosen.append(parcel)
            size -= len(parcel)
        return Parcel.joined(chosen)

    def _collect(self, wait: bool) -> None:
        """Take in what late calls gave; ``wait`` until one gave something."""
        while True:
            over = [late for late in self._late if late.parts.wait(0)]
            given = [outcome for late in self._late for outcome in late.parts.taken()]
            self._late = [late for late in self._late if late not in over]
            for late in over:
                self._learn(late)
            for outcome in given:
                self._take_in(outcome)
            if not wait or over or given:
                return
            self._late[0].parts.wait(_POLL)

    # --- answers go out -----------------------------------------------------------------------

    def _take_in(self, outcome: Outcome) -> None:
        for one in outcome.finished:
            self._done[one.number] = _answer(one)
        for expert, parcel in outcome.onward.items():
            self._queues[expert].append(parcel)

    def _ready(self) -> Iterator[StreamAnswer]:
        """Answers that may go out now."""
        if not self._options.ordered:
            done, self._done = self._done, {}
            self._next += len(done)
            yield from done.values()
            return
        while self._next in self._done:
            answer = self._done.pop(self._next)
            self._next += 1
            yield answer


def _on_device(experts: Sequence[Expert]) -> bool:
    """Whether some expert runs on a device that works while the host does other things."""
    return any(expert.device.type != "cpu" for expert in experts)


def _answer(one: Finished) -> StreamAnswer:
    ran = tuple(i for i, has_run in enumerate(one.ran.tolist()) if has_run)
    return StreamAnswer(one.number, one.output, one.expert, one.confidence, one.cost, one.error, one.faults, ran)
