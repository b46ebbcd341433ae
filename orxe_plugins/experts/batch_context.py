"""What experts of one cascade leave for one another while a batch is on its way.

An exit inside of a backbone goes on from the features that an earlier exit computed. The router
hands each expert some rows of the batch alone; here they find which rows those are, and what is
known of them already.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from orxe_plugins.data.batch import put_rows

_Note = TypeVar("_Note")
_CURRENT: ContextVar[Journey | None] = ContextVar("journey", default=None)


@dataclass
class Journey:
    """One batch on its way through a cascade.

    Attributes:
        size: number of samples B.
        rows: the samples of the batch that the running expert is handed, int64 (K,), rising; None: all B.
    """

    size: int
    rows: Tensor | None = None
    _notes: dict[Hashable, Any] = field(default_factory=dict)

    def note(self, key: Hashable, make: Callable[[], _Note]) -> _Note:
        """What is noted under ``key``; made when it is first asked for."""
        if key not in self._notes:
            self._notes[key] = make()
        return cast(_Note, self._notes[key])


@contextmanager
def new_journey(size: int) -> Iterator[Journey]:
    """A journey of a batch of B samples, which lasts as long as the ``with`` block."""
    token = _CURRENT.set(Journey(size))
    try:
        yield cast(Journey, _CURRENT.get())
    finally:
        _CURRENT.reset(token)


@contextmanager
def this_journey(size: int) -> Iterator[Journey]:
    """The journey that is on in this thread; one of its own for an expert that runs alone on B samples."""
    journey = _CURRENT.get()
    if journey is not None:
        yield journey
        return
    with new_journey(size) as alone:
        yield alone


def note_answer(name: str, values: dict[str, Tensor]) -> None:
    """Leave an expert's answer (K, ...) to the rows at hand for those that build on it; no journey keeps none."""
    journey = _CURRENT.get()
    if journey is not None:
        answers_of(journey, name).put(journey.rows, values)


def answers_of(journey: Journey, name: str) -> RowNotes:
    """What is known of an expert's answers to the batch."""
    return journey.note(("answers", name), lambda: RowNotes(journey.size))


class RowNotes:
    """Tensors that hold one value per sample, written for some rows of the batch and read for others.

    Args:
        size: number of samples B of the batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known = torch.zeros(size, dtype=torch.bool)
        self._values: dict[str, Tensor] = {}
        self._whole = False

    def put(self, rows: Tensor | None, values: dict[str, Tensor]) -> None:
        """Write values (K, ...) of K rows; None: of all B."""
        if rows is None:
            self._values, self._whole = dict(values), True
            return
        self._known = self._known.to(rows.device)
        self._known[rows] = True
        self._values = put_rows(self._values, rows, values, self._size)

    def missing(self, rows: Tensor | None) -> Tensor | None:
        """Positions within ``rows`` of those that are not written, int64; None if that is all of them."""
        if self._whole:
            return torch.zeros(0, dtype=torch.int64)
        if not self._values:
            return None
        known = self._known if rows is None else self._known[rows.to(self._known.device)]
        return (~known).nonzero().squeeze(1) if known.any() else None

    def get(self, rows: Tensor | None) -> dict[str, Tensor]:
        """Values (K, ...) of K rows that are all written; None: of all B."""
        if rows is None:
            return self._values
        return {key: value.index_select(0, rows.to(value.device)) for key, value in self._values.items()}
