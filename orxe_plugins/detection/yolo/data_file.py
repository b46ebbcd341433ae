"""An Ultralytics data file: label names, and where the images of each split lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orxe_plugins.errors import OrxeError, shortened
from orxe_plugins.util.files import is_there
from orxe_plugins.util.yaml_files import read_yaml

SPLITS = ("train", "val", "test")
#: other names that exporting tools give to splits
_CALLED = {"train": ("train", "train2017"), "val": ("val", "validation", "valid", "val2017"), "test": ("test",)}
#: a number beyond is a slip, or wants the memory
_MOST_CLASSES = 1_000_000
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class DataFile:
    """What a data file says.

    Attributes:
        file: the file itself.
        names: label names, by rising key.
        sources: folders and list files of each split that the file names.
    """

    file: Path
    names: tuple[str, ...]
    sources: Mapping[str, tuple[Path, ...]]

    def of_split(self, split: str) -> tuple[Path, ...]:
        """Folders and list files of a split.

        Raises:
            OrxeError: the file has no such split, or its images are not there.
        """
        if split not in self.sources:
            raise OrxeError(
                f"{self.file} has no split {split!r}: it names {', '.join(self.sources) or 'none'}; name one as "
                f"{self.file}#{next(iter(self.sources), 'val')}"
            )
        missing = [path for path in self.sources[split] if not is_there(path)]
        if missing:
            raise OrxeError(
                f"{self.file}: the images of split {split!r} are not at {missing[0]}: correct `path:` or `{split}:` in "
                "the file, or download them"
            )
        return self.sources[split]


def find_data_file(root: Path) -> tuple[Path, str | None] | None:
    """The data file that a user's ``root`` means, and the split that it names.

    Args:
        root: a data file, which ``#SPLIT`` may follow; a folder that holds one; or the folder of a split's images below
            it, such as ``data/images/val`` or ``data/valid``.

    Returns:
        None if there is no data file. The split is None where ``root`` names none.

    Raises:
        OrxeError: a folder holds several data files.
    """
    path, _, split = str(root).partition("#")
    if split and not root.exists():
        file = Path(path)
        file = _only(file) or file if file.is_dir() else file
        return file, split
    if root.suffix.lower() in _SUFFIXES:
        return root, None
    if not root.is_dir():
        return None
    own = _only(root)
    if own is not None:
        return own, None
    for folder in [root, *root.resolve().parents][1:4]:
        above = _only(folder, strict=False)
        if above is not None:
            split_of = _split_of(read_data_file(above), root)
            if split_of is not None:
                return above, split_of
    return None


def read_data_file(file: Path) -> DataFile:
    """Read a data file.

    Raises:
        OrxeError: it is missing or no data file, or its names do not number the classes 0, 1, 2, ...
    """
    content = read_yaml(file, "data file")
    if not isinstance(content, dict) or not ({"names", "nc"} & set(content)):
        raise OrxeError(f"{file} is not an Ultralytics data file: it has neither names nor nc")
    sources: dict[str, tuple[Path, ...]] = {}
    for split in SPLITS:
        given = next((content[name] for name in _CALLED[split] if content.get(name)), None)
        if given is not None:
            listed = [given] if isinstance(given, str) else given
            if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
                raise OrxeError(f"{file}: {split} is {shortened(given)}: expected a folder, a list file, or several")
            sources[split] = tuple(_resolved(file, content.get("path"), str(each)) for each in listed)
    return DataFile(file, class_names(content.get("names"), content.get("nc"), str(file)), sources)


def class_names(names: Any, count: Any, owner: str) -> tuple[str, ...]:
    """Label names by rising key, in whatever order and spelling a data file lists them.

    Args:
        names: a list; or a mapping of class numbers, which may be texts, to names.
        count: the number of classes, ``nc``, where it is given.
        owner: what errors call the file.

    Raises:
        OrxeError: keys are not 0, 1, 2, ..., a name is there twice, or the number is another one.

    >>> class_names({"1": "dog", "0": "cat"}, 2, "data.yaml")
    ('cat', 'dog')
    """
    if names is None:
        names = [f"class_{i}" for i in range(_whole(count, owner))]  # at most so many as _whole lets through
    if isinstance(names, (list, tuple)):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise OrxeError(f"{owner}: names is {names!r:.100}: expected a list of class names, or numbers with names")
    by_key = {_whole(key, owner): str(name) for key, name in names.items()}
    if sorted(by_key) != list(range(len(names))):
        raise OrxeError(
            f"{owner}: names has the keys {', '.join(map(str, names))!s:.100}: expected 0 to {len(names) - 1}, "
            "each once"
        )
    if count is not None and _whole(count, owner) != len(by_key):
        raise OrxeError(f"{owner}: nc is {count}, but there are {len(by_key)} names: correct one of them")
    return tuple(by_key[i] for i in range(len(by_key)))


def _whole(value: Any, owner: str) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(float(value)):
            raise ValueError
        if not 0 <= float(value) <= _MOST_CLASSES:
            raise ValueError
        return int(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise OrxeError(f"{owner}: {value!r} is no class number: expected whole numbers from 0 on") from error


def _only(folder: Path, strict: bool = True) -> Path | None:
    """The data file of a folder; None if it holds none."""
    found = [path for path in sorted(folder.glob("*.y*ml")) if path.suffix in _SUFFIXES and _looks_like_one(path)]
    if len(found) > 1 and strict:
        raise OrxeError(f"data folder {str(folder)!r} holds several data files: name one of {_listed(found)}")
    return found[0] if len(found) == 1 else None


def _looks_like_one(path: Path) -> bool:
    try:
        content = read_yaml(path)
    except OrxeError:
        return False
    return isinstance(content, dict) and bool({"names", "nc"} & set(content)) and bool({"train", "val"} & set(content))


def _split_of(data: DataFile, folder: Path) -> str | None:
    """The split whose images are those of a folder, or lie in its ``images/``."""
    for split, sources in data.sources.items():
        for source in sources:
            if source in (folder.resolve(), (folder / "images").resolve()):
                return split
    return None


def _resolved(file: Path, path: Any, source: str) -> Path:
    """Where a source lies: Ultralytics takes ``path`` from the working folder, people mean the file's own folder."""
    if not all(map(_is_path, (source, str(path)))):
        raise OrxeError(f"{file}: {shortened(source)} is no path")
    base = file.absolute().parent
    roots = [Path(str(path)), base / str(path), base] if path else [base]
    tried = [root / each for root in roots for each in (source, source.removeprefix("../"))]
    return Path(os.path.realpath(next((place for place in tried if is_there(place)), tried[0])))


def _is_path(text: str) -> bool:
    """Whether a file could be called so: not with a NUL, or with half of a pair of UTF-16."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))
