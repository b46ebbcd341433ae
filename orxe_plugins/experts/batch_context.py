"""What the experts of one cascade share while a batch is answered: one object that is handed from expert to expert.

The router gives each expert the rows of the batch that reached it, and with them a :class:`BatchContext`. It says
which rows those are and what the cascade decided, and it keeps what earlier experts computed: an exit inside of a
backbone goes on from the features that an earlier exit left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from orxe_plugins.data.batch import batch_size, put_rows
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.features import FeatureTap
from orxe_plugins.experts.label_map import LabelMap

_Note = TypeVar("_Note")


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
    """

    input_view: ImageView | None = None
    labels: Mapping[nn.Module, LabelMap] = field(default_factory=dict)
    remap: Mapping[str, str | None] = field(default_factory=dict)
    needed: Mapping[str, nn.Module] = field(default_factory=dict)
    shared: Mapping[Hashable, Any] = field(default_factory=dict)


#: the setup of an expert that runs alone
ALONE = CascadeSetup()


class BatchContext:
    """One batch while experts answer it.

    Args:
        size: number of samples B of the whole batch.
        setup: what the cascade decided.

    Attributes:
        rows: the samples of the batch that are at hand, int64 (K,), rising; None: all B.
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
