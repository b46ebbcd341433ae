"""What the experts of one cascade share while a batch is answered: one object that is handed from expert to expert.

The router gives each expert the rows of the batch that reached it, and with them a :class:`BatchContext`. It says
which rows those are and what the cascade decided, and it keeps what earlier experts computed: an exit inside of a
backbone goes on from the features that an earlier exit left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from orxe_plugins.data.batch import Rows, batch_size, joined, put_rows, take_rows
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.features import FeatureTap
from orxe_plugins.experts.label_map import LabelMap

_Note = TypeVar("_Note")


class FastWay(Protocol):
    """A faster way to run one expert."""

    def run(self, batch: Any, context: BatchContext) -> Any:
        """The expert's answers; None where it has to run as ever."""


@dataclass(frozen=True, eq=False)
class CascadeSetup:
    """What a cascade decided for its experts. It belongs to the cascade, so that an expert may serve in several.

    Attributes:
        input_view: the view that the one float tensor shows which all classifiers are handed; None: each of them is
            handed its own view.
        labels: the label space in which each detector answers; a detector that is not in it answers in its own.
        remap: what the cascade's caller calls labels of some detector in that space; None drops a label.
        needed: experts whose answers others build on, by name: their answers are noted.
        shared: what several experts hold alike, such as a backbone, by its key: the one that all of them use.
        fast: faster ways to run experts, on one device; see :meth:`orxe_plugins.Cascade.optimize`.
    """

    input_view: ImageView | None = None
    labels: Mapping[nn.Module, LabelMap] = field(default_factory=dict)
    remap: Mapping[str, str | None] = field(default_factory=dict)
    needed: Mapping[str, nn.Module] = field(default_factory=dict)
    shared: Mapping[Hashable, Any] = field(default_factory=dict)
    fast: Mapping[nn.Module, FastWay] = field(default_factory=dict)


#: the setup of an expert that runs alone
ALONE = CascadeSetup()


class BatchContext:
    """One batch while experts answer it.

    Args:
        size: number of samples B of the whole batch.
        setup: what the cascade decided.

    Attributes:
        rows: the samples of the batch that are at hand, int64 (K,) on the host, rising; None: all B.
        taps: the open taps on experts' features, by expert.
    """

    def __init__(self, size: int, setup: CascadeSetup = ALONE) -> None:
        self.size = size
        self.setup = setup
        self.rows: Tensor | None = None
        self.taps: dict[nn.Module, FeatureTap] = {}
        self._notes: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, batch: Any, setup: CascadeSetup = ALONE) -> BatchContext:
        """The context of a whole batch (see ``orxe_plugins.data.batch``)."""
        return cls(batch_size(batch), setup)

    def on_rows(self, rows: Tensor | None) -> BatchContext:
        """The same context with other rows at hand; notes and taps are shared with this one."""
        other = BatchContext(self.size, self.setup)
        other.rows, other.taps, other._notes = rows, self.taps, self._notes
        return other

    def taken(self, rows: Rows) -> BatchContext:
        """A context of K of the samples alone, as a batch of their own; what is noted of them goes along.

        A note goes along that has the methods ``taken(rows)`` and ``joined(parts, sizes)``, as :class:`RowNotes` has;
        others are made anew when they are asked for.
        """
        other = BatchContext(len(rows), self.setup)
        # A list, for an expert that hangs on the batch may still note something.
        notes = list(self._notes.items())
        other._notes = {key: note.taken(rows) for key, note in notes if hasattr(note, "taken")}
        return other

    @staticmethod
    def joined(contexts: Sequence[BatchContext]) -> BatchContext:
        """The context of batches behind one another, as one batch, with what is noted of any of them."""
        sizes = [context.size for context in contexts]
        other = BatchContext(sum(sizes), contexts[0].setup)
        for key in {key: None for context in contexts for key in context._notes}:
            parts = [context._notes.get(key) for context in contexts]
            kind = next(part for part in parts if part is not None)
            if hasattr(kind, "joined"):
                other._notes[key] = kind.joined(parts, sizes)
        return other

    def note(self, key: Hashable, make: Callable[[], _Note]) -> _Note:
        """What is noted under ``key``; made when it is first asked for."""
        if key not in self._notes:
            self._notes[key] = make()
        return cast(_Note, self._notes[key])

    def answers_of(self, name: str) -> RowNotes:
        """What is known of an expert's answers to the batch."""
        return self.note(("answers", name), lambda: RowNotes(self.size))

    def next_call_on(self, expert: nn.Module, rows: list[int]) -> None:
        """The next call of an expert's module is on these of the rows at hand.

        An expert that calls its module once, or in the order of the rows, need not say it.
        """
        tap = self.taps.get(expert)
        if tap is not None:
            tap.next_call_on(rows)


class RowNotes:
    """Tensors that hold one value per sample, written for some rows of the batch and read for others.

    Which rows are written is known on the host, so that no device is asked for it.

    Args:
        size: number of samples B of the batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known = np.zeros(size, dtype=bool)
        self._values: dict[str, Tensor] = {}
        self._whole = False

    def put(self, rows: Tensor | None, values: dict[str, Tensor]) -> None:
        """Write values (K, ...) of K rows; None: of all B."""
        if rows is None:
            self._values, self._whole = dict(values), True
            return
        rows = rows.cpu()
        self._known[rows.numpy()] = True
        self._values = put_rows(self._values, Rows(rows), values, self._size)
        self._whole = self._whole or bool(self._known.all())

    def missing(self, rows: Tensor | None) -> Tensor | None:
        """Positions within ``rows`` of those that are not written, int64; None if that is all of them."""
        if self._whole:
            return torch.zeros(0, dtype=torch.int64)
        if not self._values:
            return None
        known = self._known if rows is None else self._known[rows.cpu().numpy()]
        return torch.from_numpy(np.flatnonzero(~known)) if known.any() else None

    def taken(self, rows: Rows) -> RowNotes:
        """Notes on K of the samples alone, as a batch of their own."""
        other = RowNotes(len(rows))
        other._known, other._whole = self._known[rows.index.numpy()], self._whole
        other._values = take_rows(self._values, rows)
        return other

    @staticmethod
    def joined(parts: Sequence[RowNotes | None], sizes: Sequence[int]) -> RowNotes:
        """Notes on batches behind one another; None: nothing is noted of a batch."""
        other = RowNotes(sum(sizes))
        other._known = np.concatenate(
            [part._written if part else np.zeros(n, bool) for part, n in zip(parts, sizes, strict=True)]
        )
        other._whole = bool(other._known.all())
        written = next((part._values for part in parts if part is not None and part._values), {})
        for key, like in written.items():
            values = [part._values.get(key) if part else None for part in parts]
            other._values[key] = joined(
                [like.new_zeros((n, *like.shape[1:])) if v is None else v for v, n in zip(values, sizes, strict=True)]
            )
        return other

    @property
    def _written(self) -> np.ndarray:
        return np.ones(self._size, dtype=bool) if self._whole else self._known

    def get(self, rows: Tensor | None) -> dict[str, Tensor]:
        """Values (K, ...) of K rows that are all written; None: of all B."""
        return dict(self._values) if rows is None else take_rows(self._values, Rows(rows))
