"""Images as detectors' own frameworks read them: turned by their EXIF tag."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from orxe_plugins.data.datasets import BadSampleError, decode


def read_turned(path: Path) -> Image.Image:
    """An image file in RGB, decoded whole and turned by its EXIF tag.

    Raises:
        BadSampleError: the file is missing, may not be read, or cannot be decoded.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise BadSampleError("the file is missing") from error
    except OSError as error:
        raise BadSampleError(f"cannot be read: {error.strerror}") from error
    return ImageOps.exif_transpose(decode(data))
