"""BoxRows: what is done to a batch's boxes together equals what is done to each image's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError

NAMES = ("cat", "dog", "owl")


@st.composite
def batches(draw: st.DrawFn) -> list[Detections]:
    made = []
    for k in draw(st.lists(st.integers(0, 5), max_size=4)):
        seed = torch.Generator().manual_seed(draw(st.integers(0, 99)))
        corner = torch.rand((k, 2), generator=seed)
        # Few different scores, so that some tie.
        scores = torch.randint(0, 4, (k,), generator=seed) / 4
        labels = torch.randint(0, len(NAMES), (k,), generator=seed)
        made.append(Detections(torch.cat([corner, corner + 1], dim=1), scores, labels, NAMES))
    return made


def _same(one: list[Detections], other: list[Detections]) -> bool:
    parts = ("boxes", "scores", "labels")
    return len(one) == len(other) and all(
        a.names == b.names and all(torch.equal(getattr(a, part), getattr(b, part)) for part in parts)
        for a, b in zip(one, other, strict=True)
    )


@given(batches())
def test_a_batch_comes_back_as_it_was(batch: list[Detections]) -> None:
    assert _same(BoxRows.of(batch).detections(NAMES), batch)


@given(batches(), st.integers(0, 4))
def test_a_batch_is_sorted_and_cut_as_each_image_is(batch: list[Detections], limit: int) -> None:
    found = BoxRows.of(batch).best_first().at_most(limit)
    assert _same(found.detections(NAMES), [each.best_first().take(slice(limit)) for each in batch])


@given(batches())
def test_a_batch_is_relabelled_as_each_image_is(batch: list[Detections]) -> None:
    index = torch.tensor([1, -1, 0])
    found = BoxRows.of(batch).relabelled(index)
    assert _same(found.detections(("owl", "cat")), [each.relabelled(index, ("owl", "cat")) for each in batch])


def test_bad_boxes_of_any_image_are_told() -> None:
    good, bad = torch.tensor([[0.0, 0, 1, 1, 0.5, 0]]), torch.tensor([[0.0, 0, 1, 1, 0.5, 7]])
    with pytest.raises(OrxeError, match="label 1 of 2 detections is 7"):
        BoxRows.of_parts([good, bad]).detections(NAMES)
