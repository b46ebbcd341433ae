"""Measuring what experts take on this machine: see :mod:`orxe_plugins.cost.latency`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import torch

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.util.progress import Progress, Silent


def measure_latency(
    experts: Iterable[Expert],
    make_batch: Callable[[int], Any],
    batch_sizes: Sequence[int] = (1, 4, 16, 64),
    *,
    warmup: int = 2,
    repeats: int = 9,
    clock: Callable[[], float] = time.perf_counter,
    progress: Progress | None = None,
) -> LatencyTable:
    """Median milliseconds that each expert takes for batches of each size, its own preprocessing included.

    Args:
        experts: one after the other; each is free to go before the next one is made.
        make_batch: gives a batch of so many samples, of the kind that inference will hand in.
        batch_sizes: which sizes to measure; others lie between.
        warmup: runs that are not counted.
        repeats: runs of which the median counts.
        clock: gives seconds.
        progress: is told of every expert and size.
    """
    if warmup < 0 or repeats < 1:
        raise OrxeError(f"warmup is {warmup!r} and repeats is {repeats!r}: expected at least 0 and at least 1")
    sizes = tuple(sorted(set(batch_sizes)))
    batches = {size: make_batch(size) for size in sizes}
    bar = progress or Silent()
    ms: dict[str, tuple[float, ...]] = {}
    for expert in experts:
        expert.eval()
        bar.start(len(sizes), f"latency of {expert.name}")
        row = []
        for size in sizes:
            for _ in range(warmup):
                _timed(expert, batches[size], clock)
            row.append(median(_timed(expert, batches[size], clock) for _ in range(repeats)))
            bar.advance(1)
        ms[expert.name] = tuple(row)
    details = {"warmup": warmup, "repeats": repeats, "torch_threads": torch.get_num_threads()}
    return LatencyTable(sizes, ms, details)


def _timed(expert: Expert, batch: Any, clock: Callable[[], float]) -> float:
    with torch.inference_mode():
        _wait()
        start = clock()
        expert.run(batch)
        _wait()
        return 1000 * (clock() - start)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
