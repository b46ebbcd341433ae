"""Data sets: samples in a fixed order, each with an id and a target."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from orxe_plugins.data.class_folders import number_folders
from orxe_plugins.data.reading import (
    BadSampleError,
    decode,
    image_files,
    is_image_name,
    is_litter,
    left_out_notes,
    named,
)
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular

#: a class map of this name, in the data folder or beside the class folders, is used without being named
CLASS_MAP = "synsets.txt"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test"})


class Dataset(Protocol):
    """Samples in a fixed order: what the recorder, the evaluation and recipes work on.

    A data set whose samples are files may also offer ``content_files(index)``, the files that a sample is made of, and
    ``identity``, a fingerprint that does not depend on what these hold: then records follow a file that changes.

    Attributes:
        name: the data set's name in reports.
        sample_ids: M distinct names of the samples; they do not depend on where the data lies.
        targets: the label of each sample, M elements; class indices for classification.
        fingerprint: changes when the samples, their order or their targets do.
        notes: sentences about what was left out, or decided, when the data was listed; data sets of version 0.1
            have none, so read them by ``getattr(dataset, "notes", ())``.
    """

    @property
    def name(self) -> str: ...

    @property
    def sample_ids(self) -> Sequence[str]: ...

    @property
    def targets(self) -> Sequence[Any]: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

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
        self.notes = tuple(getattr(base, "notes", ()))
        self.class_names: tuple[str, ...] = tuple(getattr(base, "class_names", ()))
        listed = ",".join(map(str, self.indices))
        self.fingerprint = hashlib.sha256(f"{base.fingerprint}[{listed}]".encode()).hexdigest()
        whole = getattr(base, "identity", None)
        #: as the fingerprint, but for what the samples' files hold; None where the base has none
        self.identity = None if whole is None else hashlib.sha256(f"{whole}[{listed}]".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, index: int) -> Image.Image:
        return self.base.load(self.indices[index])

    def content_files(self, index: int) -> Sequence[Path]:
        """The files that a sample is made of; none where the base does not say it."""
        return files_of(self.base, self.indices[index])

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self.base, [self.indices[i] for i in indices])


def files_of(dataset: Dataset, index: int) -> Sequence[Path]:
    """The files that a sample is made of; none where the data set does not say it."""
    content_files: Any = getattr(dataset, "content_files", None)
    return () if content_files is None else content_files(index)


def list_identity(sample_ids: Iterable[str], targets: Iterable[str]) -> str:
    """A hash of which samples there are and what their targets are, whatever their files hold."""
    digest = hashlib.sha256()
    for sample, target in zip(sample_ids, targets, strict=True):
        digest.update(f"{sample}\0{target}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def base_of(dataset: Dataset) -> Dataset:
    """The whole data set that one is a part of, or the data set itself."""
    while isinstance(dataset, Subset):
        dataset = dataset.base
    return dataset


class ImageFolder:
    """Images in one folder per class, as ImageNet is laid out.

    The class folders are those of ``root``, or of ``root/images`` where that holds folders. Images
    may lie deeper inside a class folder. The class index of a folder is its line in a class map; a
    ``synsets.txt`` in ``root`` or beside the class folders is used without being named. Without any class
    map, folders that are named 0, 1, 2, ... are those classes, and others are counted in the order of their names, if
    that order is clear: see :func:`orxe_plugins.data.class_folders.number_folders`.

    Args:
        root: the data folder; name the split, as in ``ImageFolder(root / "val")``, if there are some.
        class_map: a text file with one class folder per line (the line's number, counted from 0, is
            the class index), or with ``name index`` lines; or a mapping of names to indices.

    Attributes:
        folder: where the class folders lie; sample ids are paths relative to it.
        classes: class index of each class folder.
        class_map: what numbered them; None if nothing did.
        class_names: names of the classes in order of their indices; that of a class without a folder is empty, unless
            the class map names it.
        unmapped: whether the class folders were only counted, as no class map and no name says what they are.

    Raises:
        OrxeError: there is no such folder, no class folder, no image, no clear order of the class folders, or the
            class map does not name one.
    """

    def __init__(self, root: str | Path, class_map: str | Path | Mapping[str, int] | None = None) -> None:
        self.root = Path(root)
        self.folder = _folder_of_classes(self.root)
        names, loose = _class_folders(self.folder)
        self.class_map = class_map if class_map is not None else self._found_class_map()
        numbering = number_folders(names, self.class_map, self.folder)
        self.classes = numbering.indices
        self.unmapped = numbering.unmapped
        self.class_names = numbering.class_names
        files: list[tuple[str, int, int]] = []
        left_out, empty = [(name, "in no class folder") for name in loose], []
        for name in names:
            listed = image_files(self.folder / name)
            files += [
                (f"{name}/{path}", size, self.classes[name])
                for path, size in zip(listed.images, listed.sizes, strict=True)
            ]
            left_out += [(f"{name}/{path}", reason) for path, reason in listed.left_out]
            empty += [] if listed.images else [f"{name} (class {self.classes[name]})"]
        files.sort()
        self.notes = (*numbering.notes, *left_out_notes(left_out, len(files) + len(left_out)), *_empty_note(empty))
        if not files:
            raise OrxeError(
                " ".join([f"{self.folder} holds {len(names)} class folders, but no image in them.", *self.notes])
            )
        self.name = self.root.resolve().name
        self.sample_ids = [file[0] for file in files]
        self.targets = [file[2] for file in files]
        digest = hashlib.sha256()
        for file in files:
            digest.update("\0".join(map(str, file)).encode("utf-8", "surrogateescape") + b"\n")
        self.fingerprint = digest.hexdigest()
        self.identity = list_identity(self.sample_ids, map(str, self.targets))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def content_files(self, index: int) -> list[Path]:
        """The files that a sample is made of."""
        return [self.folder / self.sample_ids[index]]

    def load(self, index: int) -> Image.Image:
        """The image, decoded whole, in RGB (EXIF rotation is not applied, as timm and torchvision do).

        Raises:
            BadSampleError: the file cannot be decoded, or may not be read.
            OrxeError: the file is gone.
        """
        path = self.folder / self.sample_ids[index]
        try:
            data = regular(path).read_bytes()
        except FileNotFoundError as error:
            raise OrxeError(f"{path} is gone: the data folder changed since it was listed") from error
        except PermissionError as error:
            raise BadSampleError("permission denied") from error
        except OSError as error:
            raise BadSampleError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
        return decode(data)

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self, indices)

    def _found_class_map(self) -> Path | None:
        for folder in dict.fromkeys((self.root, self.folder, self.folder.resolve().parent)):
            if (folder / CLASS_MAP).is_file():
                return folder / CLASS_MAP
        return None


def folders_without_map(dataset: Dataset) -> int | None:
    """Number of class folders that were only counted; None if a class map or their own names number them."""
    folders = _counted_folders(dataset)
    return None if folders is None else len(folders.classes)


def _empty_note(folders: Sequence[str]) -> tuple[str, ...]:
    if not folders:
        return ()
    what = "class folder holds no image, and keeps its number"
    if len(folders) > 1:
        what = "class folders hold no image, and keep their numbers"
    return (f"{len(folders)} {what}: {named(folders)}",)


def _folder_of_classes(root: Path) -> Path:
    if not root.is_dir():
        kind = "is not a folder" if os.path.lexists(root) else "does not exist"
        raise OrxeError(f"data folder {str(root)!r} {kind}: expected a folder with one folder of images per class")
    inner = root / "images"
    folder = inner if inner.is_dir() and _folders(inner) else root
    if not os.access(folder, os.R_OK | os.X_OK):
        raise OrxeError(f"data folder {str(folder)!r} may not be read: permission denied")
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
        return [entry for entry in entries if not is_litter(entry.name) and _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle


def _class_folders(folder: Path) -> tuple[list[str], list[str]]:
    """The class folders' names, sorted, and the images that lie beside them.

    Raises:
        OrxeError: a link that might be a class folder leads to nothing, or to a folder that holds it.
    """
    names = [entry.name for entry in _folders(folder)]
    with os.scandir(folder) as entries:
        others = [entry for entry in entries if entry.name not in names and not is_litter(entry.name)]
    for entry in others:
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110  Path.exists fails on circles
            raise OrxeError(f"{entry.path} is a link to nothing: mend or remove it, for class folders are counted")
    for name in names:
        if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(folder / name)):
            raise OrxeError(f"class folder {str(folder / name)!r} is a link to a folder that holds it: remove it")
    return sorted(names), sorted(entry.name for entry in others if is_image_name(entry.name))


def check_same_folders(dataset: Dataset, others: Iterable[Dataset]) -> None:
    """Raise an error if class folders that were only counted are not the same in all data sets of one recipe."""
    folders = _counted_folders(dataset)
    for other in others:
        there = _counted_folders(other)
        if folders is not None and there is not None and folders.classes != there.classes:
            only = sorted(set(folders.classes) ^ set(there.classes))
            raise OrxeError(
                f"{str(folders.folder)!r} and {str(there.folder)!r} have different class folders, so the same number "
                f"would mean different classes; only one of them has {named(only)}. Name all classes in one file by "
                "data.class_map=FILE"
            )


def _counted_folders(dataset: Dataset) -> ImageFolder | None:
    base = base_of(dataset)
    return base if isinstance(base, ImageFolder) and base.unmapped else None
