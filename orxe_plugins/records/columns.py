"""Columns of records: between arrays and Arrow, and columns that stay on disk until they are asked for.

A task's prediction column is an array (B, ...), which becomes nested fixed-size lists, or a list of B
arrays (k, ...) of one type with k of their own, which becomes lists: boxes of an image, say. In memory
the latter are object arrays of B arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from orxe_plugins.errors import OrxeError


def to_arrow(values: np.ndarray | Sequence[np.ndarray]) -> pa.Array:
    """An Arrow array of B rows.

    Args:
        values: array (B, ...) of numbers, or B arrays of varying first dimension.
    """
    if isinstance(values, np.ndarray) and values.dtype != object:
        return _fixed(values)
    rows = [np.asarray(row) for row in values]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _fixed(np.concatenate(rows)))


def _fixed(values: np.ndarray) -> pa.Array:
    if 0 in values.shape[1:]:
        raise OrxeError(f"a prediction column has shape {values.shape}: expected at least one value per sample")
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    for size in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def from_arrow(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The inverse of :func:`to_arrow`; rows of varying length come as an object array (B,)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not pa.types.is_list(column.type):
        return _unfixed(column)
    inner, offsets = _unfixed(column.flatten()), column.offsets.to_numpy()
    rows = np.empty(len(column), dtype=object)
    rows[:] = [inner[a:b] for a, b in zip(offsets[:-1] - offsets[0], offsets[1:] - offsets[0], strict=True)]
    return rows


def _unfixed(column: pa.Array) -> np.ndarray:
    shape = [len(column)]
    while pa.types.is_fixed_size_list(column.type):
        shape.append(column.type.list_size)
        column = column.flatten()
    return column.to_numpy(zero_copy_only=False).reshape(shape)


def scatter(values: np.ndarray | Sequence[np.ndarray], valid: np.ndarray) -> np.ndarray | list[np.ndarray]:
    """Rows of the valid samples spread over all samples; the others get NaN, -1, or no element.

    Args:
        values: as many rows as ``valid`` is true.
        valid: bool of shape (M,).
    """
    if isinstance(values, np.ndarray) and values.dtype != object:
        fill = np.nan if values.dtype.kind == "f" else -1 if values.dtype.kind == "i" else 0
        spread = np.full((len(valid), *values.shape[1:]), fill, dtype=values.dtype)
        spread[valid] = values
        return spread
    given = iter(values)
    nothing = np.asarray(values[0])[:0]
    return [np.asarray(next(given)) if here else nothing for here in valid]


class StoredColumn:
    """A prediction column (N, M, ...) that is read from disk when it is asked for.

    It is indexed as an array is: ``column[i]`` reads one expert's rows (M, ...); ``column[:, index]``
    and ``column[[i, j]]`` read nothing and give a smaller column; ``column[experts, samples]`` with
    two integer arrays reads one expert after another. ``np.asarray(column)`` reads everything.

    Args:
        readers: one function per expert; it gives the rows of every stored sample.
        rows: indices of the samples that belong to the column, among the stored ones, (M,).
        row_shape: shape of one sample's value.
        dtype: its type.
    """

    def __init__(
        self, readers: Sequence[Callable[[], np.ndarray]], rows: np.ndarray, row_shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self._readers = tuple(readers)
        self._rows = rows
        self._row_shape = row_shape
        self.dtype = dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, M, ...)."""
        return (len(self._readers), len(self._rows), *self._row_shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._readers)

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(part is Ellipsis for part in parts):
            return np.asarray(self)[key]
        experts, samples, rest = parts[0], parts[1] if len(parts) > 1 else slice(None), tuple(parts[2:])
        if isinstance(experts, (int, np.integer)):
            rows = self._rows[samples]
            return self._readers[experts]()[rows][(slice(None),) * np.ndim(rows) + rest]
        if not isinstance(experts, slice) and not isinstance(samples, slice):
            return self._gather(_positions(experts), _positions(samples), rest)
        readers = [self._readers[i] for i in np.arange(len(self._readers))[experts]]
        rows = self._rows[samples]
        if rest or np.ndim(rows) == 0:
            return np.stack([read()[rows][(slice(None),) * np.ndim(rows) + rest] for read in readers])
        return StoredColumn(readers, rows, self._row_shape, self.dtype)

    def _gather(self, experts: np.ndarray, samples: np.ndarray, rest: tuple[Any, ...]) -> np.ndarray:
        experts, samples = np.broadcast_arrays(experts, samples)
        result = np.empty((*experts.shape, *self._row_shape), dtype=self.dtype)
        for expert in np.unique(experts):
            here = experts == expert
            result[here] = self._readers[expert]()[self._rows[samples[here]]]
        return result[(slice(None),) * experts.ndim + rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        result = np.empty(self.shape, dtype=self.dtype)
        for i, read in enumerate(self._readers):
            result[i] = read()[self._rows]
        return result if dtype is None else result.astype(dtype)


def _positions(index: Any) -> np.ndarray:
    """Integers out of an index that is an array of integers or a bool mask."""
    positions = np.asarray(index)
    return np.flatnonzero(positions) if positions.dtype == bool else positions
