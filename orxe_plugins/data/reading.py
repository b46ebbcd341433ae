"""The one way in for image files: which files are images, and what their pixels are."""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from orxe_plugins.data.opening import opened
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular
from orxe_plugins.util.texts import is_utf8, printable

# What PIL and its decoders raise on broken files.
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, Image.DecompressionBombError)
#: kinds that Pillow names without reading their pixels, or only by starting another program
_NOT_READ = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "EPS", "WMF"})
#: kinds whose wide grey values always cover 16 bits, whatever mode Pillow opens them in
_SIXTEEN_BIT = frozenset({"PNG", "PPM"})
#: what operating systems and tools leave in folders, in lower case; so do names that begin with a dot
_LITTER = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "__pycache__"})
_NO_UTF8 = "name is no valid UTF-8"


class BadSampleError(OrxeError):
    """One sample cannot be read; others can. Loops over a data set may skip it."""


def _suffixes() -> tuple[str, ...]:
    """Suffixes of the files that Pillow reads, in lower case, with the dot; plug-ins that it has by now add theirs."""
    known = Image.registered_extensions()
    return tuple(sorted(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in _NOT_READ))


#: suffixes of the files that are taken as images; the case does not count
IMAGE_SUFFIXES: tuple[str, ...] = _suffixes()


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken as an image."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def decode(data: bytes, turn: bool = False) -> Image.Image:
    """An image file's pixels in RGB with 8 bits per channel, decoded whole; of several frames, the first one.

    16 bits per channel are scaled to 8 by their high byte, as OpenCV and Ultralytics do (Pillow's own conversion
    cuts them off at 255). Transparency is dropped.

    Args:
        data: the file's content.
        turn: whether the camera's orientation (EXIF) is applied. timm and torchvision do not, OpenCV does.

    Raises:
        BadSampleError: the file is empty, truncated, broken or of an unknown kind, or its values have no known range.
    """
    if not data:
        raise BadSampleError("the file is empty")
    try:
        with opened(io.BytesIO(data)) as image:
            image.load()
            return _narrow(_turned(image) if turn else image, image.format).convert("RGB")
    except BadSampleError:
        raise
    except Image.UnidentifiedImageError as error:
        raise BadSampleError("not an image file") from error
    except _DECODE_ERRORS as error:
        raise BadSampleError(f"cannot be decoded: {error}") from error


def read_image(path: str | Path, turn: bool = False) -> Image.Image:
    """An image file's pixels, see :func:`decode`.

    Raises:
        BadSampleError: the file is missing, may not be read, or cannot be decoded; the message does not name it.
    """
    try:
        data = regular(Path(path)).read_bytes()
    except FileNotFoundError as error:
        kind = "a link to a file that does not exist" if Path(path).is_symlink() else "the file is missing"
        raise BadSampleError(kind) from error
    except OSError as error:
        raise BadSampleError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise BadSampleError(f"no file can have this name: {error}") from error
    return decode(data, turn)


def eight_bit(image: Image.Image) -> Image.Image:
    """The image with 8 bits per channel: wider grey values are scaled, all other modes are left as they are.

    Raises:
        BadSampleError: 32-bit integers, whose range nobody knows, or floats outside of [0, 1].
    """
    return _narrow(image, image.format)


def high_byte(values: np.ndarray) -> np.ndarray:
    """uint8 values of 16-bit ones."""
    return (values >> 8).astype(np.uint8)


