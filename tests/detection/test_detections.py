from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError

NAMES = ("cat", "dog", "bird")


def some(scores: list[float], labels: list[int] | None = None) -> Detections:
    k = len(scores)
    boxes = torch.tensor([[float(i), 0.0, float(i) + 1, 2.0] for i in range(k)]).reshape(k, 4)
    return Detections(boxes, torch.tensor(scores), torch.tensor(labels or [0] * k), NAMES)


SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.9, 1.0]), max_size=12)


@given(scores=SCORES)
def test_best_first_sorts_and_leaves_equals_in_order(scores: list[float]) -> None:
    ordered = some(scores).best_first()
    expected = sorted(range(len(scores)), key=lambda i: -torch.tensor(scores)[i])
    assert ordered.boxes[:, 0].int().tolist() == expected


@given(scores=SCORES, least=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_above_keeps_greater_scores_alone(scores: list[float], least: float) -> None:
    assert len(some(scores).above(least)) == sum(np.float32(s) > np.float32(least) for s in scores)


def test_parts_become_tensors_of_one_type() -> None:
    found = Detections([[0, 0, 1, 1]], [0.5], [2], ["a", "b", "c"])  # type: ignore[arg-type]
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (torch.float32, torch.float32, torch.int64)
    assert found.names == ("a", "b", "c")
    assert len(Detections.empty(NAMES)) == 0
    assert Detections.empty(NAMES).boxes.shape == (0, 4)


def test_rows_are_taken_by_number_mask_and_slice() -> None:
    found = some([0.1, 0.2, 0.3])
    for index in (torch.tensor([0, 2]), torch.tensor([True, False, True]), slice(0, 3, 2)):
        assert found.take(index).scores.tolist() == pytest.approx([0.1, 0.3])


def test_labels_move_to_another_space_or_are_dropped() -> None:
    moved = some([0.1, 0.2, 0.3], [0, 1, 2]).relabelled(torch.tensor([1, -1, 0]), ("bird", "cat"))
    assert moved.labels.tolist() == [1, 0]
    assert moved.scores.tolist() == pytest.approx([0.1, 0.3])
    assert moved.names == ("bird", "cat")


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "message"),
    [
        ([[0, 0, 1, 1]], [0.5, 0.6], [0], r"boxes have shape \(1, 4\)"),
        ([[0, 0, 1]], [0.5], [0], r"expected \(K, 4\)"),
        ([[0, 0, float("nan"), 1]], [0.5], [0], "box 0 of 1 .*finite"),
        ([[2, 0, 1, 1]], [0.5], [0], "box 0 of 1 .*x1 <= x2"),
        ([[0, 0, 1, 1]] * 2, [0.5, float("nan")], [0, 0], r"score 1 of 2 .*a number in \[0, 1\]"),
        ([[0, 0, 1, 1]], [1.5], [0], "score 0 of 1"),
        ([[0, 0, 1, 1]], [0.5], [3], "label 0 of 1 detections is 3: expected an index of the 3 label names"),
        ([[0, 0, 1, 1]], [0.5], [-1], "label 0 of 1"),
    ],
)
def test_what_is_no_detection_is_named(boxes: list, scores: list, labels: list, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        Detections(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), NAMES)
