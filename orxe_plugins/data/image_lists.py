"""Data sets without class folders: images with numbers in a table, images with masks."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import IMAGE_SUFFIXES, BadSampleError, Subset, decode
from orxe_plugins.errors import OrxeError

TABLE = "targets.csv"


class ImageList:
    """Image files in a fixed order, each with a target.

    Args:
        root: the data folder.
        rows: path relative to ``root`` and target of each image.
        contents: a text for each target, which goes into the fingerprint.
    """

    def __init__(self, root: Path, rows: Iterable[tuple[str, Any]], contents: Iterable[str]) -> None:
        listed = sorted(zip(rows, contents, strict=True), key=lambda row: row[0][0])
        self.root = root
        self.name = root.resolve().name
        self.sample_ids = [path for (path, _), _ in listed]
        self.targets = [target for (_, target), _ in listed]
        digest = hashlib.sha256()
        for (path, _), content in listed:
            size = (root / path).stat().st_size
            digest.update(f"{path}\0{size}\0{content}\n".encode("utf-8", "surrogateescape"))
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        """The original image, in RGB.

        Raises:
            BadSampleError: it cannot be decoded.
        """
        try:
            return decode((self.root / self.sample_ids[index]).read_bytes())
        except OSError as error:
            raise BadSampleError(f"cannot be read: {error}") from error

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self, indices)


def table_of_images(root: Path) -> ImageList:
    """Images with numbers: ``root/targets.csv`` has a column ``image`` (a path below ``root``) and columns of numbers.

    A target is one float, or a tuple of them where there are several columns.

    Raises:
        OrxeError: there is no such table, an image is missing or named twice, or a target is not a number.
    """
    table = root / TABLE
    if not table.is_file():
        raise OrxeError(f"no table {str(table)!r}: expected a CSV file with a column 'image' and columns of numbers")
    rows: dict[str, Any] = {}
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or () if name != "image"]
        if "image" not in (reader.fieldnames or ()) or not names:
            raise OrxeError(f"{table} has the columns {reader.fieldnames}: expected 'image' and at least one more")
        for line in reader:
            path = line["image"]
            if path in rows or not (root / path).is_file():
                raise OrxeError(f"{table}, line {reader.line_num}: image {path!r} is named twice or does not exist")
            rows[path] = _numbers([line[name] for name in names], table, reader.line_num)
    if not rows:
        raise OrxeError(f"{table} lists no image")
    return ImageList(root, rows.items(), map(repr, rows.values()))


def images_with_masks(root: Path) -> ImageList:
    """Images with masks: ``root/images/NAME.*`` and ``root/masks/NAME.png``, whose pixels are class indices.

    255 in a mask is "ignore". A target is a :class:`Mask`.

    Raises:
        OrxeError: a folder is missing or empty, or an image has no mask.
    """
    images, masks = root / "images", root / "masks"
    if not images.is_dir() or not masks.is_dir():
        raise OrxeError(f"data folder {str(root)!r}: expected the folders images/ and masks/ in it")
    rows = []
    for path in sorted(images.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        mask = masks / f"{path.stem}.png"
        if not mask.is_file():
            raise OrxeError(f"image {str(path)!r} has no mask: expected {str(mask)!r}")
        rows.append((f"images/{path.name}", Mask(mask)))
    if not rows:
        raise OrxeError(f"{images} holds no image")
    return ImageList(root, rows, [f"{mask.path.stat().st_size}" for _, mask in rows])


class Mask:
    """Class index of each pixel, read when it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pixels(self) -> np.ndarray:
        """Class indices, int64 of shape (H, W); 255 is ignored."""
        with Image.open(self.path) as image:
            return np.asarray(image if image.mode in ("L", "P", "I") else image.convert("L")).astype(np.int64)


def _numbers(values: list[str], table: Path, line: int) -> float | tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise OrxeError(f"{table}, line {line}: {values} are not numbers") from error
    if not np.isfinite(numbers).all():
        raise OrxeError(f"{table}, line {line}: {values} are not finite")
    return numbers[0] if len(numbers) == 1 else numbers
