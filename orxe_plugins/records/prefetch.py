"""Samples are loaded in a few threads while the expert works on those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


def prefetch(
    load: Callable[[Item], Loaded], items: Sequence[Item], *, workers: int, ahead: int
) -> Generator[Loaded, None, None]:
    """``load(item)`` of every item, in order, at most ``ahead`` of them loaded before they are asked for.

    Args:
        load: called in a thread; what it raises is raised where its result is asked for.
        items: what to load.
        workers: number of threads; 0 loads in the caller's.
        ahead: bound of the results that wait in memory.
    """
    if workers == 0:
        yield from map(load, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="orxe-load")
    waiting = iter(items)
    pending: deque[Future[Loaded]] = deque()
    try:
        pending.extend(pool.submit(load, item) for item in islice(waiting, max(ahead, 1)))
        while pending:
            loaded = pending.popleft().result()
            pending.extend(pool.submit(load, item) for item in islice(waiting, 1))
            yield loaded
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
