from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins.data.images import to_array, to_pil, to_tensor
from orxe_plugins.errors import OrxeError

RGB = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        Image.fromarray(RGB),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1).float() / 255,
        np.dstack([RGB, np.full((7, 5, 1), 90, np.uint8)]),
        Image.fromarray(np.dstack([RGB, np.full((7, 5, 1), 90, np.uint8)])).convert("RGBA"),
    ],
    ids=["array", "pil", "uint8 tensor", "float tensor", "rgba array", "rgba pil"],
)
def test_every_kind_of_image_has_the_same_pixels(image: object) -> None:
    np.testing.assert_array_equal(to_array(image)[..., :3], RGB)
    np.testing.assert_array_equal(np.asarray(to_pil(image).convert("RGB")), RGB)
    torch.testing.assert_close(to_tensor(image), torch.from_numpy(RGB).permute(2, 0, 1) / 255)


@pytest.mark.parametrize(
    "grey", [RGB[..., 0], RGB[..., :1], Image.fromarray(RGB[..., 0]), torch.from_numpy(RGB[..., 0])[None]]
)
def test_grey_is_repeated(grey: object) -> None:
    np.testing.assert_array_equal(to_array(grey), np.repeat(RGB[..., :1], 3, axis=2))


def test_one_pixel_is_an_image() -> None:
    assert to_array(RGB[:1, :1]).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "image",
    [
        "path.jpg",
        RGB.astype(np.float64),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        torch.full((3, 2, 2), float("nan")),
    ],
    ids=["text", "float array", "no rows", "two channels", "nan"],
)
def test_what_is_no_image_is_refused(image: object) -> None:
    with pytest.raises(OrxeError, match="image"):
        to_array(image)
