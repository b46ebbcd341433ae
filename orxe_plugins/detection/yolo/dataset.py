"""YoloFiles: images and label files in YOLO's format, read as Ultralytics' ``val`` reads them, without Ultralytics."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import Subset
from orxe_plugins.data.reading import read_image
from orxe_plugins.detection.coco.ground_truth import GroundTruth, targets_fingerprint
from orxe_plugins.detection.notes import counted, note
from orxe_plugins.detection.sizes import stored_and_shown
from orxe_plugins.detection.yolo.data_file import find_data_file, read_data_file
from orxe_plugins.detection.yolo.label_file import BadLabelsError, label_file_of, read_labels
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import is_file_there, is_there

#: suffixes of the files that Ultralytics takes as images
IMAGE_SUFFIXES = frozenset(
    {"avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"}
)
#: suffixes of files that lie beside images and are none
_BESIDE = frozenset({"txt", "json", "xml", "csv", "npy", "cache", "yaml", "yml", "md", "html", "db", "zip"})
#: Ultralytics leaves out images with a side of fewer pixels
_LEAST_SIDE = 10


class YoloFiles:
    """One split of a data set in YOLO's format; see :class:`orxe_plugins.data.datasets.Dataset`.

    Images, labels and their order are those of Ultralytics' ``val``; images that it leaves out as broken are left out
    here too, and named in ``notes``. Images are turned by their EXIF tag.

    Args:
        sources: folders of images, and list files with one image per line.
        names: label names.
        name: what reports call the data set.

    Attributes:
        sample_ids: the images' paths below their common folder, in Ultralytics' order.
        targets: a :class:`GroundTruth` for each image; it may be without a box.
        files: the image files.
        notes: what was left out, in plain sentences.

    Raises:
        OrxeError: there is no image, or a label has a class that has no name.
    """

    def __init__(self, sources: Sequence[Path], names: Sequence[str], name: str) -> None:
        self.name, self.names = name, tuple(names)
        listed, others = _listed_images(sources)
        with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
            entries = list(pool.map(lambda file: _entry(file, self.names), listed))
        kept = [entry for entry in entries if entry.target is not None]
        if not kept:
            why = next((f": {entry.problem}" for entry in entries), "")
            raise OrxeError(f"data set {name!r} has no usable image in {', '.join(map(str, sources))}{why}")
        self.files = [entry.file for entry in kept]
        self.targets = [entry.target for entry in kept if entry.target is not None]
        common = os.path.commonpath([file.parent for file in self.files])
        self.sample_ids = [file.relative_to(common).as_posix() for file in self.files]
        self.fingerprint = self.identity = targets_fingerprint(self.sample_ids, self.targets, self.names)
        self.notes = tuple(_notes(entries, others))

    @classmethod
    def from_root(cls, root: str | Path, split: str | None = None) -> YoloFiles:
        """The split that a user's data folder means.

        Args:
            root: a data file such as ``data.yaml``, or ``data.yaml#train``; a folder that holds one; or the folder of a
                split's images below it.
            split: "train", "val" or "test", where ``root`` names none; "val" by default.
        """
        found = find_data_file(Path(root))
        if found is None:
            raise OrxeError(f"data folder {str(root)!r} holds no Ultralytics data file: expected a data.yaml")
        data = read_data_file(found[0])
        split = split or found[1] or "val"
        return cls(data.of_split(split), data.names, f"{found[0].stem}/{split}")

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Image.Image:
        """The image, decoded whole, in RGB, turned by its EXIF tag.

        Raises:
            BadSampleError: it is gone or cannot be decoded.
        """
        return read_image(self.files[index], turn=True)

    def content_files(self, index: int) -> list[Path]:
        """The files that a sample is made of; its boxes are part of the fingerprint."""
        return [self.files[index]]

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)


@dataclass(frozen=True, eq=False)
class _Entry:
    """An image with its objects, or why it is left out."""

    file: Path
    target: GroundTruth | None = None
    problem: str = ""
    labelled: bool = True
    repeated: int = 0


def _entry(file: Path, names: tuple[str, ...]) -> _Entry:
    if not is_file_there(file):
        return _Entry(file, problem="missing")
    sizes = stored_and_shown(file, verify=True)
    if sizes is None:
        return _Entry(file, problem="not readable as an image")
    width, height = sizes[1]
    if min(width, height) < _LEAST_SIDE:
        return _Entry(file, problem=f"smaller than {_LEAST_SIDE} pixels")
    labels = label_file_of(file)
    if not is_file_there(labels):
        return _Entry(file, GroundTruth(np.zeros((0, 4)), np.zeros(0), names), labelled=False)
    try:
        classes, shares, repeated = read_labels(labels, len(names))
    except BadLabelsError as error:
        return _Entry(file, problem=str(error))
    centre = shares.astype(np.float64) * (width, height, width, height)
    xywh = np.hstack([centre[:, :2] - centre[:, 2:] / 2, centre[:, 2:]])
    return _Entry(file, GroundTruth(xywh, classes, names), repeated=repeated)


def _listed_images(sources: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The image files of some sources in Ultralytics' order, and the names of files that are none for it."""
    found: list[str] = []
    for source in sources:
        if source.is_dir():
            # glob, unlike Path.rglob, follows links and leaves out hidden files, as Ultralytics does.
            found += glob.glob(f"{glob.escape(str(source))}{os.sep}**{os.sep}*.*", recursive=True)  # noqa: PTH207
        else:
            found += _lines(source)
    images = sorted(path for path in found if _suffix(path) in IMAGE_SUFFIXES)
    others = [Path(p).name for p in found if _suffix(p) not in IMAGE_SUFFIXES | _BESIDE and is_file_there(p)]
    return [Path(path) for path in images], sorted(others)


def _lines(file: Path) -> list[str]:
    """The paths that a list file names; relative ones lie below the working folder or the file's own."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OrxeError(f"{file} is not a readable list of images: {error}") from error
    lines = [line.strip().replace("\\", "/") for line in text.splitlines() if line.strip()]
    return [line if is_there(line) else str(file.parent / line) for line in lines]


def _suffix(path: str) -> str:
    return path.rpartition(".")[-1].lower()


def _notes(entries: Sequence[_Entry], others: Sequence[str]) -> list[str]:
    notes = []
    if others:
        notes.append(note(others, len(entries) + len(others), "file", "left out, as Ultralytics reads no such images"))
    bad = [f"{entry.file.name} ({entry.problem})" for entry in entries if entry.target is None]
    if bad:
        notes.append(note(bad, len(entries), "image", "left out, as Ultralytics leaves them out"))
    bare = [str(label_file_of(entry.file)) for entry in entries if entry.target is not None and not entry.labelled]
    if bare:
        notes.append(note(bare, len(entries), "image", "without a label file, so that they hold no object"))
    repeated = sum(entry.repeated for entry in entries)
    if repeated:
        notes.append(f"{counted(repeated, 'label')} left out, as the same stood in its file before")
    return notes
