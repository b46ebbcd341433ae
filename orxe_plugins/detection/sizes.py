"""Whether images have the sizes that their annotations were made for."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from orxe_plugins.data.opening import opened
from orxe_plugins.detection.notes import note
from orxe_plugins.errors import OrxeWarning

#: EXIF's tag of the orientation, and its values that swap width and height
_ORIENTATION, _SWAPS = 0x0112, (5, 6, 7, 8)
#: as many images are looked at; each is opened
_LOOKED_AT = 2000


def stored_and_shown(path: Path, verify: bool = False) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Width and height of an image as its file stores it, and as its EXIF tag turns it; None if it cannot be read.

    Args:
        path: the image file; of a good one, only the head is read.
        verify: also look for damage that Pillow finds without decoding the pixels.
    """
    try:
        with opened(path) as image:
            # The method of PNG files would decode all pixels in search of a tag behind them.
            size, turned = image.size, Image.Image.getexif(image).get(_ORIENTATION)
            if verify:
                image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, struct.error):
        return None
    return size, (size[1], size[0]) if turned in _SWAPS else size


def check_sizes(names: Sequence[str], files: Sequence[Path], sizes: Sequence[tuple[int, int] | None]) -> list[str]:
    """Sentences about images whose size is not that of their annotations; where boxes are wrong, also a warning.

    Detection turns images by their EXIF tag, as Ultralytics and mmdetection do. Of large data sets, 2000 images are
    looked at, evenly chosen.

    Args:
        names: what the images are called in messages.
        files: the image files; those that are missing are left out.
        sizes: width and height out of the annotations; None where they give none.
    """
    unturned, other, seen = [], [], 0
    for i in range(0, len(files), -(-len(files) // _LOOKED_AT)):
        wanted = sizes[i]
        found = None if wanted is None else stored_and_shown(files[i])
        if found is None:
            continue
        seen += 1
        stored, shown = found
        if wanted == shown:
            continue
        if wanted == stored:
            unturned.append(names[i])
        else:
            other.append(f"{names[i]} ({shown[0]} x {shown[1]}, not {wanted[0]} x {wanted[1]})" if wanted else names[i])
    notes = []
    if unturned:
        notes.append(
            note(unturned, seen, "image", "annotated before they are turned by their EXIF tag, but they are turned "
                 "here, as Ultralytics and mmdetection turn them, so that their boxes may lie elsewhere")
        )  # fmt: skip
    if other:
        notes.append(note(other, seen, "image", "of another size than their annotations say, so that boxes may be off"))
    for each in notes:
        warnings.warn(each, OrxeWarning, stacklevel=4)
    return notes
