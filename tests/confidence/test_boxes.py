from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.confidence import MeanBoxScore, confidence_from_dict
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError


def found(scores: list[float]) -> Detections:
    k = len(scores)
    return Detections(torch.zeros(k, 4), torch.tensor(scores), torch.zeros(k, dtype=torch.int64), ("cat",))


@given(
    images=st.lists(st.lists(st.floats(0, 1, width=32), max_size=8), max_size=5),
    least=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_the_mean_of_the_boxes_above_the_least_score(images: list[list[float]], least: float) -> None:
    confidence = MeanBoxScore(least)([found(scores) for scores in images])
    assert confidence.dtype == torch.float32
    kept = [[score for score in scores if np.float32(score) > least] for scores in images]
    expected = [math.fsum(scores) / len(scores) if scores else 0.0 for scores in kept]
    np.testing.assert_allclose(confidence.numpy(), expected, atol=1e-6)


def test_an_image_without_a_box_is_never_confident() -> None:
    assert MeanBoxScore()([found([]), found([0.05, 0.01]), found([0.9, 0.05])]).tolist() == pytest.approx([0, 0, 0.9])


def test_it_is_named_in_files() -> None:
    assert MeanBoxScore(0.3).to_dict() == {"kind": "mean_box_score", "min_score": 0.3}
    assert confidence_from_dict("mean_box_score").min_score == 0.05
    for bad in (-0.1, 2, True, "0.5"):
        with pytest.raises(OrxeError, match="min_score is"):
            MeanBoxScore(bad)  # type: ignore[arg-type]
