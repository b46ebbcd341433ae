"""What is left of a model's answer gives the boxes that the whole answer gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ultralytics")
suppression = pytest.importorskip("orxe_ultralytics.suppression")

DetectSettings = suppression.DetectSettings


def prediction(seed: int, images: int, places: int, classes: int, objects: float) -> torch.Tensor:
    """An answer (B, 4 + C, A) in which few places score."""
    draw = torch.Generator().manual_seed(seed)
    boxes = torch.rand((images, 2, places), generator=draw) * 60
    sides = torch.rand((images, 2, places), generator=draw) * 30 + 1
    scores = torch.rand((images, classes, places), generator=draw)
    scores = scores * (torch.rand((images, 1, places), generator=draw) < objects)
    return torch.cat([boxes, sides, scores], dim=1)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 999),
    images=st.integers(1, 3),
    classes=st.integers(1, 4),
    objects=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    conf=st.sampled_from([0.001, 0.25, 0.6]),
    how=st.fixed_dictionaries({
        "multi_label": st.booleans(), "agnostic_nms": st.booleans(), "max_det": st.sampled_from([1, 5, 300]),
        "classes": st.sampled_from([None, (0,)]),
    }),
)  # fmt: skip
def test_places_that_score_too_little_change_nothing(
    seed: int, images: int, classes: int, objects: float, conf: float, how: dict[str, Any]
) -> None:
    whole = prediction(seed, images, 40, classes, objects)
    asked = DetectSettings(conf=conf, iou=0.5, **how)
    expected = suppression.suppress(whole.clone(), asked, False)
    for least in (conf, conf / 2):
        left = suppression.candidates(whole.clone(), least, False)
        found = suppression.suppress(left, asked, False)
        assert len(found) == len(expected) and all(map(torch.equal, found, expected))


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 8])
def test_six_places_are_not_taken_for_an_end_to_end_head(count: int) -> None:
    whole = prediction(0, 2, 30, 3, 0.0)
    whole[1, 4, :count] = 0.9
    asked = DetectSettings(conf=0.3)
    found = suppression.suppress(suppression.candidates(whole.clone(), 0.3, False), asked, False)
    expected = suppression.suppress(whole.clone(), asked, False)
    assert [len(rows) for rows in found] == [len(rows) for rows in expected] and torch.equal(found[1], expected[1])


@given(seed=st.integers(0, 999), limit=st.floats(0.01, 0.9))
def test_boxes_that_a_confidence_ignores_suppress_none_that_it_sees(seed: int, limit: float) -> None:
    whole = prediction(seed, 1, 60, 3, 0.8)
    low = DetectSettings(conf=0.001, iou=0.4)
    (every,) = suppression.suppress(whole.clone(), low, False)
    (few,) = suppression.suppress(whole.clone(), replace(low, conf=0.99 * limit), False)
    assert torch.equal(every[every[:, 4] > limit], few[few[:, 4] > limit])