def _narrow(image: Image.Image, kind: str | None) -> Image.Image:
    """See :func:`eight_bit`; ``kind`` is the format of the file that the image comes from."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in _SIXTEEN_BIT):
        return Image.fromarray(high_byte(np.asarray(image)))
    if image.mode == "I":
        raise BadSampleError("holds 32-bit integers, whose range is not known: save it with 8 or 16 bits per channel")
    if image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):  # also NaN
            raise BadSampleError(
                f"holds floats from {values.min():g} to {values.max():g}: expected values in [0, 1]; save it with 8 or "
                "16 bits per channel"
            )
        return Image.fromarray((values * 255).round().astype(np.uint8))
    return image


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODE_ERRORS:
        # A broken note of the camera is no reason to lose its picture: OpenCV ignores it, too.
        return image


@dataclass(frozen=True)
class ListedFiles:
    """The image files below a folder.

    Attributes:
        folder: the folder.
        images: paths relative to the folder, parts joined by "/", sorted.
        sizes: bytes of each image.
        left_out: pairs of a file (or folder) that is left out, relative to the folder, and the reason, such as
            "no image"; what systems and tools leave in folders (hidden files, Thumbs.db, __MACOSX) is not listed.
    """

    folder: Path
    images: tuple[str, ...]
    sizes: tuple[int, ...]
    left_out: tuple[tuple[str, str], ...]

    def notes(self) -> tuple[str, ...]:
        """What is left out, in a sentence for each reason."""
        return left_out_notes(self.left_out, len(self.images) + len(self.left_out))


def image_files(folder: str | Path) -> ListedFiles:
    """The image files in a folder and in those below it. Links are followed, but not in circles."""
    root = Path(folder)
    images: list[tuple[str, int]] = []
    left_out: list[tuple[str, str]] = []
    real = root.resolve()
    for name, size, reason in _walk(root, "", [_identity(each) for each in (real, *real.parents)]):
        if reason is None:
            images.append((name, size))
        else:
            left_out.append((name, reason))
    images.sort()
    return ListedFiles(root, tuple(n for n, _ in images), tuple(s for _, s in images), tuple(sorted(left_out)))


def left_out_notes(left_out: Sequence[tuple[str, str]], total: int) -> tuple[str, ...]:
    """Sentences about files that are left out: how many of all, why, and up to three names.

    Args:
        left_out: pairs of a file and the reason.
        total: number of all files.
    """
    reasons = dict.fromkeys(reason for _, reason in left_out)
    return tuple(_left_out_note([name for name, why in left_out if why == reason], reason, total) for reason in reasons)


def named(names: Sequence[str], most: int = 3) -> str:
    """Up to ``most`` of the names, and how many more there are."""
    listed = ", ".join(printable(name) for name in names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is left by a system or a tool, and holds nobody's data."""
    return name.startswith(".") or name.lower() in _LITTER


def _left_out_note(names: Sequence[str], reason: str, total: int) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f"{len(names)} of {total} files {verb} left out ({reason}): {named(names)}"


def _walk(folder: Path, prefix: str, above: list[tuple[int, int]]) -> Iterator[tuple[str, int, str | None]]:
    """Path relative to the first folder, size in bytes, and why it is left out (None: it is an image) of each file."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield prefix.rstrip("/") or folder.name, 0, f"cannot be listed: {(error.strerror or str(error)).lower()}"
        return
    for entry in entries:
        name = prefix + entry.name
        if is_litter(entry.name):
            continue
        try:
            status = entry.stat()
        except OSError:
            yield name, 0, "link to nothing" if entry.is_symlink() else "cannot be read"
            continue
        if stat.S_ISDIR(status.st_mode):
            if not is_utf8(entry.name):
                yield name, 0, _NO_UTF8
                continue
            identity = _identity(entry.path)
            if identity in above:
                yield name, 0, "link back to a folder that holds it"
            else:
                yield from _walk(Path(entry.path), f"{name}/", [*above, identity])
        else:
            yield name, status.st_size, _reason(entry.name, status.st_mode)


def _reason(name: str, mode: int) -> str | None:
    """Why a file is left out; None for an image."""
    if not is_image_name(name):
        return "no image"
    if not stat.S_ISREG(mode):
        return "no regular file"
    # A name of this kind can stand neither in a table nor in a message.
    return None if is_utf8(name) else _NO_UTF8


def _identity(folder: str | os.PathLike[str]) -> tuple[int, int]:
    status = Path(folder).stat()
    return status.st_dev, status.st_ino
