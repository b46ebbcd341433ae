"""Samples or requests that share a batch with one that an expert hangs on: each is tried by itself, a few at once."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numpy as np

from orxe_plugins.cascade.calls import Call
from orxe_plugins.cascade.parcel import Parcel
from orxe_plugins.cascade.pieces import Piece, of_rows

#: what is tried at the same time: on a busy machine, hundreds of threads would hinder one another
_AT_ONCE = 8
_Result = TypeVar("_Result")


class FewAtOnce(Generic[_Result]):
    """Does work in threads, a few pieces of it at the same time; one that takes long makes room for the next.

    Args:
        count: number of pieces.
        begin: gives the work of a piece, by its number; None: it is not wanted any more.
        pause: seconds after which a piece makes room, at most.
        spent: seconds within which the last ones are to be begun.
    """

    def __init__(
        self, count: int, begin: Callable[[int], Callable[[], _Result] | None], pause: float, spent: float
    ) -> None:
        self._begin = begin
        self._pause = min(pause, spent / math.ceil(count / _AT_ONCE))
        self._waiting = deque(range(count))
        self._running: dict[Call[_Result], int] = {}
        self._over: SimpleQueue[Call[_Result]] = SimpleQueue()

    def step(self) -> Iterator[tuple[int, Call[_Result]]]:
        """Begin what there is room for; then those that are done, after a moment."""
        now = time.monotonic()
        room = _AT_ONCE - sum(call.begun is None or now - call.begun < self._pause for call in self._running)
        while room > 0 and self._waiting:
            number = self._waiting.popleft()
            work = self._begin(number)
            if work is not None:
                self._running[Call(work, self._over)] = number
                room -= 1
        try:
            call = self._over.get(timeout=min(0.01, max(self._pause, 0.001)))
        except Empty:
            return
        while True:
            number = self._running.pop(call, -1)
            if number >= 0:
                yield number, call
            if self._over.empty():
                return
            call = self._over.get()

    def given_up(self, seconds: float) -> Iterator[int]:
        """Those that have run for so many seconds; nobody waits for them any more."""
        now = time.monotonic()
        for call, number in list(self._running.items()):
            if call.begun is not None and now - call.begun >= seconds:
                del self._running[call]
                yield number


class Singles:
    """Tries the samples of a parcel one by one, a few at the same time, while an expert still works on all of them.

    A call that takes long makes room for the next one, and goes on. Each may take as long as any call, counted from
    when a thread begins it: a sound sample does not count as hung because others hold the machine.

    Args:
        run: has the expert answer a parcel.
        parcel: the samples.
        whole: the call that works on all of them.
        timeout: seconds that one call may take.
        pause: seconds after which a call makes room, at most.
        end: when all has to be over, on the clock of ``time.monotonic``.
    """

    def __init__(
        self,
        run: Callable[[Parcel], list[Piece]],
        parcel: Parcel,
        whole: Call[list[Piece]],
        timeout: float,
        pause: float,
        end: float = math.inf,
    ) -> None:
        self._run, self._parcel, self._whole = run, parcel, whole
        self._timeout, self._end = timeout, end
        # The last ones are begun within the time of one call, or when half of the time for all is left, at the latest.
        spent = min(timeout, max(end - time.monotonic(), 0.0) / 2)
        self._few: FewAtOnce[list[Piece]] = FewAtOnce(len(parcel), self._begin, pause, spent)
        self._begun: dict[int, Parcel] = {}
        self._left = np.ones(len(parcel), dtype=bool)

    def answers(self) -> Iterator[tuple[Parcel, list[Piece] | None]]:
        """Parts of the parcel with what the expert made of them, as they come; None: it hangs on these samples."""
        while self._left.any():
            now = time.monotonic()
            for place, call in self._few.step():
                yield self._taken(place), call.result()
            if not self._left.any():
                return
            if self._whole.wait(0):
                yield self._rest(of_rows(self._whole.result(), np.flatnonzero(self._left)))
            elif now >= self._end:
                yield self._rest(None)
            else:
                for place in self._few.given_up(self._timeout):
                    yield self._taken(place), None

    def _begin(self, place: int) -> Callable[[], list[Piece]]:
        one = self._begun[place] = self._parcel.take(np.array([place]), self._parcel.since)
        return lambda: self._run(one)

    def _taken(self, place: int) -> Parcel:
        self._left[place] = False
        return self._begun.pop(place)

    def _rest(self, pieces: list[Piece] | None) -> tuple[Parcel, list[Piece] | None]:
        places = np.flatnonzero(self._left)
        self._left[:] = False
        return self._parcel.take(places, self._parcel.since), pieces
