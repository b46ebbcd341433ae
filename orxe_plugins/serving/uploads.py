"""Images out of requests: bounded in size before anything of them is decoded."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from orxe_plugins.data.opening import opened
from orxe_plugins.data.reading import BadSampleError, decode
from orxe_plugins.errors import OrxeError
from orxe_plugins.serving.options import Limits

#: kinds of files that are taken from strangers: the ones that cameras and web pages use
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


class RequestError(OrxeError):
    """A request that cannot be answered through its own fault.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def read_uploads(given: Sequence[str], limits: Limits, turn: bool) -> list[Image.Image]:
    """The images of a request.

    Args:
        given: image files in base64, with or without ``data:image/...;base64,`` before it.
        limits: what is allowed.
        turn: apply the camera's orientation, as the recorder does for this task.

    Raises:
        RequestError: there is none or there are too many, or one is too large, no image or broken; the first such one
            is named.
    """
    if not given:
        raise RequestError("the request holds no image: give image, or images with at least one")
    if len(given) > limits.max_images:
        raise RequestError(f"the request holds {len(given)} images: at most {limits.max_images} are answered", 413)
    one = len(given) == 1
    return [_read(text, "image" if one else f"images[{i}]", limits, turn) for i, text in enumerate(given)]


def _read(text: str, name: str, limits: Limits, turn: bool) -> Image.Image:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) > limits.max_bytes * 4 // 3 + 4:
        raise RequestError(f"{name} is larger than {limits.max_bytes:,} bytes", 413)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{name} is no base64: {error}") from error
    _check_header(data, name, limits)
    try:
        return decode(data, turn)
    except BadSampleError as error:
        raise RequestError(f"{name} {_reason(error)}", 422) from error


def _check_header(data: bytes, name: str, limits: Limits) -> None:
    """Refuse other kinds of files, and images that would fill the memory, by what their first bytes say."""
    try:
        with opened(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise RequestError(f"{name} has more than {limits.max_pixels:,} pixels", 413) from error
    # Readers of files raise errors of many kinds on broken headers.
    except Exception as error:
        raise RequestError(f"{name} is no image of a kind that is served ({', '.join(FORMATS)})", 422) from error
    if width * height > limits.max_pixels:
        raise RequestError(f"{name} has {width} x {height} pixels: at most {limits.max_pixels:,} are answered", 413)


def _reason(error: Any) -> str:
    text = str(error)
    return text if text.startswith(("cannot", "holds")) else f"is bad: {text}"
