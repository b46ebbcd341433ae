"""Views of images of all shapes, and where the image lies in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.detection.rows import BoxRows

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
    found = BoxRows.of_parts([torch.cat([boxes.float(), torch.ones(1, 2)], dim=1)])
    back = letterbox.to_originals(found, [place], clip=False).rows[0].tolist()
    assert back == pytest.approx([0, 0, width, height, 1, 1], abs=1e-3)
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


@given(height=sides, width=sides, mode=st.sampled_from(["val", "predict"]), rect=st.booleans())
def test_an_image_that_lies_in_bgr_order_has_the_same_view(height: int, width: int, mode: str, rect: bool) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    for made in (
        lambda image: letterbox.letterbox(letterbox.pixels(image), 64, mode, rect, 32),
        lambda image: letterbox.stretch(letterbox.pixels(image), 64),
    ):
        (plain, place), (turned, same_place) = made(rgb), made(bgr[..., ::-1])
        assert place == same_place and np.array_equal(plain, turned)
        batches = [letterbox.to_batch([view], torch.device("cpu"), torch.float32) for view in (plain, turned)]
        assert torch.equal(*batches)
    mixed = letterbox.to_batch([plain, turned], torch.device("cpu"), torch.float32)
    assert torch.equal(mixed[0], mixed[1]) and torch.equal(mixed[:1], batches[0])
