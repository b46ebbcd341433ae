"""The view of an image that a classifier was trained for: from the original, or from a framework's one tensor."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from orxe_plugins.data.batch import rows_by
from orxe_plugins.data.images import to_pil
from orxe_plugins.data.resample import Span, fit_span, resample
from orxe_plugins.errors import OrxeError, shortened
from orxe_plugins.util.json_files import values_of

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
#: no model sees more pixels in a row; a file that asks for more wants the memory
_LONGEST_SIDE = 16384
#: the filters that torch has, too; its nearest pixel is another one than Pillow's
RESIZED_ON_DEVICES = ("bilinear", "bicubic")
#: Pillow's mode for a number of channels
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class ImageView:
    """Resize the shorter side, crop the centre, normalise: the evaluation view of a classifier.

    Attributes:
        size: height and width of the crop in pixels.
        resize: length that the image's shorter side is resized to before the crop, in pixels.
        mean, std: normalisation of each channel, for values in [0, 1]; their length is the number
            of channels (3: RGB, 1: grey, 4: RGB with alpha; other numbers only as float tensors).
        interpolation: nearest, bilinear, bicubic or lanczos; always antialiased when shrinking.
        squash: resize both sides to ``resize``, whatever the aspect ratio.
    """

    size: tuple[int, int]
    resize: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    squash: bool = False

    def __post_init__(self) -> None:
        sides = (*self.size, self.resize) if len(self.size) == 2 else ()
        if not sides or not all(_is_whole(side) and 0 < side <= _LONGEST_SIDE for side in sides):
            raise OrxeError(
                f"a view of size {shortened(self.size)} and resize {shortened(self.resize)}: expected height and width "
                f"in pixels, each at most {_LONGEST_SIDE:,}"
            )
        if self.interpolation not in _FILTERS:
            raise OrxeError(f"interpolation is {self.interpolation!r}: expected one of {', '.join(_FILTERS)}")
        if len(self.mean) != len(self.std) or not self.mean:
            raise OrxeError(f"mean {self.mean} and std {self.std}: expected one value for each channel")

    @property
    def channels(self) -> int:
        """Number of image channels."""
        return len(self.mean)

    @property
    def field_of_view(self) -> float:
        """Share of the original's shorter side that the crop shows, in (0, 1] (timm's crop_pct)."""
        return min(self.size) / self.resize

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ImageView:
        """The inverse of :meth:`to_dict`."""
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        with values_of("the view of an image"):
            view = cls(**values)
            for name in ("mean", "std"):
                if not all(isinstance(value, numbers.Real) and math.isfinite(value) for value in getattr(view, name)):
                    raise OrxeError(f"{name} of a view is {shortened(getattr(view, name))}: expected numbers")
            return view

    def from_images(self, images: Sequence[Any]) -> Tensor:
        """This view of original images.

        Args:
            images: B original images of any size and kind (see ``orxe_plugins.data.images``).

        Returns:
            float32 tensor of shape (B, C, h, w) with (h, w) = ``size``.
        """
        return torch.stack([self.from_image(image) for image in images])

    def from_image(self, image: Any) -> Tensor:
        """This view of one original image, float32 of shape (C, h, w).

        The arithmetic is that of torchvision's Resize, CenterCrop, ToTensor and Normalize on a PIL
        image, so that the result equals a framework's own evaluation transform to the bit.
        """
        picture = _with_channels(to_pil(image), self.channels)
        width, height = picture.size
        target = (self.resize, self.resize) if self.squash else _shorter_side(width, height, self.resize)
        if target != picture.size:
            picture = picture.resize(target, _FILTERS[self.interpolation])
        pixels = np.asarray(picture, dtype=np.uint8).reshape(target[1], target[0], self.channels)
        values = torch.from_numpy(pixels.copy()).permute(2, 0, 1).to(torch.float32).div(255)  # (C, H, W)
        return self._normalise(centre_crop(values, self.size))

    def from_pixels(self, images: Sequence[Tensor]) -> Tensor:
        """This view of images whose pixels lie on a device, made there.

        It is the view that :meth:`from_images` makes, but for rounding: Pillow rounds to 8 bits after each of the two
        sides, and torch after both. Values differ by at most 5/255 before the normalisation, most by nothing.

        Args:
            images: B images of any sizes, uint8 of shape (C, H, W), as :meth:`pixels_of` gives them; all on one device.

        Returns:
            float32 tensor of shape (B, C, h, w) on that device.

        Raises:
            OrxeError: the interpolation is one that torch has not.
        """
        if self.interpolation not in RESIZED_ON_DEVICES:
            raise OrxeError(
                f"torch resizes by {', '.join(RESIZED_ON_DEVICES)}, not by {self.interpolation!r}: make this view of "
                "original images instead (from_images)"
            )
        made: dict[int, Tensor] = {}
        for rows in rows_by(image.shape for image in images):
            view = self._of_one_size(torch.stack([images[i] for i in rows]))
            made.update(zip(rows, view, strict=True))
        return torch.stack([made[i] for i in range(len(images))])

    def _of_one_size(self, pixels: Tensor) -> Tensor:
        """The view of uint8 images (B, C, H, W)."""
        height, width = pixels.shape[-2:]
        columns, rows = (self.resize, self.resize) if self.squash else _shorter_side(width, height, self.resize)
        values = pixels.float()
        if (rows, columns) != (height, width):
            span = Span(0, height, rows, 0, rows), Span(0, width, columns, 0, columns)
            values = resample(values, *span, self.interpolation).round().clamp(0, 255)
        return self._normalise(centre_crop(values / 255, self.size))

    def pixels_of(self, image: Any) -> Tensor:
        """An original image with this view's channels, uint8 of shape (C, H, W), on the host."""
        picture = _with_channels(to_pil(image), self.channels)
        pixels = np.array(picture, dtype=np.uint8).reshape(picture.height, picture.width, self.channels)
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def from_tensor(self, batch: Tensor, source: ImageView) -> Tensor:
        """This view derived from a batch that another view produced: the closest one that it allows.

        The field of view is kept: the batch is resized so that one pixel covers what it would
        have covered from the original, with this view's own filter, antialiased, and cropped at
        the same place. What the batch does not show cannot be restored: pixels outside of a narrower crop,
        finer detail, the aspect ratio of a squashed image, to which side half a pixel of a crop was rounded.

        Args:
            batch: float tensor (B, C, H, W) as ``source`` gives it.
            source: the view that the batch was made with. Its size may differ from the batch's.

        Returns:
            tensor of shape (B, C, h, w) with (h, w) = ``size``, of the batch's dtype and device.

        Raises:
            OrxeError: the batch has another number of channels.
        """
        if batch.ndim != 4 or batch.shape[1] != self.channels:
            raise OrxeError(f"a batch has shape {tuple(batch.shape)}: expected (B, {self.channels}, H, W)")
        same_size = tuple(batch.shape[-2:]) == source.size
        if same_size and source.same_pixels(self) and (source.mean, source.std) == (self.mean, self.std):
            return batch
        values = batch * _column(source.std, batch) + _column(source.mean, batch)
        if not (same_size and source.same_pixels(self)):
            rows, columns = (self._span(axis, int(batch.shape[axis - 2]), source) for axis in (0, 1))
            # Cubic filters overshoot; the pixels of an image cannot.
            values = resample(values, rows, columns, self.interpolation).clamp(0, 1)
        return self._normalise(values)

    def _span(self, axis: int, length: int, source: ImageView) -> Span:
        """How one side of a batch of ``source``, now ``length`` pixels long, becomes this view's."""
        # If the batch is larger or smaller than its view says, its resize was too.
        grown = length / source.size[axis]
        scale = source.resize * grown / self.resize
        shift = self._crop_offset(axis) * scale - source._crop_offset(axis) * grown
        return fit_span(length, self.size[axis], scale, shift)

    def _crop_offset(self, axis: int) -> float:
        """Distance of a centre crop from the centre in pixels: 0, or 0.5 where it was rounded."""
        margin = self.resize - self.size[axis]
        return round(margin / 2) - margin / 2

    def same_pixels(self, other: ImageView) -> bool:
        """Whether both views show the same pixels; their normalisation may differ."""
        keys = ("size", "resize", "interpolation", "squash")
        return all(getattr(self, key) == getattr(other, key) for key in keys)

    def _normalise(self, values: Tensor) -> Tensor:
        return (values - _column(self.mean, values)) / _column(self.std, values)


