"""Data sets: samples in a fixed order, each with an id and a target."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from orxe_plugins.errors import OrxeError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
#: a class map of this name, in the data folder or beside the class folders, is used without being named
CLASS_MAP = "synsets.txt"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test"})
# What PIL and its decoders raise on broken files.
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


class BadSampleError(OrxeError):
    """One sample cannot be read; others can. Loops over a data set may skip it."""


class Dataset(Protocol):
    """Samples in a fixed order: what the recorder, the evaluation and recipes work on.

    Attributes:
        name: the data set's name in reports.
        sample_ids: M distinct names of the samples; they do not depend on where the data lies.
        targets: the label of each sample, M elements; class indices for classification.
        fingerprint: changes when the samples, their order or their targets do.
    """

    @property
    def name(self) -> str: ...

    @property
    def sample_ids(self) -> Sequence[str]: ...

    @property
    def targets(self) -> Sequence[Any]: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def load(self, index: int) -> Image.Image:
        """The original image of a sample, decoded whole, in RGB. Safe to call from several threads.

        Raises:
            BadSampleError: the sample cannot be decoded.
        """

    def select(self, indices: Iterable[int]) -> Dataset:
        """A data set of some samples, in the given order."""


class Subset:
    """Some samples of another data set.

    Args:
        base: the data set.
        indices: which samples, in which order.
    """

    def __init__(self, base: Dataset, indices: Iterable[int]) -> None:
        self.base = base
        self.indices = [int(i) for i in indices]
        wrong = next((i for i in self.indices if not 0 <= i < len(base)), None)
        if wrong is not None:
            raise OrxeError(f"sample {wrong} of data set {base.name!r}: expected 0 to {len(base) - 1}")
        self.name = base.name
        self.sample_ids = [base.sample_ids[i] for i in self.indices]
        self.targets = [base.targets[i] for i in self.indices]
        listed = ",".join(map(str, self.indices))
        self.fingerprint = hashlib.sha256(f"{base.fingerprint}[{listed}]".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, index: int) -> Image.Image:
        return self.base.load(self.indices[index])

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self.base, [self.indices[i] for i in indices])


class ImageFolder:
    """Images in one folder per class, as ImageNet is laid out.

    The class folders are those of ``root``, or of ``root/images`` where that holds folders. Images
    may lie deeper inside a class folder. The class index of a folder is its line in a class map; a
    ``synsets.txt`` in ``root`` or beside the class folders is used without being named. Without any class
    map, the sorted class folders are numbered 0, 1, 2, ...

    Args:
        root: the data folder; name the split, as in ``ImageFolder(root / "val")``, if there are some.
        class_map: a text file with one class folder per line (the line's number, counted from 0, is
            the class index), or with ``name index`` lines; or a mapping of names to indices.

    Attributes:
        folder: where the class folders lie; sample ids are paths relative to it.
        classes: class index of each class folder.
        unmapped: whether the class folders were numbered in their own order, as there is no class map.

    Raises:
        OrxeError: there is no such folder, no class folder, no image, or the class map does not name a class
            folder.
    """

    def __init__(self, root: str | Path, class_map: str | Path | Mapping[str, int] | None = None) -> None:
        self.root = Path(root)
        self.folder = _folder_of_classes(self.root)
        names = sorted(entry.name for entry in _folders(self.folder))
        class_map = class_map if class_map is not None else self._found_class_map()
        self.unmapped = class_map is None
        self.classes = _number(names, class_map)
        files = [
            (f"{name}/{path}", size, self.classes[name]) for name in names for path, size in _images(self.folder / name)
        ]
        files.sort()
        if not files:
            raise OrxeError(f"{self.folder} holds {len(names)} class folders, but no image in them")
        self.name = self.root.resolve().name
        self.sample_ids = [file[0] for file in files]
        self.targets = [file[2] for file in files]
        digest = hashlib.sha256()
        for file in files:
            digest.update("\0".join(map(str, file)).encode("utf-8", "surrogateescape") + b"\n")
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        """The image, decoded whole, in RGB (EXIF rotation is not applied, as timm and torchvision do).

        Raises:
            BadSampleError: the file cannot be decoded, or may not be read.
            OrxeError: the file is gone.
        """
        path = self.folder / self.sample_ids[index]
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise OrxeError(f"{path} is gone: the data folder changed since it was listed") from error
        except PermissionError as error:
            raise BadSampleError("permission denied") from error
        return decode(data)

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self, indices)

    def _found_class_map(self) -> Path | None:
        for folder in dict.fromkeys((self.root, self.folder, self.folder.resolve().parent)):
            if (folder / CLASS_MAP).is_file():
                return folder / CLASS_MAP
        return None


def folders_without_map(dataset: Dataset) -> int | None:
    """Number of class folders that were numbered in their own order; None if a class map numbered them."""
    while isinstance(dataset, Subset):
        dataset = dataset.base
    return len(dataset.classes) if isinstance(dataset, ImageFolder) and dataset.unmapped else None


def decode(data: bytes) -> Image.Image:
    """An image file's pixels in RGB, decoded whole.

    Raises:
        BadSampleError: the file is empty, truncated, broken or of an unknown kind.
    """
    if not data:
        raise BadSampleError("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (Image.UnidentifiedImageError, ImportError) as error:
        # Other packages replace Image.open by a function that asks for a plug-in where it knows no format.
        raise BadSampleError("not an image file") from error
    except _DECODE_ERRORS as error:
        raise BadSampleError(f"cannot be decoded: {error}") from error


def read_class_map(file: str | Path, names: Sequence[str]) -> dict[str, int]:
    """Class indices out of a text file.

    Args:
        file: one class per line, or ``name index`` lines.
        names: class folders that the file must name; they decide which of the two kinds it is.

    Raises:
        OrxeError: the file does not exist, names a class twice, or lacks one of ``names``.
    """
    path = Path(file)
    if not path.is_file():
        raise OrxeError(f"class map {str(path)!r} does not exist")
    lines = [(number, line.strip()) for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())]
    lines = [(number, line) for number, line in lines if line]
    pairs = [(line, number) for number, line in lines]
    if not {name for name, _ in pairs}.issuperset(names):
        split = [line.rsplit(None, 1) for _, line in lines]
        if all(len(parts) == 2 and parts[1].isdecimal() for parts in split):
            pairs = [(parts[0], int(parts[1])) for parts in split]
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise OrxeError(f"class map {str(path)!r} names class {twice[0]!r} twice")
    return dict(pairs)


def _number(names: Sequence[str], class_map: str | Path | Mapping[str, int] | None) -> dict[str, int]:
    if class_map is None:
        return {name: index for index, name in enumerate(names)}
    indices = dict(class_map) if isinstance(class_map, Mapping) else read_class_map(class_map, names)
    missing = [name for name in names if name not in indices]
    if missing:
        where = "the class map" if isinstance(class_map, Mapping) else f"class map {str(class_map)!r}"
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise OrxeError(f"class folder {missing[0]!r}{more} is not in {where}, which names {len(indices)} classes")
    return {name: int(indices[name]) for name in names}


def _folder_of_classes(root: Path) -> Path:
    if not root.is_dir():
        kind = "is not a folder" if root.exists() else "does not exist"
        raise OrxeError(f"data folder {str(root)!r} {kind}: expected a folder with one folder of images per class")
    inner = root / "images"
    folder = inner if inner.is_dir() and _folders(inner) else root
    names = [entry.name for entry in _folders(folder)]
    if not any(folder.iterdir()):
        raise OrxeError(f"data folder {str(root)!r} is empty: expected one folder of images per class")
    if not names:
        raise OrxeError(f"data folder {str(folder)!r} holds no class folders: expected one folder of images per class")
    splits = sorted(name for name in names if name.lower() in _SPLITS and _folders(folder / name))
    if splits and len(splits) == len(names):
        raise OrxeError(
            f"data folder {str(root)!r} holds the splits {', '.join(splits)}: name one, as {folder / splits[-1]}"
        )
    return folder


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _images(folder: Path, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Path relative to ``folder`` and size in bytes of every image in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _images(folder / entry.name, f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                yield prefix + entry.name, entry.stat().st_size
