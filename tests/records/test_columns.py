from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orxe_plugins import OrxeError
from orxe_plugins.records.columns import StoredColumn, from_arrow, scatter, to_arrow

TYPES = st.sampled_from([np.uint8, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


@given(values=hnp.arrays(TYPES, SHAPES))
def test_arrays_survive_arrow(values: np.ndarray) -> None:
    back = from_arrow(to_arrow(values))
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=6), width=st.integers(1, 3), start=st.integers(0, 5))
def test_rows_of_any_length_survive_arrow_whole_and_cut(lengths: list[int], width: int, start: int) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.random((length, width)).astype(np.float32) for length in lengths]
    column = to_arrow(rows)
    for back, expected in ((from_arrow(column), rows), (from_arrow(column[start:]), rows[start:])):
        assert len(back) == len(expected)
        for one, other in zip(back, expected, strict=True):
            assert one.shape == other.shape
            np.testing.assert_array_equal(one, other)


def test_chunks_are_one_column() -> None:
    values = np.arange(12.0).reshape(6, 2)
    chunks = pa.chunked_array([to_arrow(values[:4]), to_arrow(values[4:])])
    np.testing.assert_array_equal(from_arrow(chunks), values)


def test_a_column_without_values_is_refused() -> None:
    with pytest.raises(OrxeError, match="at least one value per sample"):
        to_arrow(np.zeros((3, 0)))


def test_scattered_rows_leave_holes_that_can_be_told() -> None:
    valid = np.array([True, False, True])
    floats = scatter(np.array([[1.0], [2.0]]), valid)
    assert isinstance(floats, np.ndarray)
    assert np.isnan(floats[1]).all() and floats[[0, 2], 0].tolist() == [1, 2]
    assert np.asarray(scatter(np.array([5, 6]), valid)).tolist() == [5, -1, 6]
    lists = scatter([np.ones((2, 4)), np.ones((1, 4))], valid)
    assert [row.shape for row in lists] == [(2, 4), (0, 4), (1, 4)]


KEYS = [
    0,
    -1,
    (1, 2),
    (0, slice(1, 4)),
    (slice(None), np.array([3, 0])),
    ([1, 0], np.array([0, 4])),
    (np.array([0, 1, 1]), np.array([4, 0, 2]), 1),
    (slice(None), slice(None), 0),
    (slice(0, 1), slice(2, None)),
    (..., 1),
    (slice(None), np.array([True, False, True, False, True])),
    (slice(None), 3),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_stored_column_is_indexed_as_an_array_is(key: object) -> None:
    stored = np.random.default_rng(0).random((2, 7, 3))
    rows = np.array([6, 0, 2, 3, 5])
    column = StoredColumn([lambda i=i: stored[i] for i in range(2)], rows, (3,), stored.dtype)
    whole = stored[:, rows]
    assert column.shape == whole.shape
    np.testing.assert_array_equal(np.asarray(column), whole)
    np.testing.assert_array_equal(np.asarray(column[key]), whole[key])  # type: ignore[index]


def test_a_stored_column_reads_what_it_is_asked_for_alone() -> None:
    read: list[int] = []

    def reader(i: int) -> np.ndarray:
        read.append(i)
        return np.full((4, 2), i)

    column = StoredColumn([lambda i=i: reader(i) for i in range(3)], np.arange(4), (2,), np.dtype(int))
    part = column[:, [1, 2]][[2, 0]]
    assert read == []
    assert part.shape == (2, 2, 2)
    np.testing.assert_array_equal(np.asarray(part)[:, 0, 0], [2, 0])
    assert read == [2, 0]
