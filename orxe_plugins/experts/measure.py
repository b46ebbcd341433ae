"""Measuring how long experts take on this machine: see :mod:`orxe_plugins.cost.latency`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.expert import Expert
from orxe_plugins.util.progress import Progress, Silent


@dataclass(frozen=True)
class Timing:
    """How times are taken.

    Attributes:
        warmup: runs that are not counted.
        repeats: runs of which the median counts.
        clock: gives seconds.

    Raises:
        OrxeError: a number of runs is out of range.
    """

    warmup: int = 2
    repeats: int = 9
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.repeats < 1:
            raise OrxeError(
                f"warmup is {self.warmup!r} and repeats is {self.repeats!r}: expected at least 0 and at least 1"
            )


def measure_latency(
    experts: Iterable[Expert],
    make_batch: Callable[[int], Any],
    batch_sizes: Sequence[int] = (1, 4, 16, 64),
    *,
    input_view: ImageView | None = None,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Median milliseconds that each expert takes for batches of each size, its own preprocessing included.

    Args:
        experts: one after the other; the memory of each may be freed before the next one is made.
        make_batch: gives a batch of so many samples, of the kind that inference will hand in.
        batch_sizes: which sizes to measure; others lie between.
        input_view: the view that float tensors show which ``make_batch`` gives, as a cascade's ``input_view``; None:
            they show each expert's own view.
        timing: how often and by which clock; the defaults of :class:`Timing` where it is None.
        progress: shows which expert and size is measured.
    """
    timing = timing or Timing()
    sizes = tuple(sorted(set(batch_sizes)))
    batches = {size: make_batch(size) for size in sizes}
    setup = CascadeSetup(input_view=input_view)
    bar = progress or Silent()
    ms: dict[str, tuple[float, ...]] = {}
    for expert in experts:
        expert.eval()
        bar.start(len(sizes), f"latency of {expert.name}")
        row = []
        for size in sizes:
            for _ in range(timing.warmup):
                _timed(expert, batches[size], setup, timing.clock)
            row.append(median(_timed(expert, batches[size], setup, timing.clock) for _ in range(timing.repeats)))
            bar.advance(1)
        ms[expert.name] = tuple(row)
    details = {"warmup": timing.warmup, "repeats": timing.repeats, "torch_threads": torch.get_num_threads()}
    return LatencyTable(sizes, ms, details)


def _timed(expert: Expert, batch: Any, setup: CascadeSetup, clock: Callable[[], float]) -> float:
    with torch.inference_mode():
        _wait()
        start = clock()
        expert.run(batch, BatchContext.of(batch, setup))
        _wait()
        return 1000 * (clock() - start)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