def widest_view(views: Sequence[ImageView]) -> ImageView:
    """The view that serves every other one: the widest field of view at the finest resolution.

    Its filter is bicubic where sizes differ: a cubic kernel has a variance of 0, so a view that is
    derived from it with its own filter is as sharp as from the original. Its crop leaves the same number
    of pixels on both sides.

    Args:
        views: one view per expert.

    Returns:
        One of them if it serves all, else a new view with the first one's normalisation.
    """
    first = max(views, key=lambda view: (view.resize, view.field_of_view))
    if len({view.channels for view in views}) != 1:
        raise OrxeError("experts with different numbers of image channels cannot share one cascade")
    if all(view.same_pixels(first) for view in views):
        return first
    resize = max(view.resize for view in views)
    share = max(view.field_of_view for view in views)
    side = min(resize, math.ceil(round(resize * share, 6)))
    side += (resize - side) % 2
    interpolation = first.interpolation if first.interpolation == "lanczos" else "bicubic"
    squash = all(view.squash for view in views)
    return ImageView((side, side), resize, first.mean, first.std, interpolation, squash)


def _with_channels(picture: Image.Image, channels: int) -> Image.Image:
    """An image as grey, RGB or RGB with alpha.

    Raises:
        OrxeError: images of that many channels cannot be made of it.
    """
    if channels not in _MODES:
        raise OrxeError(
            f"an original image has no {channels} channels: hand the model float tensors (B, {channels}, H, W) of its "
            "view instead"
        )
    if channels == 4 and "A" not in picture.getbands() and "transparency" not in picture.info:
        raise OrxeError(
            f"an original image has mode {picture.mode!r} and no alpha channel, but the model takes 4 channels: give "
            "RGBA images, or float tensors (B, 4, H, W) of its view"
        )
    return picture.convert(_MODES[channels])


def centre_crop(values: Tensor, size: tuple[int, int]) -> Tensor:
    """The centre of ``values`` (..., H, W), of shape (..., h, w); zeros are added where it is too small."""
    height, width = size
    missing_h, missing_w = max(height - values.shape[-2], 0), max(width - values.shape[-1], 0)
    if missing_h or missing_w:
        left, top = missing_w // 2, missing_h // 2
        values = F.pad(values, (left, missing_w - left, top, missing_h - top))
    top = round((values.shape[-2] - height) / 2.0)
    left = round((values.shape[-1] - width) / 2.0)
    return values[..., top : top + height, left : left + width]


def _shorter_side(width: int, height: int, resize: int) -> tuple[int, int]:
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)  # (C, 1, 1)
