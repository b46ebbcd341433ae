"""What experts of one batch leave for one another."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from orxe_plugins.experts.batch_context import BatchContext, RowNotes


@given(size=st.integers(1, 8), data=st.data())
def test_rows_that_were_written_are_read_and_the_others_are_missing(size: int, data: st.DataObject) -> None:
    notes, written = RowNotes(size), dict[int, float]()
    some = st.lists(st.integers(0, size - 1), min_size=1, unique=True).map(sorted)
    for rows in data.draw(st.lists(some, max_size=4)):
        values = torch.rand(len(rows), 2)
        notes.put(torch.tensor(rows), {"x": values})
        written.update(zip(rows, values[:, 0].tolist(), strict=True))
    asked = data.draw(some)
    missing = notes.missing(torch.tensor(asked))
    lacking = [place for place, row in enumerate(asked) if row not in written]
    assert lacking == (list(range(len(asked))) if missing is None else missing.tolist())
    known = [row for row in asked if row in written]
    if known:
        assert notes.get(torch.tensor(known))["x"][:, 0].tolist() == [written[row] for row in known]
    notes.put(None, {"x": torch.zeros(size, 2)})
    assert notes.missing(torch.tensor(asked)).tolist() == []  # type: ignore[union-attr]


def test_other_rows_at_hand_share_notes_and_taps() -> None:
    whole = BatchContext.of(torch.zeros(4, 2))
    part = whole.on_rows(torch.tensor([1, 3]))
    part.answers_of("small").put(part.rows, {"outputs": torch.ones(2, 3)})
    assert whole.rows is None and whole.size == part.size == 4
    assert whole.answers_of("small").missing(None).tolist() == [0, 2]  # type: ignore[union-attr]
    assert whole.taps is part.taps and whole.setup is part.setup
    other = BatchContext.of(torch.zeros(4, 2))
    assert other.answers_of("small").missing(None) is None
    whole.next_call_on(nn.Identity(), [0])  # no tap is open: nothing happens
