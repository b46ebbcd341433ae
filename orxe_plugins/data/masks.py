"""Images with masks: the class of each pixel, in a PNG file beside each image."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from orxe_plugins.data.image_lists import ImageList
from orxe_plugins.data.opening import opened
from orxe_plugins.data.reading import BadSampleError, image_files, named
from orxe_plugins.data.text_files import same_name
from orxe_plugins.errors import OrxeError

#: pixels of this class are not counted
IGNORE = 255
# Pillow spreads grey values of 2 and 4 bits over 0 to 255; a class index is the value in the file.
_SPREAD = {2: 85, 4: 17}
_WAY_OUT = "save the class index of each pixel as a grey or palette PNG file, and 255 where a pixel does not count"


class Mask:
    """Class index of each pixel, read when it is needed.

    Args:
        path: a PNG file with one channel: 1, 2, 4, 8 or 16 bits, or a palette, whose indices are the classes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def pixels(self) -> np.ndarray:
        """Class indices, int64 of shape (H, W); 255 is ignored.

        Raises:
            BadSampleError: the file is missing or broken.
            OrxeError: it holds colours, not classes.
        """
        try:
            data = self.path.read_bytes()
            with opened(io.BytesIO(data)) as image:
                values, mode, kind = np.asarray(image), image.mode, image.format
        except (OSError, ValueError, SyntaxError) as error:
            raise BadSampleError(f"mask {str(self.path)!r} cannot be read: {error}") from error
        if kind != "PNG" or values.ndim != 2:
            found = f"{mode} pixels" if kind == "PNG" else f"{kind} content"
            raise OrxeError(f"mask {str(self.path)!r} holds {found}, not class indices: {_WAY_OUT}")
        # Byte 24 of a PNG file is its bit depth; see the PNG specification, section IHDR.
        spread = _SPREAD.get(data[24], 1) if mode == "L" else 1
        return values.astype(np.int64) // spread


class MaskedImages(ImageList):
    """Images with masks; a target is a :class:`Mask`."""

    def content_files(self, index: int) -> list[Path]:
        """The image and its mask."""
        return [*super().content_files(index), self.targets[index].path]

    @staticmethod
    def _described(target: Any) -> str:
        return str(target.path.name)

    def load(self, index: int) -> Image.Image:
        """The original image, in RGB (EXIF rotation is not applied: a mask fits the pixels as they are stored).

        Raises:
            BadSampleError: the image or its mask cannot be decoded.
            OrxeError: the mask has another size than the image, or holds colours.
        """
        image = super().load(index)
        mask: Mask = self.targets[index]
        height, width = mask.pixels().shape
        if (width, height) != image.size:
            raise OrxeError(
                f"mask {str(mask.path)!r} has {width} x {height} pixels, but image {self.sample_ids[index]!r} has "
                f"{image.width} x {image.height} (as stored, before any EXIF rotation)"
            )
        return image


def images_with_masks(root: Path) -> MaskedImages:
    """Images with masks: ``root/images/NAME.*`` and ``root/masks/NAME.png``, whose pixels are class indices.

    255 in a mask is "ignore". A target is a :class:`Mask`.

    Raises:
        OrxeError: a folder is missing or empty, an image has no mask or shares it, or no mask has any other value than
            0 and 255.
    """
    if not (root / "images").is_dir() or not (root / "masks").is_dir():
        raise OrxeError(f"data folder {str(root)!r}: expected the folders images/ and masks/ in it")
    images, masks = image_files(root / "images"), image_files(root / "masks")
    if not images.images:
        raise OrxeError(" ".join([f"{root / 'images'} holds no image.", *images.notes()]))
    mask_of = {_stem(name): name for name in masks.images if name.lower().endswith(".png")}
    image_of: dict[str, str] = {}
    rows = []
    for name in images.images:
        stem = _stem(name)
        if stem not in mask_of:
            raise OrxeError(_no_mask(root, name, masks.images))
        if stem in image_of:
            raise OrxeError(f"images {image_of[stem]!r} and {name!r} share the mask {mask_of[stem]!r}: remove one")
        image_of[stem] = name
        rows.append((f"images/{name}", Mask(root / "masks" / mask_of[stem])))
    _check_values(mask for _, mask in rows)
    notes = [*images.notes(), *_lonely(mask_of, image_of)]
    return MaskedImages(root, rows, [f"{mask.path.stat().st_size}" for _, mask in rows], notes)


def _stem(name: str) -> str:
    return same_name(str(PurePosixPath(name).with_suffix("")))


def _no_mask(root: Path, image: str, masks: Sequence[str]) -> str:
    expected = root / "masks" / PurePosixPath(image).with_suffix(".png")
    other = next((f"; {name!r} is no PNG file" for name in masks if _stem(name) == _stem(image)), "")
    return f"image {str(root / 'images' / image)!r} has no mask: expected {str(expected)!r}{other}"


def _lonely(mask_of: Mapping[str, str], image_of: Mapping[str, str]) -> list[str]:
    lonely = [name for stem, name in mask_of.items() if stem not in image_of]
    if not lonely:
        return []
    what = (
        "mask belongs to no image, and is left out"
        if len(lonely) == 1
        else "masks belong to no image, and are left out"
    )
    return [f"{len(lonely)} {what}: {named(lonely)}"]


def _check_values(masks: Iterable[Mask]) -> None:
    """Refuse masks that mark their object by 255; ends at the first mask with any class beside 0."""
    seen: set[int] = set()
    for mask in masks:
        try:
            seen.update(np.unique(mask.pixels()).tolist())
        except BadSampleError:
            continue
        if seen - {0, IGNORE}:
            return
    if seen == {0, IGNORE}:
        raise OrxeError(
            "the masks hold no values but 0 and 255, and 255 means that a pixel is not counted, so that only class 0 "
            "would be left: if 255 marks an object, save it as 1"
        )
