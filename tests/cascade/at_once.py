"""How many threads are at the same place at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class AtOnce:
    """Counts the threads that are inside of a block.

    Attributes:
        most: the most that ever were at the same time.
    """

    def __init__(self) -> None:
        self._lock, self._now, self.most = threading.Lock(), 0, 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The block."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        yield
        with self._lock:
            self._now -= 1
