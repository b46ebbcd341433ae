"""Where a stream's samples come from: one by one, and with a fault for each that cannot be read."""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from orxe_plugins.cascade.threads import Detached
from orxe_plugins.errors import OrxeError


class Unreadable:
    """A sample that could not be read.

    Args:
        error: why not.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


def samples(items: Iterable[Any]) -> Iterator[Any]:
    """What ``items`` holds, one after the other, with :class:`Unreadable` for each that raises or is an exception.

    What can be numbered is gone through by number, so that one sample that cannot be read ends nothing. A generator
    that raises is over: its error is raised.

    Raises:
        OrxeError: they are one thing, not many.
    """
    if isinstance(items, (str, bytes, Mapping)) or not (hasattr(items, "__iter__") or hasattr(items, "__getitem__")):
        raise OrxeError(
            f"the samples are given as a {type(items).__name__}: expected a list of them, a generator or a data set"
        )
    if isinstance(items, Tensor) and items.ndim == 0:
        raise OrxeError("the samples are given as a tensor without dimensions: expected (B, ...)")
    return _samples(items)


def _samples(items: Iterable[Any]) -> Iterator[Any]:
    if hasattr(items, "__getitem__") and hasattr(items, "__len__") and not isinstance(items, Tensor):
        pull, total = _by_number(items)
    else:
        source = iter(items)
        pull, total = source.__next__, None
    over = inspect.isgenerator(items)
    count = 0
    while total is None or count < total:
        try:
            item = pull()
        except StopIteration:
            return
        except Exception as error:
            if over:
                raise
            item = error
        count += 1
        yield Unreadable(item) if isinstance(item, Exception) else item


def _by_number(items: Any) -> tuple[Callable[[], Any], int]:
    numbers = iter(range(len(items)))

    def pull() -> Any:
        return items[next(numbers)]

    return pull, len(items)


class Ahead:
    """Reads a source in a thread of its own, at most so many samples ahead, so that nobody has to wait for it.

    Args:
        source: the samples.
        most: how many may lie ready.
    """

    def __init__(self, source: Iterator[Any], most: int) -> None:
        self._source = source
        self._ready: queue.Queue[Any] = queue.Queue(most)
        self._stopped = threading.Event()
        Detached("orxe source", self._read).start()

    def get(self, seconds: float | None) -> Any:
        """The next sample.

        Args:
            seconds: how long to wait for it; None: forever.

        Raises:
            queue.Empty: there is none yet.
            StopIteration: there is none any more.
            Exception: the source broke off.
        """
        kind, value = self._ready.get(timeout=seconds) if seconds is None or seconds > 0 else self._ready.get_nowait()
        if kind == "end":
            raise StopIteration if value is None else value
        return value

    def stop(self) -> None:
        """Read no further."""
        self._stopped.set()

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._put("item", item):
                    return
            self._put("end", None)
        # It belongs to the thread that asks for the samples.
        except BaseException as error:
            self._put("end", error)

    def _put(self, kind: str, value: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
