"""Views of images of all shapes, and where the image lies in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("ultralytics")
letterbox = pytest.importorskip("orxe_ultralytics.letterbox")

sides = st.integers(1, 300)
GREY = 114


@given(height=sides, width=sides, size=st.integers(1, 8), mode=st.sampled_from(["val", "predict"]), rect=st.booleans())
def test_the_image_lies_where_its_placement_says(height: int, width: int, size: int, mode: str, rect: bool) -> None:
    size *= 32
    view, place = letterbox.letterbox(np.zeros((height, width, 3), np.uint8), size, mode, rect, 32)
    boxes = place.to_view(torch.tensor([[0, 0, width, height]], dtype=torch.float32))
    x1, y1, x2, y2 = map(round, boxes[0].tolist())
    inside = np.zeros(view.shape[:2], dtype=bool)
    inside[y1:y2, x1:x2] = True
    assert (view[inside] == 0).all()
    assert (view[~inside] == GREY).all()
    assert max(view.shape) == size
    assert view.shape[0] % 32 == view.shape[1] % 32 == 0
    assert rect or view.shape == (size, size, 3)
    assert place.to_original(boxes, clip=False)[0].tolist() == pytest.approx([0, 0, width, height])
    rounded = math.ceil if mode == "val" else round
    assert y2 - y1 == max(min(rounded(height * size / max(height, width)), size), 1)
    assert x2 - x1 == max(min(rounded(width * size / max(height, width)), size), 1)


@given(height=sides, width=sides)
def test_a_stretched_image_fills_its_view(height: int, width: int) -> None:
    view, place = letterbox.stretch(np.zeros((height, width, 3), np.uint8), 64)
    assert view.shape == (64, 64, 3)
    assert (view == 0).all()
    boxes = place.to_view(torch.tensor([[0, 0, width, height]], dtype=torch.float32))
    assert boxes[0].tolist() == pytest.approx([0, 0, 64, 64])
