"""A YOLO model's view of an original image: resized with its aspect ratio, padded with grey.

Ultralytics' own ``LetterBox`` does both as its predictor needs them: the shorter side is rounded to the nearest pixel,
and the image padded to a square or to the smallest rectangle that the model's stride allows. Its validation loader
rounds the shorter side up before it calls ``LetterBox``, inside of a data set that reads files by itself; that step is
repeated here. So an expert answers as Ultralytics itself would in either mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from ultralytics.data.augment import LetterBox

from orxe_plugins.data.images import to_array
from orxe_plugins.detection.rows import BoxRows

#: which of Ultralytics' two ways of resizing an expert follows
Mode = Literal["val", "predict"]


class InSquare(np.ndarray):
    """An original image that is padded to a square, even by experts that pad to the smallest rectangle."""


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the view that was made of it.

    Attributes:
        gain: pixels of the view per pixel of the original, across and down.
        pad: left and upper border, in pixels of the view.
        shape: height and width of the original.
    """

    gain: tuple[float, float]
    pad: tuple[float, float]
    shape: tuple[int, int]

    def to_view(self, boxes: Tensor) -> Tensor:
        """Boxes xyxy (K, 4) of the original, in pixels of the view, float64."""
        return boxes.double() * boxes.new_tensor(self.gain * 2, dtype=torch.float64) + boxes.new_tensor(
            self.pad * 2, dtype=torch.float64
        )


def to_originals(found: BoxRows, placements: Sequence[Placement], clip: bool) -> BoxRows:
    """The boxes of B images' views, in pixels of the originals.

    Args:
        found: the boxes, corners in pixels of the view.
        placements: where each image lies in its view.
        clip: cut boxes at the image's border.
    """
    if not placements:
        return found
    # float64: a box that goes to the original and back must not move by a float32 rounding.
    gain = torch.tensor([place.gain * 2 for place in placements], dtype=torch.float64)  # (B, 4)
    pad = torch.tensor([place.pad * 2 for place in placements], dtype=torch.float64)
    moved = (found.rows[:, :4].double() - pad[found.image]) / gain[found.image]
    if clip:
        size = torch.tensor([place.shape[::-1] * 2 for place in placements], dtype=torch.float64)
        moved = moved.clamp(min=0).minimum(size[found.image])
    return BoxRows(torch.cat([moved.float(), found.rows[:, 4:]], dim=1), found.image, found.size)


def pixels(image: Any) -> np.ndarray:
    """RGB values in [0, 255] of an original image, (H, W, 3): uint8, or float32 for a tensor that is not of 8 bits.

    An array of that kind is given back itself: a reversed view of one in BGR order stays one, see :func:`letterbox`.
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3:
        return image if image.size else to_array(image)
    if isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and image.shape[0] == 3:
        values = image.detach().float().mul(255)
        whole = values.round()
        # An image file as torchvision hands it over: resized in 8 bits, as from the file itself.
        if bool(((values - whole).abs() < 1e-3).all()):
            return to_array(whole.clamp(0, 255).to(torch.uint8))
        # Other values are not rounded to 8 bits: Ultralytics gives tensors to the model as they are.
        return values.permute(1, 2, 0).contiguous().cpu().numpy()
    return to_array(image)


def letterbox(image: np.ndarray, size: int, mode: Mode, rect: bool, stride: int) -> tuple[np.ndarray, Placement]:
    """A model's view of one image.

    Args:
        image: (H, W, 3), values in [0, 255].
        size: length of the longer side in pixels, a multiple of ``stride``.
        mode: "val" rounds the shorter side up, "predict" to the nearest pixel.
        rect: pad to the smallest multiples of ``stride`` instead of a square.
        stride: the model's largest stride.

    Returns:
        The view, (h, w, 3) of the image's dtype, and where the image lies in it. The view of a BGR array that was
        reversed to RGB, ``array[..., ::-1]``, is a reversed array, too: :func:`to_batch` turns it where it is cheap.
    """
    if _is_reversed(image):
        view, place = letterbox(image[..., ::-1], size, mode, rect, stride)
        return view[..., ::-1], place
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    if mode == "val":
        new_w, new_h = (min(math.ceil(side * ratio), size) for side in (width, height))
        if (new_w, new_h) != (width, height):
            image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    else:
        new_w, new_h = (max(round(side * ratio), 1) for side in (width, height))
    view = LetterBox((size, size), auto=rect, stride=stride)(image=image)
    # An odd border has its last pixel on the right or below.
    top, left = (view.shape[0] - new_h) // 2, (view.shape[1] - new_w) // 2
    return view, Placement((new_w / width, new_h / height), (left, top), (height, width))


def stretch(image: np.ndarray, size: int) -> tuple[np.ndarray, Placement]:
    """The square view of models that take no padding, such as RT-DETR: the aspect ratio is lost."""
    if _is_reversed(image):
        view, place = stretch(image[..., ::-1], size)
        return view[..., ::-1], place
    height, width = image.shape[:2]
    view = LetterBox((size, size), scale_fill=True)(image=image)
    return view, Placement((size / width, size / height), (0.0, 0.0), (height, width))


def to_batch(views: list[np.ndarray], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Views of one shape as the tensor that a model takes: RGB in [0, 1], (B, 3, h, w)."""
    # Pixels are turned from BGR to RGB where the model is, as planes: that moves no single bytes.
    reverse = all(_is_reversed(view) for view in views)
    stacked = torch.from_numpy(np.stack([view[..., ::-1] if reverse else view for view in views])).to(device)
    planes = stacked.permute(0, 3, 1, 2).contiguous()  # (B, h, w, 3) -> (B, 3, h, w)
    return (planes.flip(1) if reverse else planes).to(dtype).div_(255)


def _is_reversed(image: np.ndarray) -> bool:
    """Whether the channels lie in memory from the last to the first: OpenCV would copy such an image, byte by byte."""
    return image.strides[-1] < 0
