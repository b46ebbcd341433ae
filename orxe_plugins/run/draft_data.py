"""The data set of a new recipe: what a folder or a file holds, and for which task it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.image_lists import TABLE
from orxe_plugins.detection.coco.layouts import holds_annotations
from orxe_plugins.detection.yolo.data_file import find_data_file
from orxe_plugins.errors import OrxeError
from orxe_plugins.tasks.task import task_named

#: parts of a data set, in the order in which thresholds are best fitted on them: experts have seen the training images
_SPLITS = ("val", "valid", "validation", "test", "testing", "train", "training")
_TRAINED_ON = ("train", "training")


@dataclass(frozen=True)
class DraftData:
    """The data set of a new recipe.

    Attributes:
        root: the folder or file.
        task: name of the task that it is for.
        dataset: its samples.
        remarks: what was chosen, in sentences.
    """

    root: Path
    task: str
    dataset: Dataset
    remarks: tuple[str, ...] = ()


def draft_data(root: Path, task: str | None = None) -> DraftData:
    """Look at a folder or a file of labelled images.

    Args:
        root: class folders, a COCO or YOLO data set or its file, images with ``targets.csv`` or with masks.
        task: what it is for, where it is not clear.

    Raises:
        OrxeError: it is no data set that can be read.
    """
    root = root.expanduser()
    # Behind the file of a YOLO data set may stand the split, as in data.yaml#val.
    bare = root if root.exists() else Path(str(root).partition("#")[0])
    if not bare.exists():
        raise OrxeError(f"--data {root} does not exist: name the folder or the file of your labelled images")
    root, bare = root.resolve(), bare.resolve()
    if task is None:
        task = _task_of(bare)
    remarks: list[str] = []
    if task == "classification":
        root, remarks = _split_of(root)
    elif root.is_file() and root.name == TABLE:
        root = root.parent
    return DraftData(root, task, task_named(task).dataset(root), tuple(remarks))


def _task_of(root: Path) -> str:
    if root.is_file():
        if root.name == TABLE:
            return "regression"
        if root.suffix.lower() in (".json", ".yaml", ".yml"):
            return "detection"
        raise OrxeError(f"--data {root}: expected a folder, COCO's .json, YOLO's .yaml, or {TABLE}")
    if (root / TABLE).is_file():
        return "regression"
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return "segmentation"
    beside = root.parent / "annotations" / f"instances_{root.name}.json"
    if holds_annotations(root) or beside.is_file() or find_data_file(root) is not None:
        return "detection"
    return "classification"


def _split_of(root: Path) -> tuple[Path, list[str]]:
    """The part of a folder of class folders that thresholds are best fitted on."""
    folders = {path.name.lower(): path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if not folders or not set(folders) <= set(_SPLITS):
        return root, []
    chosen = next(name for name in _SPLITS if name in folders)
    others = ", ".join(sorted(path.name for name, path in folders.items() if name != chosen))
    remarks = [f"of the parts in {root.name}, {folders[chosen].name} is taken" + (f", not {others}" if others else "")]
    if chosen in _TRAINED_ON:
        remarks.append("experts are too sure of images that they were trained on: take others if you have some")
    return folders[chosen], remarks
