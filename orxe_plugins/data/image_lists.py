"""Data sets without class folders: images that a list names, with numbers in a table."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import Subset, list_identity
from orxe_plugins.data.reading import image_files, named, read_image
from orxe_plugins.data.text_files import read_lines, same_name
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import is_file_there

TABLE = "targets.csv"


class ImageList:
    """Image files in a fixed order, each with a target.

    Args:
        root: the data folder.
        rows: path relative to ``root`` and target of each image.
        contents: a text for each target, which goes into the fingerprint.
        notes: what was left out or decided when the list was made.
    """

    def __init__(
        self, root: Path, rows: Iterable[tuple[str, Any]], contents: Iterable[str], notes: Sequence[str] = ()
    ) -> None:
        listed = sorted(zip(rows, contents, strict=True), key=lambda row: row[0][0])
        self.root = root
        self.name = root.resolve().name
        self.sample_ids = [path for (path, _), _ in listed]
        self.targets = [target for (_, target), _ in listed]
        self.notes = tuple(notes)
        digest = hashlib.sha256()
        for (path, _), content in listed:
            size = (root / path).stat().st_size
            digest.update(f"{path}\0{size}\0{content}\n".encode("utf-8", "surrogateescape"))
        self.fingerprint = digest.hexdigest()
        self.identity = list_identity(self.sample_ids, map(self._described, self.targets))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def content_files(self, index: int) -> list[Path]:
        """The files that a sample is made of."""
        return [self.root / self.sample_ids[index]]

    @staticmethod
    def _described(target: Any) -> str:
        return repr(target)

    def load(self, index: int) -> Image.Image:
        """The original image, in RGB (EXIF rotation is not applied).

        Raises:
            BadSampleError: it cannot be decoded.
        """
        return read_image(self.root / self.sample_ids[index])

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self, indices)


def table_of_images(root: Path) -> ImageList:
    """Images with numbers: ``root/targets.csv`` has a column ``image`` (a path below ``root``) and columns of numbers.

    Commas, semicolons or tabs separate the columns; with semicolons, a number may have a decimal comma. A target is one
    float, or a tuple of them where there are several columns.

    Raises:
        OrxeError: there is no such table, an image is missing or named twice, or a target is not a number.
    """
    table = root / TABLE
    if not table.is_file():
        raise OrxeError(f"no table {str(table)!r}: expected a CSV file with a column 'image' and columns of numbers")
    lines = read_lines(table, "table")
    mark = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    head = [name.strip() for name in next(reader, [])]
    where = next((i for i, name in enumerate(head) if name.lower() == "image"), None)
    if where is None or len(head) < 2:
        raise OrxeError(f"{table} has the columns {head}: expected 'image' and at least one more")
    rows: dict[str, Any] = {}
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        place = f"{table}, line {reader.line_num}"
        if len(cells) != len(head):
            raise OrxeError(f"{place}: {len(cells)} cells, but the table has {len(head)} columns: {cells}")
        path = _existing(root, cells.pop(where).strip(), place)
        if path in rows:
            raise OrxeError(f"{place}: image {path!r} is named twice")
        rows[path] = _numbers([c.replace(",", ".") for c in cells] if mark == ";" else cells, place)
    if not rows:
        raise OrxeError(f"{table} lists no image")
    return ImageList(root, rows.items(), map(repr, rows.values()), _not_listed(root, rows))


def _existing(root: Path, path: str, place: str) -> str:
    """The path as the disk has it: with "/" between its parts, and letters with accents in the disk's form."""
    plain = path.replace("\\", "/")
    if ".." in Path(plain).parts or "\0" in plain or max(map(len, Path(plain).parts), default=0) > 255:
        raise OrxeError(f"{place}: image {path!r:.200} is no path below {str(root)!r}")
    for spelled in dict.fromkeys((path, plain, plain.removeprefix("./"))):
        if spelled and not Path(spelled).is_absolute() and is_file_there(root / spelled):
            return spelled.removeprefix("./")
    folder = (root / plain).parent
    if plain and folder.is_dir():
        for name in (entry.name for entry in folder.iterdir()):
            if same_name(name) == same_name(Path(plain).name):
                return str(Path(plain).with_name(name).as_posix())
    raise OrxeError(f"{place}: image {path!r} does not exist; a path is relative to {str(root)!r}")


def _not_listed(root: Path, listed: Iterable[str]) -> list[str]:
    named_ones = set(listed)
    others = [name for name in image_files(root).images if name not in named_ones]
    return [f"{len(others)} image files are not in {TABLE}, so they are left out: {named(others)}"] if others else []


def _numbers(values: Sequence[str], place: str) -> float | tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except ValueError as error:
        raise OrxeError(f"{place}: {list(values)} are not numbers") from error
    if not np.isfinite(numbers).all():
        raise OrxeError(f"{place}: {list(values)} are not finite")
    return numbers[0] if len(numbers) == 1 else numbers
