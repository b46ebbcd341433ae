"""Where the annotation file and the images of a data set in COCO's format lie, by the tool that wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import is_file_there

#: names of annotation files beside or above the images: made by hand, Roboflow, FiftyOne, Label Studio
FILE_NAMES = ("instances.json", "_annotations.coco.json", "labels.json", "result.json", "annotations.json")
_LAYOUTS = (
    "expected instances.json, _annotations.coco.json, labels.json, result.json or "
    "annotations/instances_<split>.json, or name the annotation file itself"
)
#: what splits are called, as folders
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "train2017", "val2017")


def find_annotations(root: Path) -> Path:
    """The annotation file of a data folder; see :class:`CocoDataset` for what ``root`` may be.

    Raises:
        OrxeError: there is none, or there are several to choose from.
    """
    if root.is_file():
        return root
    if not root.is_dir():
        raise OrxeError(f"data folder {str(root)!r} does not exist: {_LAYOUTS}")
    present = [root / name for name in FILE_NAMES if (root / name).is_file()]
    if len(present) > 1:
        raise OrxeError(f"data folder {str(root)!r} holds {_listed(present)}: name the annotation file that is meant")
    if present:
        return present[0]
    # The link's own neighbours go before those of the folder that it leads to.
    for folder in dict.fromkeys((root.absolute(), root.resolve())):
        of_split = folder.parent / "annotations" / f"instances_{folder.name}.json"
        if of_split.is_file():
            return of_split
    found = sorted((root / "annotations").glob("instances_*.json"))
    if len(found) == 1:
        return found[0]
    splits = [
        str(root / path.stem.removeprefix("instances_")) if _is_split(root, path) else str(path) for path in found
    ]
    splits += [str(folder) for folder in _split_folders(root)]
    if len(splits) == 1:
        return find_annotations(Path(splits[0]))
    if splits:
        raise OrxeError(f"data folder {str(root)!r} holds several splits: name one of {', '.join(splits)}")
    return _only_json(root)


def holds_annotations(root: Path) -> bool:
    """Whether a folder has a COCO annotation file in a place of its own."""
    return (
        any((root / name).is_file() for name in FILE_NAMES)
        or any((root / "annotations").glob("instances_*.json"))
        or bool(_split_folders(root))
    )


def image_folders(file: Path) -> list[Path]:
    """Folders where the images of an annotation file usually lie, the likeliest first."""
    folder = file.absolute().parent
    if folder.name != "annotations":
        # FiftyOne puts images into data/, Label Studio and others into images/, Roboflow beside the file.
        return [folder / "images", folder / "data", folder]
    root, split = folder.parent, file.stem.removeprefix("instances_")
    # CVAT: images/default/ or images/ beside annotations/instances_default.json
    return [root / split, root / "images" / split, root / "images", root / "data", root]


class ImageFiles:
    """The image files that an annotation file lists, found below one folder.

    Args:
        names: the ``file_name`` of each image.
        folders: where they may lie; the one that holds most of them is taken.

    Attributes:
        folder: where they lie; None if not one was found.
        paths: the file of each image, which may be missing.
    """

    def __init__(self, names: Sequence[str], folders: Sequence[Path]) -> None:
        self.tried = list(folders)
        candidates = [_candidates(name) for name in names]
        chosen = _evenly(range(len(names)), 200)
        hits = [sum(_first(folder, candidates[i]) is not None for i in chosen) for folder in folders]
        best = max(range(len(folders)), key=lambda i: (hits[i], -i), default=None)
        self.folder = None if best is None or not hits[best] else folders[best]
        folder = self.folder
        found = [None if folder is None else _first(folder, each) for each in candidates]
        self.missing = [name for name, path in zip(names, found, strict=True) if path is None]
        self.paths = [path or (folder or Path()) / each[0] for path, each in zip(found, candidates, strict=True)]


def _evenly(items: Sequence[int], most: int) -> list[int]:
    step = max(1, len(items) // most)
    return list(items[::step])


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if is_file_there(folder / name)), None)


def _candidates(name: str) -> list[str]:
    """A ``file_name`` as a path below the folder of the images: as it is, and as labelling tools change it.

    >>> _candidates("images\\\\a.png")
    ['images/a.png', 'a.png']
    >>> _candidates("/data/local-files/?d=shots/a%20b.png")
    ['shots/a b.png', 'a b.png']
    """
    plain = name
    if "://" in name or "?" in name:
        try:
            parts = urlsplit(name)
        except ValueError:
            return [PurePosixPath(name).name]
        query = parse_qs(parts.query).get("d")
        plain = query[0] if query else unquote(parts.path)
    plain = plain.replace("\\", "/")
    if len(plain) > 1 and plain[1] == ":":
        plain = plain[2:]  # a drive of Windows
    parts_of = [part for part in PurePosixPath(plain).parts if part not in ("/", "..")]
    shorter = ["/".join(parts_of[i:]) for i in range(len(parts_of))]
    # What a file names stays below the folder of the images.
    exact = [] if plain.startswith("/") or plain != name or ".." in PurePosixPath(plain).parts else [name]
    return list(dict.fromkeys([*exact, *shorter])) or ["unnamed"]


def _is_split(root: Path, file: Path) -> bool:
    return (root / file.stem.removeprefix("instances_")).is_dir()


def _split_folders(root: Path) -> list[Path]:
    return [root / name for name in _SPLITS if any((root / name / file).is_file() for file in FILE_NAMES)]


def _only_json(root: Path) -> Path:
    """The one .json file of the folder or of its annotations/, whatever it is called."""
    for folder in (root, root / "annotations"):
        found = sorted(folder.glob("*.json"))
        if len(found) == 1:
            return found[0]
        if found:
            raise OrxeError(f"data folder {str(root)!r} holds {_listed(found)}: name the annotation file that is meant")
    raise OrxeError(f"data folder {str(root)!r} holds no COCO annotations: {_LAYOUTS}")


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(str(file) for file in files)
