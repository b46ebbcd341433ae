"""Data sets in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orxe_plugins.data.datasets import BadSampleError
from orxe_plugins.detection import CocoDataset
from orxe_plugins.errors import OrxeError

CONTENT: dict[str, Any] = {
    "images": [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}],
    "categories": [{"id": 90, "name": "cat"}, {"id": 17, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 90, "bbox": [1, 2, 3, 4], "area": 7.5, "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 17, "bbox": [0, 0, 2, 2], "iscrowd": 1},
    ],
}


def write(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**CONTENT, **changes}))
    return path


def images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in (("a.png", 10), ("b.png", 200)):
        Image.new("RGB", (6, 5), (colour, 0, 0)).save(folder / name)


def test_images_come_by_id_and_labels_by_category_id(tmp_path: Path) -> None:
    write(tmp_path / "instances.json")
    images(tmp_path / "images")
    data = CocoDataset(tmp_path)
    assert (data.sample_ids, data.image_ids) == (["a.png", "b.png"], [4, 9])
    assert (data.names, data.category_ids) == (("dog", "cat"), [17, 90])
    empty, full = data.targets
    assert len(empty) == 0
    assert full.labels.tolist() == [1, 0]
    assert full.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
    assert full.iscrowd.tolist() == [False, True]
    assert full.area.tolist() == [7.5, 4.0]
    assert np.asarray(data.load(1))[0, 0].tolist() == [200, 0, 0]
    chosen = data.select([1])
    assert (len(chosen), chosen.sample_ids, len(chosen.targets[0])) == (1, ["b.png"], 2)


@pytest.mark.parametrize(
    ("file", "folder", "root"),
    [
        ("instances.json", ".", "."),
        ("_annotations.coco.json", ".", "."),
        ("instances.json", "images", "instances.json"),
        ("annotations/instances_val2017.json", "val2017", "."),
        ("annotations/instances_val2017.json", "val2017", "val2017"),
        ("annotations/instances_val2017.json", "images/val2017", "annotations/instances_val2017.json"),
    ],
)
def test_the_usual_layouts_are_found(tmp_path: Path, file: str, folder: str, root: str) -> None:
    write(tmp_path / file)
    images(tmp_path / folder)
    data = CocoDataset(tmp_path / root)
    assert data.load(0).size == (6, 5)


def test_the_folder_of_images_may_be_named(tmp_path: Path) -> None:
    write(tmp_path / "instances.json")
    images(tmp_path / "elsewhere")
    with pytest.raises(OrxeError, match="name their folder by data.images of a recipe, or CocoDataset"):
        CocoDataset(tmp_path).load(0)
    assert CocoDataset(tmp_path, tmp_path / "elsewhere").load(0).size == (6, 5)


def test_broken_images_are_bad_samples(tmp_path: Path) -> None:
    write(tmp_path / "instances.json")
    images(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no image")
    data = CocoDataset(tmp_path)
    with pytest.raises(BadSampleError):
        data.load(0)
    (tmp_path / "a.png").unlink()
    with pytest.raises(BadSampleError, match="is missing"):
        data.load(0)


def test_the_fingerprint_follows_boxes_and_names(tmp_path: Path) -> None:
    prints = {CocoDataset(write(tmp_path / "same.json")).fingerprint, CocoDataset(tmp_path / "same.json").fingerprint}
    assert len(prints) == 1
    moved = [{**CONTENT["annotations"][0], "bbox": [1, 2, 3, 5]}, CONTENT["annotations"][1]]
    renamed = [{**CONTENT["categories"][0], "name": "puma"}, CONTENT["categories"][1]]
    for changes in ({"annotations": moved}, {"categories": renamed}, {"images": CONTENT["images"][:1] * 1}):
        kept = {"annotations": CONTENT["annotations"], **changes}
        prints.add(CocoDataset(write(tmp_path / "other.json", **kept)).fingerprint)
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "lists no image"),
        ({"images": "none"}, "no list of images"),
        ({"images": [*CONTENT["images"], {"id": 9, "file_name": "c.png"}]}, "1 of 3 image entries share an id"),
        ({"images": [{"id": 9, "file_name": "a"}, {"id": 4, "file_name": "a"}]}, "names 1 image files twice"),
        ({"images": [{"id": 9}]}, "needs an id and a file_name"),
        ({"images": [{"id": 9, "file_name": "a\ud800.png"}], "annotations": []}, r"'a\\ud800\.png'"),
        ({"categories": [{"id": 3, "name": "\ud800"}], "annotations": []}, r"label.*'\\ud800'"),
        ({"categories": [{"id": 90}]}, "needs an id and a name"),
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "annotation 5 is wrong"),
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 90, "bbox": [0, 0, 1]}]}, "expected bbox with four"),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 90, "bbox": [0, 0, -1, 1]}]},
            "width and height of 0",
        ),
    ],
)
def test_what_is_no_annotation_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        CocoDataset(write(tmp_path / "instances.json", **changes))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="does not exist: expected instances.json"):
        CocoDataset(tmp_path / "nowhere")
    with pytest.raises(OrxeError, match="holds no COCO annotations"):
        CocoDataset(tmp_path)
    for split in ("train2017", "val2017"):
        write(tmp_path / "annotations" / f"instances_{split}.json")
    with pytest.raises(OrxeError, match="holds several splits: name one of .*val2017"):
        CocoDataset(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(OrxeError, match="not a readable COCO annotation file"):
        CocoDataset(tmp_path / "broken.json")
