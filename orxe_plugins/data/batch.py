"""Rows of a batch: take some out, and put answers back, for tensors, lists and mappings.

A batch is what a framework hands in: a tensor whose first dimension counts the samples, a list
or tuple with one element per sample, or a mapping of such things that all have the same length.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.errors import OrxeError


class Rows:
    """Some rows of a batch, which the host knows; they are placed on each device once.

    Args:
        index: int64 tensor of shape (K,) on the host.
    """

    def __init__(self, index: Tensor) -> None:
        self.index = index
        self._placed: dict[torch.device, Tensor] = {index.device: index}

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def listed(self) -> list[int]:
        """The rows as numbers."""
        return self.index.tolist()

    def on(self, device: torch.device) -> Tensor:
        """The rows on a device; the host does not wait for it."""
        if device not in self._placed:
            self._placed[device] = self.index.to(device, non_blocking=True)
        return self._placed[device]


def _rows(index: Tensor | Rows) -> Rows:
    return index if isinstance(index, Rows) else Rows(index)


def batch_size(batch: Any) -> int:
    """Number of samples in ``batch``.

    Raises:
        OrxeError: it is not a tensor, list, tuple or mapping, or its parts differ in length.
    """
    if isinstance(batch, Tensor):
        if batch.ndim == 0:
            raise OrxeError("a batch is a tensor without dimensions: expected (B, ...)")
        return batch.shape[0]
    if isinstance(batch, (list, tuple)):
        return len(batch)
    if isinstance(batch, Mapping):
        sizes = {key: batch_size(part) for key, part in batch.items()}
        if len(set(sizes.values())) != 1:
            raise OrxeError(f"the parts of a batch have different lengths: {sizes}")
        return next(iter(sizes.values()))
    raise OrxeError(f"a batch is a {type(batch).__name__}: expected a tensor, a list or a mapping of them")


def take_rows(batch: Any, index: Tensor | Rows) -> Any:
    """The samples of ``batch`` at ``index``, K of them, in that order.

    Args:
        batch: the samples.
        index: int64 tensor of shape (K,), or rows that the host knows.
    """
    chosen = _rows(index)
    if isinstance(batch, Tensor):
        rows = batch.index_select(0, chosen.on(batch.device))
        # Indexing returns the default layout; convolutions of a channels_last model are faster in theirs.
        if batch.ndim == 4 and batch.is_contiguous(memory_format=torch.channels_last):
            rows = rows.contiguous(memory_format=torch.channels_last)
        return rows
    if isinstance(batch, Mapping):
        return {key: take_rows(part, chosen) for key, part in batch.items()}
    return [batch[i] for i in chosen.listed]


def put_rows(store: Any, index: Tensor | Rows, rows: Any, size: int) -> Any:
    """Write ``rows`` at ``index`` of ``store``, a batch of ``size`` samples; None makes a new store.

    Args:
        store: what an earlier call returned, or None. It stays as it is.
        index: int64 tensor of shape (K,), or rows that the host knows.
        rows: K samples, as a tensor (K, ...), a list, or a mapping of them.
        size: number of samples B of the whole batch.

    Returns:
        The store: of the kind of ``rows``, with B samples. Rows never written are undefined.
    """
    chosen = _rows(index)
    if isinstance(rows, Tensor):
        if store is None:
            store = rows.new_zeros((size, *rows.shape[1:]))
        if store.shape[1:] != rows.shape[1:]:
            raise OrxeError(
                f"experts of one cascade give outputs of different shapes: "
                f"{tuple(store.shape[1:])} and {tuple(rows.shape[1:])} per sample"
            )
        return store.index_copy(0, chosen.on(store.device), rows.to(store.device, store.dtype))
    if isinstance(rows, Mapping):
        store = store or {}
        return {key: put_rows(store.get(key), chosen, part, size) for key, part in rows.items()}
    store = [None] * size if store is None else list(store)
    for i, row in zip(chosen.listed, rows, strict=True):
        store[i] = row
    return store


def joined(batches: Sequence[Any]) -> Any:
    """Several batches behind one another, as one batch; batches of different kinds as a list of their samples."""
    first = batches[0]
    if len(batches) == 1:
        return first
    if all(isinstance(part, Tensor) and part.shape[1:] == first.shape[1:] for part in batches):
        rows = torch.cat([part.to(first.device, first.dtype) for part in batches])
        if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last):
            return rows.contiguous(memory_format=torch.channels_last)
        return rows
    if all(isinstance(part, Mapping) and part.keys() == first.keys() for part in batches):
        return {key: joined([part[key] for part in batches]) for key in first}
    return [row for part in batches for row in samples_of(part)]


def stacked(samples: Sequence[Any]) -> Any:
    """Single samples as one batch: tensors of one shape are stacked, mappings by key; a list of all others."""
    first = samples[0]
    if isinstance(first, Tensor):
        alike = all(isinstance(s, Tensor) and (s.shape, s.dtype) == (first.shape, first.dtype) for s in samples)
        return torch.stack(list(samples)) if alike else list(samples)
    if isinstance(first, Mapping) and all(isinstance(s, Mapping) and s.keys() == first.keys() for s in samples):
        return {key: stacked([sample[key] for sample in samples]) for key in first}
    return list(samples)


def batch_of(outputs: Sequence[Any]) -> Any:
    """Single outputs as one batch; where one is missing, NaN stands in its place, or None in a list.

    Raises:
        OrxeError: tensors of different shapes.
    """
    like = next((one for one in outputs if one is not None), None)
    if isinstance(like, dict):
        return {key: batch_of([None if one is None else one[key] for one in outputs]) for key in like}
    if not isinstance(like, Tensor):
        return list(outputs)
    filler = torch.full_like(like, float("nan")) if like.is_floating_point() else torch.zeros_like(like)
    rows = [filler if one is None else one.to(like.device, like.dtype) for one in outputs]
    different = next((row for row in rows if row.shape != like.shape), None)
    if different is not None:
        raise OrxeError(
            "experts of one cascade give outputs of different shapes: "
            f"{tuple(like.shape)} and {tuple(different.shape)} per sample"
        )
    return torch.stack(rows)


def samples_of(batch: Any) -> list[Any]:
    """The samples of a batch one by one; a mapping for each where the batch is one."""
    if isinstance(batch, Tensor):
        return list(batch.unbind(0))
    if isinstance(batch, Mapping):
        parts = [samples_of(part) for part in batch.values()]
        return [dict(zip(batch, values, strict=True)) for values in zip(*parts, strict=True)]
    return list(batch)


def rows_by(keys: Iterable[Hashable]) -> list[list[int]]:
    """Positions of the samples that share a key, such as the shape of their view; in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        rows.setdefault(key, []).append(i)
    return list(rows.values())
