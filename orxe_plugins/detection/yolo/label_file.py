"""Label files of YOLO data sets, by Ultralytics' rules."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from orxe_plugins.errors import OrxeError

#: how far outside of the image, in shares of its sides, Ultralytics lets coordinates be
_SLACK = 0.01


class BadLabelsError(OrxeError):
    """The labels of one image mean nothing; Ultralytics leaves such an image out."""


def label_file_of(image: Path) -> Path:
    """The label file of an image: in ``labels/`` instead of the last ``images/`` of its path, else beside it.

    >>> label_file_of(Path("/data/images/val/a.jpg")).as_posix()
    '/data/labels/val/a.txt'
    """
    before, found, after = str(image).rpartition(f"{os.sep}images{os.sep}")
    place = f"{before}{os.sep}labels{os.sep}{after}" if found else str(image)
    return Path(place).with_suffix(".txt")


def read_labels(file: Path, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The objects of one image.

    Rows are ``class x y width height``, or ``class x1 y1 x2 y2 ...`` for polygons, in shares of the image.

    Returns:
        Classes int64 (G,); centre and sides in shares of the image, float32 (G, 4); how many repeated rows were
        left out.

    Raises:
        OrxeError: a class is not one of 0 to ``n_classes - 1``.
        BadLabelsError: a row has another form, or lies outside of the image.
    """
    try:
        rows = [line.split() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadLabelsError(f"{file} cannot be read: {error}") from error
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.float32), 0
    labels = _as_boxes(rows, file)
    classes = labels[:, 0]
    if (classes % 1 != 0).any() or not np.isfinite(labels).all():
        raise BadLabelsError(f"{file}: a class is no whole number, or a side no number")
    if classes.max() >= n_classes or classes.min() < 0:
        wrong = classes.max() if classes.max() >= n_classes else classes.min()
        raise OrxeError(
            f"{file} has a class {int(wrong)}, but the data file names {n_classes}, 0 to {n_classes - 1}: correct the "
            "names or the labels"
        )
    if labels[:, 1:].max() > 1 + _SLACK:
        raise BadLabelsError(f"{file} has a coordinate {labels[:, 1:].max():g}: expected shares of the image, 0 to 1")
    if labels.min() < -_SLACK or labels[:, 3:].min() < 0:
        raise BadLabelsError(f"{file} has a coordinate {labels.min():g}: expected shares of the image, 0 to 1")
    return classes.astype(np.int64), labels[:, 1:], len(rows) - len(labels)


def _as_boxes(rows: list[list[str]], file: Path) -> np.ndarray:
    """Rows as class, centre and sides, float32 (G, 5); repeated ones are left out, as Ultralytics leaves them out."""
    lengths = sorted({len(row) for row in rows})
    polygons = lengths[-1] > 6
    try:
        if polygons:
            if lengths[0] == 5:
                raise BadLabelsError(f"{file} mixes boxes with polygons")
            points = [np.array(row[1:], dtype=np.float32).reshape(-1, 2) for row in rows]
            classes = np.array([row[0] for row in rows], dtype=np.float32)
            labels = np.column_stack([classes, *_boxes_of(points).T]).astype(np.float32)
            keys = [(float(cls), shape.tobytes()) for cls, shape in zip(classes, points, strict=True)]
            first = sorted({key: i for i, key in reversed(list(enumerate(keys)))}.values())
        elif lengths != [5]:
            raise BadLabelsError(f"{file} has rows of {', '.join(map(str, lengths))} columns: expected 5")
        else:
            labels = np.array(rows, dtype=np.float32)
            first = np.unique(labels, axis=0, return_index=True)[1].tolist()
    except ValueError as error:
        raise BadLabelsError(f"{file}: {error}") from error
    # Where a row is repeated, Ultralytics also sorts the rows.
    return labels[first] if len(first) < len(rows) else labels


def _boxes_of(polygons: list[np.ndarray]) -> np.ndarray:
    """Centre and sides around polygons, float32 (G, 4), in Ultralytics' arithmetic."""
    low = np.array([points.min(axis=0) for points in polygons])
    high = np.array([points.max(axis=0) for points in polygons])
    return np.hstack([(low + high) / 2, high - low])
