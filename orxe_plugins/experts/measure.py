"""Measuring how long experts take on this machine: see :mod:`orxe_plugins.cost.latency`."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.expert import Expert
from orxe_plugins.util.progress import Progress, Silent

#: precisions that experts can be timed in; others than fp32 by torch.autocast
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: after so many seconds with one batch size, three runs are enough
_ENOUGH_SECONDS = 20.0


@dataclass(frozen=True)
class Timing:
    """How times are taken.

    Attributes:
        warmup: runs that are not counted.
        repeats: runs of which the median counts.
        clock: gives seconds.
        singles: runs of a single sample, out of which tail latencies are made; 0 for none.
        dtype: precision, "fp32", "fp16" or "bf16".

    Raises:
        OrxeError: a number of runs is out of range, or the precision is unknown.
    """

    warmup: int = 2
    repeats: int = 9
    clock: Callable[[], float] = time.perf_counter
    singles: int = 0
    dtype: str = "fp32"

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.repeats < 1:
            raise OrxeError(
                f"warmup is {self.warmup!r} and repeats is {self.repeats!r}: expected at least 0 and at least 1"
            )
        if self.singles < 0:
            raise OrxeError(f"singles is {self.singles!r}: expected at least 0")
        if self.dtype not in DTYPES:
            raise unknown("precision", self.dtype, DTYPES)


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

    An exit inside of a backbone is measured in two parts: the backbone up to it, which others share, and the rest. A
    batch size for which the memory of an accelerator does not suffice is left out, and so are larger ones.

    Args:
        experts: one after the other; the memory of each may be freed before the next one is made.
        make_batch: gives a batch of so many samples, of the kind that inference will hand in.
        batch_sizes: which sizes to measure; others lie between.
        input_view: the view that float tensors show which ``make_batch`` gives, as a cascade's ``input_view``; None:
            they show each expert's own view.
        timing: how often and by which clock; the defaults of :class:`Timing` where it is None.
        progress: shows which expert and size is measured.

    Raises:
        OrxeError: the memory does not suffice for the smallest batch.
    """
    timing = timing or Timing()
    sizes = tuple(sorted(set(batch_sizes)))
    batches = {size: make_batch(size) for size in sizes}
    one = batches.get(1) if timing.singles == 0 or 1 in batches else make_batch(1)
    setup = CascadeSetup(input_view=input_view)
    bar = progress or Silent()
    tables = []
    for expert in experts:
        expert.eval()
        stopwatch = _Stopwatch(expert, setup, timing)
        bar.start(len(sizes), f"latency of {expert.name}")
        rows = []
        for size in sizes:
            try:
                rows.append(stopwatch.measured(batches[size]))
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
                break
            bar.advance(1)
        if not rows:
            raise OrxeError(f"the memory does not suffice for a batch of {sizes[0]} on expert {expert.name!r}")
        tables.append(_table(expert, sizes[: len(rows)], rows, stopwatch.singles(one), timing))
    return LatencyTable.joined(tables)


def machine(device: torch.device) -> str:
    """What a device is called: that of an accelerator, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() if device.type == "cpu" else str(device)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclass(frozen=True)
class _Times:
    """Milliseconds of the runs with one batch: of an expert's own part, and of what it shares with others."""

    own: np.ndarray
    shared: np.ndarray


class _Stopwatch:
    """Times one expert."""

    def __init__(self, expert: Expert, setup: CascadeSetup, timing: Timing) -> None:
        self._expert, self._setup, self._timing = expert, setup, timing
        #: an exit, whose own part begins where the backbone and the saver before it have run
        self.shares = expert.shared_cost > 0 or expert.needs is not None

    def measured(self, batch: Any) -> _Times:
        timing = self._timing
        own = self._runs(lambda: self._own(batch), timing.repeats)
        shared = self._runs(lambda: self._shared(batch), timing.repeats) if self._expert.shared_cost > 0 else []
        return _Times(np.array(own), np.array(shared))

    def singles(self, batch: Any) -> tuple[float, ...]:
        """Times of one sample, rising: all that is asked for."""
        count = self._timing.singles
        if not count:
            return ()
        times = self._runs(lambda: self._own(batch), count)
        if self._expert.shared_cost > 0:
            shared = self._runs(lambda: self._shared(batch), len(times))
            times = [one + other for one, other in zip(times, shared, strict=False)]
        return tuple(sorted(round(value, 4) for value in times))

    def _runs(self, run: Callable[[], float], count: int) -> list[float]:
        for _ in range(self._timing.warmup):
            run()
        times: list[float] = []
        while len(times) < count and not (len(times) >= 3 and sum(times) > 1000 * _ENOUGH_SECONDS):
            times.append(run())
        return times

    def _own(self, batch: Any) -> float:
        context = BatchContext.of(batch, self._setup)
        if self.shares:
            with self._inference():
                self._expert.run(batch, context)
        return self._timed(lambda: self._expert.run(batch, context))

    def _shared(self, batch: Any) -> float:
        context = BatchContext.of(batch, self._setup)
        return self._timed(lambda: self._expert.run_shared(batch, context))

    def _timed(self, run: Callable[[], Any]) -> float:
        clock = self._timing.clock
        with self._inference():
            _wait()
            start = clock()
            run()
            _wait()
            return 1000 * (clock() - start)

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """No gradients, and the precision asked for."""
        dtype, device = self._timing.dtype, self._expert.device.type
        with torch.inference_mode(), nullcontext() if dtype == "fp32" else torch.autocast(device, DTYPES[dtype]):
            yield


def _table(
    expert: Expert, sizes: tuple[int, ...], rows: Sequence[_Times], singles: tuple[float, ...], timing: Timing
) -> LatencyTable:
    name = expert.name
    details = {
        "warmup": timing.warmup,
        "repeats": timing.repeats,
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": str(expert.device),
        "machine": machine(expert.device),
        "dtype": timing.dtype,
        "backend": "eager",
    }
    return LatencyTable(
        sizes,
        {name: tuple(float(np.median(row.own)) for row in rows)},
        details,
        {name: tuple((float(a), float(b)) for a, b in (np.percentile(row.own, (10, 90)) for row in rows))},
        {name: tuple(float(np.median(row.shared)) for row in rows)} if expert.shared_cost > 0 else {},
        {name: singles} if singles else {},
    )


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
