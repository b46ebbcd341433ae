"""Progress where there is no terminal: plain lines, few enough for a log file."""

from __future__ import annotations

import time
from collections.abc import Callable

#: a tenth that took less is not worth a line of its own
_SHORTEST_SECONDS = 2.0
#: in jobs whose tenths take long, a line comes after so many seconds
_LONGEST_SECONDS = 60.0


class ProgressLines:
    """A line when a job begins, one for each tenth of it, and one when it is done.

    A tenth that is done within two seconds of the line before gets none, and a slow job gets a line every minute.
    Implements ``util.progress.Progress``.

    Args:
        say: prints a line.
        clock: gives seconds.
    """

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._label, self._total, self._done, self._before = "", 0, 0, 0
        self._begun = self._last = 0.0
        self._tenth = 0

    def start(self, total: int, label: str, done: int = 0) -> None:
        """A job begins: ``total`` steps, of which ``done`` were done by an earlier run."""
        self._label, self._total, self._done, self._before = label, total, done, done
        self._begun = self._last = self._clock()
        self._tenth = self._tenth_of(done)
        if total and done >= total:
            self._say(f"{label}: {_count(total)} done before")
        else:
            before = f", {_count(done)} done before" if done else ""
            self._say(f"{label}: {_count(total)} to do{before}" if total else label)

    def advance(self, n: int) -> None:
        """``n`` more steps are done."""
        self._done += n
        now, tenth = self._clock(), self._tenth_of(self._done)
        finished = self._total > 0 and self._done - n < self._total <= self._done
        if finished:
            self._say(f"{self._label}: {_count(self._total)} done in {duration(now - self._begun)}")
        elif (tenth > self._tenth and now - self._last >= _SHORTEST_SECONDS) or now - self._last >= _LONGEST_SECONDS:
            self._say(f"{self._label}: {_count(self._done)}{self._share(now)}")
            self._last = now
        self._tenth = tenth

    def _tenth_of(self, done: int) -> int:
        return 10 * done // self._total if self._total else 0

    def _share(self, now: float) -> str:
        if not self._total:
            return ""
        # Steps of an earlier run must not count into the speed.
        spent, steps = now - self._begun, max(self._done - self._before, 1)
        left = max(self._total - self._done, 0) * spent / steps
        return f" of {_count(self._total)} ({100 * self._done // self._total} %), about {duration(left)} left"


def duration(seconds: float) -> str:
    """A length of time as people write it.

    >>> duration(0.2), duration(75), duration(7322), duration(200000)
    ('0.2 s', '1 min 15 s', '2 h 2 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} d {minutes // 60 % 24} h"


def _count(number: int) -> str:
    return f"{number:,}"
