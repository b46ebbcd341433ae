"""A backbone in stages: run up to an exit, and from there on only for the samples that did not exit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from orxe_plugins.data.batch import Rows
from orxe_plugins.experts.batch_context import RowNotes


class Backbone(Protocol):
    """A model whose stages run one by one. An adapter makes one.

    Attributes:
        model: the whole model.
        names: the S stages, as its framework calls them.
        widths: number of channels after each stage.
        shapes: shape of each stage's output for one sample.
    """

    model: nn.Module
    names: tuple[str, ...]
    widths: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    def stage(self, index: int, values: Tensor) -> Tensor:
        """Run one stage on the output of the stage before it; the first one on images."""

    def pool(self, index: int, values: Tensor) -> Tensor:
        """Mean of a stage's output over all positions, (B, widths[index])."""

    def head(self, values: Tensor) -> Tensor:
        """The model's own logits (B, C), given the output of the last stage."""


class StageCache:
    """What the stages of one backbone gave for the samples of one batch.

    Args:
        backbone: the backbone.
        size: number of samples B of the batch.
    """

    def __init__(self, backbone: Backbone, size: int) -> None:
        self._backbone = backbone
        self._size = size
        self._outputs: dict[int, RowNotes] = {}
        self._pooled: dict[int, RowNotes] = {}

    def output_of(self, stage: int, rows: Tensor | None, prepare: Callable[[Tensor | None], Tensor]) -> Tensor:
        """The output of a stage for some rows; what was computed before is not computed again.

        Args:
            stage: number of the stage.
            rows: K rising rows of the batch, int64; None: all B.
            prepare: makes the model's input for some of them, given their rows; None: for all B.

        Returns:
            (K, ...), in the order of ``rows``.
        """
        notes = self._outputs.setdefault(stage, RowNotes(self._size))
        lacking = notes.missing(rows)
        if lacking is None or len(lacking):
            left = rows if lacking is None else lacking if rows is None else rows[lacking.to(rows.device)]
            start = max((known for known in self._outputs if known < stage), default=-1)
            values = prepare(left) if start < 0 else self.output_of(start, left, prepare)
            for index in range(start + 1, stage + 1):
                values = self._backbone.stage(index, values)
                pooled = self._backbone.pool(index, values)
                self._pooled.setdefault(index, RowNotes(self._size)).put(left, {"pooled": pooled})
            notes.put(left, {"values": values})
        return notes.get(rows)["values"]

    def taken(self, rows: Rows) -> StageCache:
        """The same for K of the samples alone, as a batch of their own."""
        other = StageCache(self._backbone, len(rows))
        for mine, its in ((self._outputs, other._outputs), (self._pooled, other._pooled)):
            its.update({stage: notes.taken(rows) for stage, notes in mine.items()})
        return other

    @staticmethod
    def joined(parts: Sequence[StageCache | None], sizes: Sequence[int]) -> StageCache:
        """The same for batches behind one another; None: no stage ran on a batch."""
        first = next(part for part in parts if part is not None)
        other = StageCache(first._backbone, sum(sizes))
        for kind in ("_outputs", "_pooled"):
            stages = {stage: None for part in parts if part is not None for stage in getattr(part, kind)}
            for stage in stages:
                notes = [getattr(part, kind).get(stage) if part is not None else None for part in parts]
                getattr(other, kind)[stage] = RowNotes.joined(notes, sizes)
        return other

    def pooled(self, stages: Sequence[int], rows: Tensor | None) -> list[Tensor]:
        """Pooled features (K, F) of stages that ran on all these rows."""
        return [self._pooled[stage].get(rows)["pooled"] for stage in stages]


def places_in(rows: Tensor | None, some: Tensor | None) -> Tensor | None:
    """Where ``some`` rows stand within ``rows``, both rising; None stands for all."""
    if rows is None or some is None:
        return some
    return torch.searchsorted(rows, some.to(rows.device))


class UpTo(nn.Module):
    """A backbone from the image to the output of one stage, to count operations on."""

    def __init__(self, backbone: Backbone, stage: int) -> None:
        super().__init__()
        self.model = backbone.model
        self._backbone = backbone
        self._stage = stage

    def forward(self, values: Tensor) -> Tensor:
        for index in range(self._stage + 1):
            values = self._backbone.stage(index, values)
        return values


class Behind(nn.Module):
    """What follows the last stage of a backbone, to count operations on."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.model = backbone.model
        self._backbone = backbone

    def forward(self, values: Tensor) -> Tensor:
        return self._backbone.head(values)
