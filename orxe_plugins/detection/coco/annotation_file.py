"""What a COCO annotation file says, with all that tools write otherwise brought into one form."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.detection.notes import counted, note, some
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular
from orxe_plugins.util.json_files import WRONG_VALUES

#: characters of five bits each that a run length may have
_LONGEST_RUN = 10
_PARTS = ("images", "annotations", "categories")
#: byte-order marks of encodings that COCO's own tools cannot read
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, eq=False)
class AnnotationFile:
    """A COCO annotation file, checked.

    Attributes:
        image_ids: COCO's image ids, rising.
        file_names: the ``file_name`` of each image.
        sizes: width and height of each image as the file gives them, None where it does not.
        category_ids: COCO's ids of the labels, rising.
        names: the label names.
        targets: the ground truth of each image.
        notes: what was left out or decided, in plain sentences.
    """

    image_ids: list[Any]
    file_names: list[str]
    sizes: list[tuple[int, int] | None]
    category_ids: list[Any]
    names: tuple[str, ...]
    targets: list[GroundTruth]
    notes: tuple[str, ...]


def read_annotations(file: Path) -> AnnotationFile:
    """Read and check an annotation file.

    Raises:
        OrxeError: it is none, or an entry contradicts another one or has no meaning.
    """
    content = _read(file)
    notes: list[str] = []
    images = _by_id(content["images"], "image", file, notes)
    categories = _by_id(content["categories"], "category", file, notes)
    sizes = [_size(image) for image in images.values()]
    reader = _Reader(file, images, categories)
    for annotation in content["annotations"]:
        reader.add(annotation)
    kept = _kept_categories(categories, reader.used, file, notes)
    names = tuple(str(categories[category]["name"]) for category in kept)
    label_of = {category: label for label, category in enumerate(kept)}
    targets = [_target(rows, label_of, names) for rows in reader.rows.values()]
    unused = [repr(str(categories[category]["name"])) for category in kept if category not in reader.used]
    if unused and reader.used:
        notes.append(note(unused, len(kept), "class", "without any object, so that experts need not know them"))
    notes += reader.notes(targets)
    twice = [name for name, count in Counter(str(image["file_name"]) for image in images.values()).items() if count > 1]
    if twice:
        raise OrxeError(
            f"{file} names {len(twice)} image files twice, such as {twice[0]!r}: every image needs a file name of "
            "its own"
        )
    file_names = [str(image["file_name"]) for image in images.values()]
    return AnnotationFile(list(images), file_names, sizes, kept, names, targets, tuple(notes))


def _read(file: Path) -> dict[str, Any]:
    try:
        data = regular(file).read_bytes()
        if data.startswith(_WIDE) or b"\0" in data[:4]:
            raise OrxeError(f"{file} is a UTF-16 text: save it as UTF-8, which all tools for COCO read")
        content = json.loads(data.decode("utf-8-sig"))
    except OrxeError:
        raise
    except RecursionError as error:
        raise OrxeError(f"{file} is not a readable COCO annotation file: it is nested too deeply") from error
    except (OSError, ValueError) as error:
        raise OrxeError(f"{file} is not a readable COCO annotation file: {error}") from error
    for part in _PARTS:
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise OrxeError(f"{file} is not a COCO annotation file: it has no list of {part}")
    if not content["images"]:
        raise OrxeError(f"{file} lists no image")
    return content


def _id(value: Any) -> Any:
    """An id as a whole number where it is one in another spelling ("7", 7.0), else as a text.

    >>> _id("007"), _id(7.0), _id("a7")
    (7, 7, 'a7')
    """
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        raise TypeError(f"id {value!r}")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value


def _by_id(
    entries: Sequence[Mapping[str, Any]], kind: str, file: Path, notes: list[str]
) -> dict[Any, Mapping[str, Any]]:
    """The entries by rising id."""
    label = {"image": "file_name", "category": "name"}[kind]
    found: dict[Any, Mapping[str, Any]] = {}
    again: list[Any] = []
    shared: list[Any] = []
    for entry in entries:
        try:
            key, name = _id(entry["id"]), entry[label]
            if name is None or name == "":
                raise KeyError(label)
        except WRONG_VALUES as error:
            raise OrxeError(f"{file}: every {kind} needs an id and a {label}, but one is wrong: {error}") from error
        if key in found:
            (again if found[key][label] == name else shared).append(key)
        else:
            found[key] = entry
    if shared:
        raise OrxeError(
            f"{file}: {len(shared)} of {len(entries)} {kind} entries share an id with another {kind}, such as "
            f"{shared[0]!r}: every {kind} needs an id of its own"
        )
    if again:
        notes.append(f"{counted(len(again), f'{kind} entry')} stood in the file twice: {some(again)}")
    return dict(sorted(found.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        width, height = int(image["width"]), int(image["height"])
    except WRONG_VALUES:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _kept_categories(
    categories: Mapping[Any, Mapping[str, Any]], used: set[Any], file: Path, notes: list[str]
) -> list[Any]:
    """Ids of the categories that are labels: not those that no object has and that only group or repeat others."""
    keys = {category: normalise_label(str(entry["name"])) for category, entry in categories.items()}
    groups = {normalise_label(str(entry.get("supercategory", ""))) for entry in categories.values()}
    counts = Counter(keys.values())
    roots = [
        category
        for category, key in keys.items()
        if category not in used
        and (
            (key in groups and not _own_group(categories[category]))
            or (counts[key] > 1 and key in {keys[u] for u in used})
        )
    ]
    kept = [category for category in categories if category not in roots]
    if not kept:
        roots, kept = [], list(categories)
    if roots:
        names = [repr(str(categories[category]["name"])) for category in roots]
        notes.append(
            f"{counted(len(roots), 'category')} without any object, which only "
            f"{'groups' if len(roots) == 1 else 'group'} others, left out: {some(names)}"
        )
    twice = [key for key, count in Counter(keys[category] for category in kept).items() if count > 1]
    if twice:
        same = [category for category in kept if keys[category] == twice[0]]
        raise OrxeError(
            f"{file}: categories {', '.join(map(repr, same))} are all called {twice[0]!r}: every class needs a name "
            "of its own"
        )
    return kept


def _own_group(category: Mapping[str, Any]) -> bool:
    """Whether a category names itself as its group, as some tools write it for every class."""
    return normalise_label(str(category.get("supercategory", ""))) == normalise_label(str(category["name"]))


@dataclass
class _Row:
    box: list[float]
    category: Any
    crowd: bool
    area: float


@dataclass
class _Reader:
    """Annotations one after the other, each as a row of its image."""

    file: Path
    images: Mapping[Any, Mapping[str, Any]]
    categories: Mapping[Any, Mapping[str, Any]]
    rows: dict[Any, list[_Row]] = field(default_factory=dict)
    used: set[Any] = field(default_factory=set)
    total: int = 0
    unlisted: list[Any] = field(default_factory=list)
    from_shape: list[Any] = field(default_factory=list)
    degenerate: list[Any] = field(default_factory=list)
    outside: list[Any] = field(default_factory=list)
    corners: int = 0

    def __post_init__(self) -> None:
        self.rows = {image: [] for image in self.images}

    def add(self, annotation: Any) -> None:
        """Take one annotation; those that mean nothing are counted, wrong ones raise."""
        self.total += 1
        name = annotation.get("id", "without an id") if isinstance(annotation, Mapping) else annotation
        try:
            image, category = _id(annotation["image_id"]), _id(annotation["category_id"])
            if category not in self.categories:
                raise KeyError(f"category_id {category!r}")
            box = self._box(annotation, name)
            crowd = bool(int(annotation.get("iscrowd") or 0))
            area = annotation.get("area")
            # Many tools leave out both: then it is an object, and its area that of its box.
            area = box[2] * box[3] if area is None else float(area)
        except WRONG_VALUES as error:
            raise OrxeError(
                f"{self.file}: annotation {name!r} is wrong ({type(error).__name__}: {error}): expected bbox with "
                "four numbers, and an image_id and a category_id that the file lists"
            ) from error
        if image not in self.images:
            self.unlisted.append(name)
            return
        if not all(map(math.isfinite, [*box, area])):
            raise OrxeError(f"{self.file}: annotation {name!r} has bbox {box} and area {area}: expected finite numbers")
        if box[2] < 0 or box[3] < 0:
            raise OrxeError(
                f"{self.file}: annotation {name!r} has bbox {box}: expected left, top, width, height, and a width and "
                "height of 0 or more"
            )
        self.used.add(category)
        self._check_place(image, box, name)
        self.rows[image].append(_Row(box, category, crowd, area))

    def notes(self, targets: Sequence[GroundTruth]) -> list[str]:
        """What was found, in plain sentences; and an error for boxes that are corners."""
        if self.corners and self.corners == len(self.outside) and self.corners * 4 >= self.total:
            raise OrxeError(
                f"{self.file}: {self.corners} of {self.total} boxes leave their image if they are read as left, top, "
                "width, height, as COCO means them, but fit as corners x1, y1, x2, y2: convert them to left, top, "
                "width, height"
            )
        listed = (
            (self.unlisted, "left out, as the file does not list their image"),
            (self.from_shape, "without a bbox, so that it was taken of their segmentation"),
            (self.degenerate, "boxes without area; they count as objects that no box finds"),
            (self.outside, "boxes that leave their image by more than a pixel; they count as they are"),
        )
        found = [note(names, self.total, "annotation", what) for names, what in listed if names]
        again = sum(len(target) - len(np.unique(_keys(target), axis=0)) for target in targets if len(target) > 1)
        if again:
            found.append(
                f"{again} of {counted(self.total, 'annotation')}: the same box and class as another one of the image; "
                "each counts, as in COCO's own evaluation"
            )
        return found

    def _box(self, annotation: Mapping[str, Any], name: Any) -> list[float]:
        box = annotation.get("bbox")
        if box is None or (isinstance(box, list) and not box):
            shape = box_of_segmentation(annotation.get("segmentation"))
            if shape is None:
                raise KeyError("bbox")
            self.from_shape.append(name)
            return shape
        left, top, width, height = (float(value) for value in box)
        return [left, top, width, height]

    def _check_place(self, image: Any, box: list[float], name: Any) -> None:
        if box[2] == 0 or box[3] == 0:
            self.degenerate.append(name)
        size = _size(self.images[image])
        if size is None:
            return
        left, top, width, height = box
        if left < -1 or top < -1 or left + width > size[0] + 1 or top + height > size[1] + 1:
            self.outside.append(name)
            self.corners += 0 <= left < width <= size[0] + 1 and 0 <= top < height <= size[1] + 1


def box_of_segmentation(shape: Any) -> list[float] | None:
    """Left, top, width, height around a segmentation in COCO's format: polygons or run lengths; None without one."""
    if isinstance(shape, Mapping) and isinstance(shape.get("counts"), list):
        return _box_of_runs(shape["counts"], int(shape["size"][0]))
    if isinstance(shape, Mapping) and isinstance(shape.get("counts"), str):
        return _box_of_runs(_runs(shape["counts"]), int(shape["size"][0]))
    if isinstance(shape, list) and shape:
        polygons = shape if isinstance(shape[0], list) else [shape]
        points = np.concatenate([np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons])
        if len(points):
            low, high = points.min(axis=0), points.max(axis=0)
            return [*low.tolist(), *(high - low).tolist()]
    return None


