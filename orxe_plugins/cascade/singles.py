"""Samples that share a batch with one that an expert hangs on: each is tried by itself."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import numpy as np

from orxe_plugins.cascade.calls import Call
from orxe_plugins.cascade.parcel import Parcel
from orxe_plugins.cascade.pieces import Piece, of_rows

#: samples that are tried at the same time: on a busy machine, hundreds of threads would hinder one another
_AT_ONCE = 8


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
        self._pause = min(pause, spent / math.ceil(len(parcel) / _AT_ONCE))
        self._waiting = deque(range(len(parcel)))
        self._running: dict[Call[list[Piece]], tuple[int, Parcel]] = {}
        self._over: SimpleQueue[Call[list[Piece]]] = SimpleQueue()
        self._left = np.ones(len(parcel), dtype=bool)

    def answers(self) -> Iterator[tuple[Parcel, list[Piece] | None]]:
        """Parts of the parcel with what the expert made of them, as they come; None: it hangs on these samples."""
        while self._left.any():
            now = time.monotonic()
            self._begin(now)
            yield from self._ended()
            if not self._left.any():
                return
            if self._whole.wait(0):
                yield self._rest(of_rows(self._whole.result(), np.flatnonzero(self._left)))
            elif now >= self._end:
                yield self._rest(None)
            else:
                yield from self._hung()

    def _rest(self, pieces: list[Piece] | None) -> tuple[Parcel, list[Piece] | None]:
        places = np.flatnonzero(self._left)
        self._left[:] = False
        return self._parcel.take(places, self._parcel.since), pieces

    def _begin(self, now: float) -> None:
        """Begin with as many more samples as there is room for."""
        young = sum(call.begun is None or now - call.begun < self._pause for call in self._running)
        for _ in range(min(_AT_ONCE - young, len(self._waiting))):
            place = self._waiting.popleft()
            one = self._parcel.take(np.array([place]), self._parcel.since)
            self._running[Call(lambda one=one: self._run(one), self._over)] = place, one  # type: ignore[misc]

    def _ended(self) -> Iterator[tuple[Parcel, list[Piece]]]:
        """Those that are done, after a moment."""
        try:
            call = self._over.get(timeout=min(0.01, max(self._pause, 0.001)))
        except Empty:
            return
        while True:
            place, one = self._running.pop(call, (-1, self._parcel))
            if place >= 0:
                self._left[place] = False
                yield one, call.result()
            if self._over.empty():
                return
            call = self._over.get()

    def _hung(self) -> Iterator[tuple[Parcel, None]]:
        """Those whose time is over."""
        now = time.monotonic()
        for call, (place, one) in list(self._running.items()):
            if call.begun is not None and now - call.begun >= self._timeout:
                del self._running[call]
                self._left[place] = False
                yield one, None
