"""Latency as the cost: measured milliseconds of every expert at several batch sizes.

The cost of an expert then depends on how many samples of a batch reach it. :class:`LatencyTable` gives the
expected time of a sub-batch; :mod:`orxe_plugins.search.batched` turns that into one cost per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binom

from orxe_plugins._moved import moved_names
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.util.files import write_json
from orxe_plugins.util.json_files import checked, read_json

#: SciPy's binomial distribution overflows at chances near the least positive float
_LEAST_CHANCE = 1e-300

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)


class _Content(BaseModel):
    """The keys of the file."""

    model_config = ConfigDict(extra="ignore", strict=True)
    batch_sizes: list[Annotated[int, Field(ge=1, le=2**20)]]
    ms_per_batch: dict[str, list[float]]
    details: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds that experts need for whole batches.

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

        An empty batch takes no time. A batch smaller than all measured ones takes as long as the smallest of
        them; the time of larger ones grows in proportion from the largest.
        """
        if name not in self.ms:
            raise unknown("expert with a latency", name, self.ms)
        sizes, ms = np.array(self.batch_sizes, dtype=float), np.array(self.ms[name])
        size = np.asarray(size, dtype=float)
        inside = np.interp(size, sizes, ms)
        return np.where(size <= 0, 0.0, np.where(size > sizes[-1], ms[-1] * size / sizes[-1], inside))

    def expected_ms(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per batch if each of its samples reaches the expert with probability ``share``."""
        count = np.arange(batch_size + 1)
        chance = min(max(share, 0.0), 1.0)
        if chance < _LEAST_CHANCE:
            chance = 0.0
        return float(binom.pmf(count, batch_size, chance) @ self.batch_ms(name, count))

    def per_sample(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per sample that reaches the expert; ``share`` must be above 0."""
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
        content = checked(_Content, data, "the table of latencies")
        rows = {name: tuple(row) for name, row in content.ms_per_batch.items()}
        return cls(tuple(content.batch_sizes), rows, content.details)

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, in place by one rename."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read what :meth:`save` wrote.

        Raises:
            OrxeError: the file is missing, or is not a table of latencies.
        """
        try:
            return cls.from_dict(read_json(path))
        except OrxeError as error:
            raise OrxeError(f"{str(path)!r} is not a readable table of latencies: {error}") from error
