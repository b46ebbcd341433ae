"""Original images as every expert accepts them, from all that frameworks hand in.

An original image is a PIL image, a uint8 or uint16 array (H, W), (H, W, 3) or (H, W, 4) in RGB order, a
uint8 or uint16 tensor (C, H, W), or a float tensor (C, H, W) in [0, 1], with C = 1, 3 or 4. Wider values are
scaled to 8 bits as :func:`orxe_plugins.data.reading.decode` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from orxe_plugins.data.reading import eight_bit, high_byte
from orxe_plugins.errors import OrxeError


def to_pil(image: Any) -> Image.Image:
    """A PIL image with 8 bits per channel, otherwise in the mode of the pixels."""
    if isinstance(image, Image.Image):
        return eight_bit(image)
    return Image.fromarray(_pixels(image))


def to_array(image: Any) -> np.ndarray:
    """RGB pixels, uint8 of shape (H, W, 3): grey is repeated, an alpha channel dropped."""
    if isinstance(image, Image.Image):
        return np.array(eight_bit(image).convert("RGB"))
    pixels = _pixels(image)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def to_tensor(image: Any) -> Tensor:
    """RGB values in [0, 1], float32 of shape (3, H, W); a float tensor keeps its values."""
    if isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and image.shape[0] == 3:
        return image.float()
    return torch.from_numpy(to_array(image)).permute(2, 0, 1).float().div(255)


def _pixels(image: Any) -> np.ndarray:
    """uint8 pixels (H, W), (H, W, 3) or (H, W, 4)."""
    if isinstance(image, Tensor):
        values = image.detach().cpu()
        if values.is_floating_point():
            if not torch.isfinite(values).all():
                raise OrxeError("an image holds NaN or infinite values: expected floats in [0, 1]")
            values = values.float().mul(255).round().clamp(0, 255).to(torch.uint8)
        image = values.permute(1, 2, 0).numpy() if values.ndim == 3 else values.numpy()
    if isinstance(image, np.ndarray) and image.dtype == np.uint16:
        image = high_byte(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = f"{type(image).__name__} of {getattr(image, 'dtype', 'no dtype')}"
        raise OrxeError(
            f"an original image is a {kind}: expected a PIL image, uint8 or uint16 pixels, or floats in [0, 1]"
        )
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (3, 4)) or 0 in image.shape:
        raise OrxeError(f"an original image has shape {image.shape}: expected (H, W), (H, W, 3) or (H, W, 4)")
    return image
