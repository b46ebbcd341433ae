"""Rows of a batch: take some out, and put answers back, for tensors, lists and mappings.

A batch is what a framework hands in: a tensor whose first dimension counts the samples, a list
or tuple with one element per sample, or a mapping of such things that all have the same length.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.errors import OrxeError


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


def take_rows(batch: Any, index: Tensor) -> Any:
    """The samples of ``batch`` at ``index``, an int64 tensor of shape (K,), in that order."""
    if isinstance(batch, Tensor):
        rows = batch.index_select(0, index.to(batch.device))
        # Indexing returns the default layout; convolutions of a channels_last model are faster in theirs.
        if batch.ndim == 4 and batch.is_contiguous(memory_format=torch.channels_last):
            rows = rows.contiguous(memory_format=torch.channels_last)
        return rows
    if isinstance(batch, Mapping):
        return {key: take_rows(part, index) for key, part in batch.items()}
    return [batch[i] for i in index.tolist()]


def put_rows(store: Any, index: Tensor, rows: Any, size: int) -> Any:
    """Write ``rows`` at ``index`` of ``store``, a batch of ``size`` samples; None makes a new store.

    Args:
        store: what an earlier call returned, or None.
        index: int64 tensor of shape (K,).
        rows: K samples, as a tensor (K, ...), a list, or a mapping of them.
        size: number of samples B of the whole batch.

    Returns:
        The store: of the kind of ``rows``, with B samples. Rows never written are undefined.
    """
    if isinstance(rows, Tensor):
        if store is None:
            store = rows.new_zeros((size, *rows.shape[1:]))
        if store.shape[1:] != rows.shape[1:]:
            raise OrxeError(
                f"experts of one cascade give outputs of different shapes: "
                f"{tuple(store.shape[1:])} and {tuple(rows.shape[1:])} per sample"
            )
        return store.index_copy(0, index.to(store.device), rows.to(store.device, store.dtype))
    if isinstance(rows, Mapping):
        store = store or {}
        return {key: put_rows(store.get(key), index, part, size) for key, part in rows.items()}
    store = [None] * size if store is None else store
    for i, row in zip(index.tolist(), rows, strict=True):
        store[i] = row
    return store


def rows_by(keys: Iterable[Hashable]) -> list[list[int]]:
    """Positions of the samples that share a key, such as the shape of their view; in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        rows.setdefault(key, []).append(i)
    return list(rows.values())
