"""Latency as the cost: measured milliseconds of every expert at several batch sizes.

The cost of an expert then depends on how many samples of a batch come to it. :class:`LatencyTable` says what a
sub-batch is expected to take; :mod:`orxe_plugins.search.batched` turns that into one cost per sample.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import binom

from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.expert import Expert
from orxe_plugins.files import write_json
from orxe_plugins.progress import Progress, Silent

#: SciPy's binomial overflows at the least numbers that a float can be
_LEAST_CHANCE = 1e-300


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds that experts take for whole batches.

    Attributes:
        batch_sizes: K sizes, rising.
        ms: expert's name -> milliseconds per batch of each size, K numbers.
        details: how it was measured, as JSON values.
    """

    batch_sizes: tuple[int, ...]
    ms: dict[str, tuple[float, ...]]
    details: dict[str, Any]

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
            raise OrxeError(f"batch sizes {list(sizes)}: expected rising numbers of at least 1")
        for name, row in self.ms.items():
            if len(row) != len(sizes) or not all(np.isfinite(value) and value >= 0 for value in row):
                raise OrxeError(f"latencies of {name!r} are {list(row)}: expected {len(sizes)} numbers of at least 0")

    def batch_ms(self, name: str, size: Any) -> np.ndarray:
        """Milliseconds for batches of ``size`` samples (any shape): linear between measured sizes.

        An empty batch takes no time; one smaller than all measured ones as long as the smallest; larger
        ones grow in proportion to the largest.
        """
        if name not in self.ms:
            raise unknown("expert with a latency", name, self.ms)
        sizes, ms = np.array(self.batch_sizes, dtype=float), np.array(self.ms[name])
        size = np.asarray(size, dtype=float)
        inside = np.interp(size, sizes, ms)
        return np.where(size <= 0, 0.0, np.where(size > sizes[-1], ms[-1] * size / sizes[-1], inside))

    def expected_ms(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per batch of which each sample comes to the expert with a chance of ``share``."""
        count = np.arange(batch_size + 1)
        chance = min(max(share, 0.0), 1.0)
        if chance < _LEAST_CHANCE:
            chance = 0.0
        return float(binom.pmf(count, batch_size, chance) @ self.batch_ms(name, count))

    def per_sample(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per sample that comes to the expert; ``share`` must be above 0."""
        return self.expected_ms(name, batch_size, share) / (batch_size * share)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "batch_sizes": list(self.batch_sizes),
            "ms_per_batch": {name: list(row) for name, row in self.ms.items()},
            "details": self.details,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LatencyTable:
        """The inverse of :meth:`to_dict`."""
        rows = {name: tuple(row) for name, row in data["ms_per_batch"].items()}
        return cls(tuple(data["batch_sizes"]), rows, dict(data.get("details", {})))

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, in place by one rename."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read what :meth:`save` wrote.

        Raises:
            OrxeError: the file is missing, or is no table of latencies.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OrxeError(f"{str(path)!r} is no readable table of latencies: {error}") from error


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