def _runs(text: str) -> list[int]:
    """COCO's compressed run lengths: six bits a character, least first, as differences to the run before the last."""
    runs: list[int] = []
    place, value, shift = 0, 0, 0
    for character in text.encode("ascii"):
        bits = character - 48
        if shift > _LONGEST_RUN or not 0 <= bits < 64:
            raise ValueError("a segmentation of damaged run lengths")
        value |= (bits & 0x1F) << (5 * shift)
        shift += 1
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << (5 * shift)
        runs.append(value + (runs[place - 2] if place > 2 else 0))
        place, value, shift = place + 1, 0, 0
    return runs


def _box_of_runs(runs: Sequence[int], height: int) -> list[float] | None:
    """The box around a mask that is given column by column in runs of zeros and ones."""
    ends = np.cumsum(np.asarray(runs, dtype=np.int64))
    starts, stops = ends[0:-1:2], ends[1::2]
    if len(ends) % 2:
        starts = starts[: len(stops)]
    filled = stops > starts
    starts, stops = starts[filled], stops[filled] - 1
    if not len(starts) or height < 1:
        return None
    left, right = starts[0] // height, stops[-1] // height
    # A run that goes on in the next column touches the lowest and the first row.
    wraps = (starts // height) != (stops // height)
    top = 0 if wraps.any() else int((starts % height).min())
    bottom = height - 1 if wraps.any() else int((stops % height).max())
    return [float(left), float(top), float(right - left + 1), float(bottom - top + 1)]


def _keys(target: GroundTruth) -> np.ndarray:
    return np.hstack([target.xywh, target.labels[:, None], np.asarray(target.iscrowd)[:, None]])


def _target(rows: Sequence[_Row], label_of: Mapping[Any, int], names: tuple[str, ...]) -> GroundTruth:
    return GroundTruth(
        np.array([row.box for row in rows], dtype=np.float64),
        np.array([label_of[row.category] for row in rows], dtype=np.int64),
        names,
        np.array([row.crowd for row in rows], dtype=bool),
        np.array([row.area for row in rows], dtype=np.float64),
    )
