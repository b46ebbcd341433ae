"""Time as the cost: measured milliseconds of every expert at several batch sizes, on one device.

There are two ways to ask what an expert costs in time, and they are kept apart. In a batch of a fixed size, an expert
gets only those samples that reach it, and small sub-batches cost more for each of them: see
:meth:`LatencyTable.expected_ms`. In a stream, samples wait until each expert has a full batch: see
:meth:`LatencyTable.full_ms`. :mod:`orxe_plugins.search.batched` turns both into one cost per sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

_Rows = dict[str, tuple[float, ...]]


class _Content(BaseModel):
    """The keys of the file."""

    model_config = ConfigDict(extra="ignore", strict=True)
    batch_sizes: list[Annotated[int, Field(ge=1, le=2**20)]]
    ms_per_batch: dict[str, list[float]]
    details: dict[str, Any] = Field(default_factory=dict)
    spread: dict[str, list[Annotated[list[float], Field(min_length=2, max_length=2)]]] = Field(default_factory=dict)
    shared_ms_per_batch: dict[str, list[float]] = Field(default_factory=dict)
    single_ms: dict[str, list[float]] = Field(default_factory=dict)


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds that experts need for whole batches on one device.

    Attributes:
        batch_sizes: K sizes, rising.
        ms: expert's name -> milliseconds per batch of each size, K numbers: medians. Of an exit, its own part alone.
        details: how and where it was measured, as JSON values.
        spread: expert's name -> for each size the 10th and the 90th percentile, as K pairs.
        shared: exit's name -> milliseconds of the backbone up to the exit, K numbers, preprocessing included; other
            experts are not in it.
        single: expert's name -> all times of a batch of one sample, rising; what tail latencies are made of.
    """

    batch_sizes: tuple[int, ...]
    ms: _Rows
    details: dict[str, Any]
    spread: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    shared: _Rows = field(default_factory=dict)
    single: _Rows = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
        if not whole or not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
            raise OrxeError(f"batch sizes {list(sizes)}: expected rising numbers of at least 1")
        if not self.ms:
            raise OrxeError("a table of latencies without experts: expected milliseconds of at least one")
        for rows in (self.ms, self.shared):
            for name, row in rows.items():
                if len(row) != len(sizes) or not _times(row):
                    raise OrxeError(
                        f"latencies of {name!r} are {list(row)}: expected {len(sizes)} numbers of at least 0"
                    )
        for name, pairs in self.spread.items():
            good = all(len(pair) == 2 and _times(pair) and pair[0] <= pair[1] for pair in pairs)
            if len(pairs) != len(sizes) or not good:
                raise OrxeError(f"the spread of {name!r} is {list(pairs)}: expected {len(sizes)} rising pairs")
        for name, row in self.single.items():
            if not row or not _times(row) or list(row) != sorted(row):
                raise OrxeError(f"the times of {name!r} for one sample are {list(row)!r:.100}: expected rising numbers")
        for name in (*self.spread, *self.shared, *self.single):
            if name not in self.ms:
                raise unknown("expert with a latency", name, self.ms)

    def batch_ms(self, name: str, size: Any) -> np.ndarray:
        """Milliseconds for batches of ``size`` samples (any shape): linear between measured sizes.

        An empty batch takes no time. A batch smaller than all measured ones takes as long as the smallest of
        them; the time of larger ones grows in proportion from the largest.
        """
        return self._between(self.ms, name, size)

    def shared_ms(self, name: str, size: Any) -> np.ndarray:
        """The same for the backbone up to an exit; 0 for an expert that is no exit."""
        return self._between(self.shared, name, size) if name in self.shared else np.zeros(np.shape(size))

    def expected_ms(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per batch if each of its samples reaches the expert with probability ``share``."""
        return self._expected(self.ms, name, batch_size, share)

    def expected_shared_ms(self, name: str, batch_size: int, share: float) -> float:
        """The same for the backbone up to an exit, which ``share`` of the samples go through."""
        return self._expected(self.shared, name, batch_size, share) if name in self.shared else 0.0

    def per_sample(self, name: str, batch_size: int, share: float) -> float:
        """Expected milliseconds per sample that reaches the expert; ``share`` must be above 0."""
        return self.expected_ms(name, batch_size, share) / (batch_size * share)

    def full_ms(self, name: str, batch_size: int) -> float:
        """Milliseconds per sample in full batches, as a stream makes them."""
        return float(self.batch_ms(name, batch_size)) / batch_size

    def alone_ms(self, name: str, size: int) -> float:
        """Milliseconds for a batch that one expert answers alone, its part of a backbone included."""
        return float(self.batch_ms(name, size) + self.shared_ms(name, size))

    def _between(self, rows: Mapping[str, Sequence[float]], name: str, size: Any) -> np.ndarray:
        if name not in rows:
            raise unknown("expert with a latency", name, rows)
        sizes, ms = np.array(self.batch_sizes, dtype=float), np.array(rows[name])
        size = np.asarray(size, dtype=float)
        inside = np.interp(size, sizes, ms)
        return np.where(size <= 0, 0.0, np.where(size > sizes[-1], ms[-1] * size / sizes[-1], inside))

    def _expected(self, rows: Mapping[str, Sequence[float]], name: str, batch_size: int, share: float) -> float:
        count = np.arange(batch_size + 1)
        chance = min(max(share, 0.0), 1.0)
        if chance < _LEAST_CHANCE:
            chance = 0.0
        return float(binom.pmf(count, batch_size, chance) @ self._between(rows, name, count))

    def at_sizes(self, sizes: Sequence[int]) -> LatencyTable:
        """The times at some of the measured batch sizes."""
        kept = [i for i, size in enumerate(self.batch_sizes) if size in sizes]
        ms, shared = (
            {name: tuple(row[i] for i in kept) for name, row in rows.items()} for rows in (self.ms, self.shared)
        )
        spread = {name: tuple(pairs[i] for i in kept) for name, pairs in self.spread.items()}
        return LatencyTable(tuple(self.batch_sizes[i] for i in kept), ms, self.details, spread, shared, self.single)

    @classmethod
    def joined(cls, tables: Sequence[LatencyTable]) -> LatencyTable:
        """One table of several that were measured in the same way, at the batch sizes that all of them have."""
        common = set(tables[0].batch_sizes).intersection(*(table.batch_sizes for table in tables))
        if not common:
            raise OrxeError("there is no batch size at which all experts were measured: give smaller batch sizes")
        cut = [table.at_sizes(sorted(common)) for table in tables]

        def all_of(part: str) -> dict[str, Any]:
            return {name: row for table in cut for name, row in getattr(table, part).items()}

        rows = (all_of(part) for part in ("spread", "shared", "single"))
        return cls(cut[0].batch_sizes, all_of("ms"), tables[0].details, *rows)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        more = {
            "spread": {name: [list(pair) for pair in pairs] for name, pairs in self.spread.items()},
            "shared_ms_per_batch": {name: list(row) for name, row in self.shared.items()},
            "single_ms": {name: list(row) for name, row in self.single.items()},
        }
        return {
            "batch_sizes": list(self.batch_sizes),
            "ms_per_batch": {name: list(row) for name, row in self.ms.items()},
            "details": self.details,
            **{key: value for key, value in more.items() if value},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LatencyTable:
        """The inverse of :meth:`to_dict`.

        Raises:
            OrxeError: a key is wrong, and it is named, or the numbers do not fit each other.
        """
        content = checked(_Content, data, "the table of latencies")
        return cls(
            tuple(content.batch_sizes),
            _rows(content.ms_per_batch),
            content.details,
            {name: tuple((low, high) for low, high in pairs) for name, pairs in content.spread.items()},
            _rows(content.shared_ms_per_batch),
            _rows(content.single_ms),
        )

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


def _rows(data: Mapping[str, Sequence[float]]) -> _Rows:
    return {name: tuple(row) for name, row in data.items()}


def _times(row: Sequence[Any]) -> bool:
    """Whether all are numbers of milliseconds."""
    numbers = (isinstance(value, (int, float)) and not isinstance(value, bool) for value in row)
    return all(numbers) and all(np.isfinite(value) and value >= 0 for value in row)
