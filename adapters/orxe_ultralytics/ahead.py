"""A source of Ultralytics that two read: its own loop, batch by batch, and a cascade's stream, which is ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any


class ReadAhead:
    """Stands where Ultralytics has its loader, and hands the images of the same batches to a stream.

    Whoever needs a batch first reads it. What the loader says of a batch (``mode``, ``frame``, ``fps``) is kept with
    the batch, because the loader is further on when the batch's answers come.

    Args:
        loader: Ultralytics' loader of images and videos.
        originals: makes the originals that the cascade takes of the images of a batch.
    """

    def __init__(self, loader: Any, originals: Callable[[Sequence[Any]], list[Any]]) -> None:
        self._loader, self._originals = loader, originals
        # A batch is decoded while experts work on those before it.
        self._source = _one_ahead((batch, copy(loader)) for batch in loader)
        self._now = loader
        self._batches: deque[tuple[Any, Any]] = deque()
        self._images: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_now"], name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """The batches, as the loader gives them."""
        while self._batches or self._read():
            batch, self._now = self._batches.popleft()
            yield batch

    def images(self) -> Iterator[Any]:
        """The originals of all batches, one by one."""
        while self._images or self._read():
            yield self._images.popleft()

    def _read(self) -> bool:
        """Read one more batch; whether there was one."""
        try:
            batch, now = next(self._source)
        except StopIteration:
            return False
        self._batches.append((batch, now))
        self._images.extend(self._originals(batch[1]))
        return True

    def close(self) -> None:
        """Read no further; Ultralytics calls it when somebody has seen enough."""
        self._source.close()
        if hasattr(self._loader, "close"):
            self._loader.close()


def _one_ahead(items: Iterator[Any]) -> Generator[Any, None, None]:
    """The items, each of which is made in a thread while its user works on the one before."""
    with ThreadPoolExecutor(1, thread_name_prefix="orxe-load") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
