"""CocoDataset: images and their boxes out of a COCO annotation file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import BadSampleError, Subset, decode
from orxe_plugins.detection.coco.ground_truth import GroundTruth, targets_fingerprint
from orxe_plugins.errors import OrxeError

_LAYOUTS = "expected instances.json, _annotations.coco.json or annotations/instances_<split>.json"


class CocoDataset:
    """Images and boxes in COCO's format; see :class:`orxe_plugins.data.datasets.Dataset`.

    Known layouts, by what ``root`` is:

    - a folder with ``instances.json`` or ``_annotations.coco.json``; images in it or in ``images/``;
    - COCO's own folder with one ``annotations/instances_<split>.json``; images in ``<split>/``;
    - a split of it, such as ``coco/val2017``; annotations in ``../annotations``;
    - an annotation file of the first two kinds.

    Args:
        root: see above.
        images: the folder of the images, where it is another one.

    Attributes:
        sample_ids: the images' file names, in order of their ids: COCO's evaluation breaks ties in that order.
        image_ids: COCO's image ids.
        targets: a :class:`GroundTruth` for each image, which may have no box.
        names: label names, in order of COCO's category ids.
        category_ids: COCO's id of each label.
        folder: where the images lie; None if it was not found, and then no image can be loaded.

    Raises:
        OrxeError: there is no such file, or it is not a complete COCO annotation file.
    """

    def __init__(self, root: str | Path, images: str | Path | None = None) -> None:
        self.file = find_annotations(Path(root))
        content = _read(self.file)
        categories = _by_id(content["categories"], "category", self.file)
        listed = _by_id(content["images"], "image", self.file)
        self.category_ids = list(categories)
        self.names = tuple(str(category["name"]) for category in categories.values())
        self.image_ids = list(listed)
        self.sample_ids = [str(image["file_name"]) for image in listed.values()]
        self.targets = _targets(content["annotations"], self.image_ids, self.category_ids, self.names, self.file)
        self.name = _name(self.file)
        self.fingerprint = targets_fingerprint(self.sample_ids, self.targets, self.names)
        self._tried = [Path(images)] if images is not None else _image_folders(self.file)
        self.folder = next((f for f in self._tried if any((f / i).is_file() for i in self.sample_ids[:100])), None)
        twice = len(self.sample_ids) - len(set(self.sample_ids))
        if twice:
            raise OrxeError(f"{self.file} names {twice} image files twice: every image needs a file name of its own")

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        """The image, decoded whole, in RGB.

        Raises:
            BadSampleError: the file is missing, may not be read, or cannot be decoded.
            OrxeError: the folder of the images was not found.
        """
        if self.folder is None:
            tried = ", ".join(map(str, self._tried))
            raise OrxeError(f"the images of {self.file} are in none of {tried}: name their folder with images=")
        try:
            data = (self.folder / self.sample_ids[index]).read_bytes()
        except FileNotFoundError as error:
            raise BadSampleError("the file is missing") from error
        except OSError as error:
            raise BadSampleError(f"cannot be read: {error.strerror}") from error
        return decode(data)

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)


def find_annotations(root: Path) -> Path:
    """The annotation file of a data folder; see :class:`CocoDataset` for what ``root`` may be.

    Raises:
        OrxeError: there is none, or there are several to choose from.
    """
    if root.is_file():
        return root
    if not root.is_dir():
        raise OrxeError(f"data folder {str(root)!r} does not exist: {_LAYOUTS}")
    for name in ("instances.json", "_annotations.coco.json"):
        if (root / name).is_file():
            return root / name
    of_split = root.resolve().parent / "annotations" / f"instances_{root.resolve().name}.json"
    if of_split.is_file():
        return of_split
    found = sorted((root / "annotations").glob("instances_*.json"))
    if len(found) > 1:
        splits = ", ".join(str(root / path.stem.removeprefix("instances_")) for path in found)
        raise OrxeError(f"data folder {str(root)!r} holds several splits: name one of {splits}")
    if not found:
        raise OrxeError(f"data folder {str(root)!r} holds no COCO annotations: {_LAYOUTS}")
    return found[0]


def _image_folders(file: Path) -> list[Path]:
    """Folders where the images of an annotation file usually lie, the likeliest first."""
    if file.parent.name != "annotations":
        return [file.parent / "images", file.parent]
    root, split = file.parent.parent, file.stem.removeprefix("instances_")
    return [root / split, root / "images" / split, root / "images", root]


def _name(file: Path) -> str:
    if file.parent.name == "annotations":
        return file.stem.removeprefix("instances_")
    return file.resolve().parent.name


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise OrxeError(f"{file} is not a readable COCO annotation file: {error}") from error
    for part in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise OrxeError(f"{file} is not a COCO annotation file: it has no list of {part}")
    if not content["images"]:
        raise OrxeError(f"{file} lists no image")
    return content


def _by_id(entries: Sequence[Mapping[str, Any]], kind: str, file: Path) -> dict[Any, Mapping[str, Any]]:
    """The entries by rising id."""
    label = {"image": "file_name", "category": "name"}[kind]
    try:
        found = {entry["id"]: entry for entry in sorted(entries, key=lambda entry: entry["id"]) if entry[label]}
    except (KeyError, TypeError) as error:
        raise OrxeError(f"{file}: every {kind} needs an id and a {label}, but one is wrong: {error}") from error
    if len(found) != len(entries):
        raise OrxeError(f"{file}: {len(entries) - len(found)} of {len(entries)} {kind} entries share an id")
    return found


def _targets(
    annotations: Sequence[Mapping[str, Any]],
    image_ids: Sequence[Any],
    category_ids: Sequence[Any],
    names: tuple[str, ...],
    file: Path,
) -> list[GroundTruth]:
    label_of = {category: label for label, category in enumerate(category_ids)}
    rows: dict[Any, list[tuple[list[float], int, bool, float]]] = {image: [] for image in image_ids}
    for annotation in annotations:
        try:
            box = [float(value) for value in annotation["bbox"]]
            _, _, width, height = box
            # Many tools leave out both: then it is an object, and its area that of its box.
            crowd, area = bool(annotation.get("iscrowd", 0)), float(annotation.get("area", width * height))
            rows[annotation["image_id"]].append((box, label_of[annotation["category_id"]], crowd, area))
        except (KeyError, TypeError, ValueError) as error:
            name = annotation.get("id", "without an id") if isinstance(annotation, Mapping) else annotation
            raise OrxeError(
                f"{file}: annotation {name!r} is wrong ({type(error).__name__}: {error}): expected bbox with "
                "four numbers, and an image_id and a category_id that the file lists"
            ) from error
    return [_target(rows[image], names) for image in image_ids]


def _target(rows: Sequence[tuple[list[float], int, bool, float]], names: tuple[str, ...]) -> GroundTruth:
    boxes, labels, crowd, area = zip(*rows, strict=True) if rows else ((), (), (), ())
    return GroundTruth(np.array(boxes), np.array(labels, dtype=np.int64), names, np.array(crowd, bool), np.array(area))
