from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.data.batch import batch_size, put_rows, rows_by, take_rows
from orxe_plugins.errors import OrxeError


@given(size=st.integers(1, 20), data=st.data())
def test_what_is_taken_out_can_be_put_back(size: int, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, size - 1), unique=True))
    index = torch.tensor(chosen, dtype=torch.int64)
    rest = torch.tensor([i for i in range(size) if i not in chosen], dtype=torch.int64)
    batches = [torch.arange(size * 3).reshape(size, 3), [f"image {i}" for i in range(size)]]
    batches.append({"a": batches[0], "b": batches[1]})
    for batch in batches:
        store = put_rows(None, index, take_rows(batch, index), size)
        store = put_rows(store, rest, take_rows(batch, rest), size)
        assert batch_size(store) == size
        if isinstance(batch, torch.Tensor):
            assert torch.equal(store, batch)
        elif isinstance(batch, dict):
            assert torch.equal(store["a"], batch["a"]) and store["b"] == batch["b"]
        else:
            assert store == batch


def test_rows_keep_the_channels_last_layout() -> None:
    batch = torch.randn(6, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    rows = take_rows(batch, torch.tensor([4, 1]))
    assert rows.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(rows, batch[[4, 1]])


def test_gradients_pass_through_both_ways() -> None:
    batch = torch.randn(4, 2, requires_grad=True)
    store = put_rows(None, torch.tensor([3, 0]), take_rows(batch, torch.tensor([3, 0])) * 2, 4)
    store.sum().backward()
    assert batch.grad is not None
    assert batch.grad.tolist() == [[2, 2], [0, 0], [0, 0], [2, 2]]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.tensor(1.0), "without dimensions"),
        ("text", "is a str"),
        ({"a": [1, 2], "b": [1]}, "different lengths"),
    ],
)
def test_what_is_no_batch_is_refused(batch: object, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        batch_size(batch)


def test_outputs_of_different_shapes_are_refused() -> None:
    store = put_rows(None, torch.tensor([0]), torch.zeros(1, 10), 2)
    with pytest.raises(OrxeError, match="different shapes"):
        put_rows(store, torch.tensor([1]), torch.zeros(1, 7), 2)


def test_rows_of_one_key_are_together() -> None:
    assert rows_by("abcab") == [[0, 3], [1, 4], [2]]
    assert rows_by([]) == []
