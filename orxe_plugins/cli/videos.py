"""Frames of videos, by whichever reader is installed: PyAV, OpenCV or imageio."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from orxe_plugins.errors import OrxeError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".flv", ".3gp")

#: number of a frame, its place in seconds, its pixels
Frame = tuple[int, float, Image.Image]


def frames(path: Path, every: int = 1) -> Iterator[Frame]:
    """Frames of a video file in RGB.

    Args:
        path: the file.
        every: take each so many-th frame.

    Raises:
        OrxeError: no reader of videos is installed.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    for module, read in _READERS.items():
        try:
            library = importlib.import_module(module)
        except ImportError:
            continue
        yield from read(library, path, every)
        return
    raise OrxeError(f"{path} is a video, and no reader of videos is installed. Install one with\npip install av")


def _by_av(av: Any, path: Path, every: int) -> Iterator[Frame]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                yield number, float(frame.time or 0.0), frame.to_image()


def _by_opencv(cv2: Any, path: Path, every: int) -> Iterator[Frame]:
    video = cv2.VideoCapture(str(path))
    try:
        rate = video.get(cv2.CAP_PROP_FPS) or 1.0
        number = 0
        # A frame that is not wanted is not decoded.
        while video.grab():
            if number % every == 0:
                good, pixels = video.retrieve()
                if good:
                    yield number, number / rate, Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
            number += 1
    finally:
        video.release()


def _by_imageio(imageio: Any, path: Path, every: int) -> Iterator[Frame]:
    rate = float(imageio.immeta(path).get("fps") or 1.0)
    for number, pixels in enumerate(imageio.imiter(path)):
        if number % every == 0:
            yield number, number / rate, Image.fromarray(pixels).convert("RGB")


_READERS: dict[str, Callable[[Any, Path, int], Iterator[Frame]]] = {
    "av": _by_av,
    "cv2": _by_opencv,
    "imageio.v3": _by_imageio,
}
