"""COCO files as labelling tools write them: one set of boxes in every layout, or one error that says what is wrong."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orxe_plugins.detection import CocoDataset
from orxe_plugins.detection.coco.annotation_file import box_of_segmentation
from orxe_plugins.errors import OrxeError, OrxeWarning

CONTENT: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 12], "area": 120.0, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [5, 5, 20, 10], "area": 200.0, "iscrowd": 0},
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps({**CONTENT, **changes}))


def annotations(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The two annotations with changes, and further ones."""
    both = [dict(one) for one in CONTENT["annotations"]]
    return [{**(both[i] if i < 2 else both[1]), **change} for i, change in enumerate(changes)]


def write(file: Path, content: dict[str, Any] | bytes = CONTENT) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def draw(folder: Path, names: tuple[str, ...] = ("a.jpg", "b.jpg"), orientation: int = 1) -> Path:
    for i, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (40, 30), (100 * i + 50, 0, 0)).save(file, exif=exif)
    return folder


def read(content: dict[str, Any] | bytes, folder: Path) -> CocoDataset:
    write(folder / "instances.json", content)
    draw(folder / "images")
    return CocoDataset(folder)


@pytest.mark.parametrize(
    ("file", "images", "root"),
    [
        ("labels.json", "data", "."),  # FiftyOne
        ("_annotations.coco.json", ".", "."),  # a split of Roboflow
        ("train/_annotations.coco.json", "train", "."),  # Roboflow with one split
        ("annotations/instances_default.json", "images", "."),  # CVAT
        ("annotations/instances_default.json", "images/default", "."),
        ("result.json", "images", "."),  # Label Studio
        ("annotations/instances_val2017.json", "val2017", "val2017"),
        ("coco.json", "images", "."),
        ("annotations/anything.json", "images", "."),
    ],
)
def test_exports_of_labelling_tools_are_found(tmp_path: Path, file: str, images: str, root: str) -> None:
    write(tmp_path / file)
    draw(tmp_path / images)
    data = CocoDataset(tmp_path / root)
    assert [np.asarray(data.load(i))[0, 0, 0] // 10 for i in range(2)] == [5, 15]
    assert [target.boxes.tolist() for target in data.targets] == [[[2, 3, 12, 15]], [[5, 5, 25, 15]]]
    assert data.notes == ()


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("images/a.jpg", "images/b.jpg"), ("a.jpg", "b.jpg")),
        (("images\\a.jpg", "images\\b.jpg"), ("a.jpg", "b.jpg")),
        (("D:\\shots\\a.jpg", "D:\\shots\\b.jpg"), ("a.jpg", "b.jpg")),
        (("/data/upload/1/a.jpg", "/data/upload/1/b.jpg"), ("a.jpg", "b.jpg")),
        (("/data/local-files/?d=x%20y/a.jpg", "/data/local-files/?d=x%20y/b.jpg"), ("x y/a.jpg", "x y/b.jpg")),
        (("https://host.org/x/a.jpg?t=1", "https://host.org/x/b.jpg?t=1"), ("x/a.jpg", "x/b.jpg")),
        (("one/a.jpg", "two/a.jpg"), ("one/a.jpg", "two/a.jpg")),
        (("a#1.jpg", "b%20.jpg"), ("a#1.jpg", "b%20.jpg")),
    ],
)
def test_file_names_with_folders_drives_and_addresses_are_found(
    tmp_path: Path, names: tuple[str, str], places: tuple[str, str]
) -> None:
    images = [{**image, "file_name": name} for image, name in zip(CONTENT["images"], names, strict=True)]
    write(tmp_path / "result.json", changed(images=images))
    draw(tmp_path / "images", places)
    data = CocoDataset(tmp_path)
    assert [np.asarray(data.load(i))[0, 0, 0] // 10 for i in range(2)] == [5, 15]
    assert data.sample_ids == list(names)
    assert data.notes == ()


def test_a_link_to_the_images_finds_the_annotations_beside_either_end(tmp_path: Path) -> None:
    draw(tmp_path / "disk" / "pictures")
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "val2017").symlink_to(tmp_path / "disk" / "pictures")
    write(tmp_path / "coco" / "annotations" / "instances_val2017.json")
    assert CocoDataset(tmp_path / "coco" / "val2017").load(0).size == (40, 30)
    write(tmp_path / "disk" / "annotations" / "instances_pictures.json")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "pictures")
    assert CocoDataset(tmp_path / "link").load(0).size == (40, 30)


def test_several_splits_are_an_error_that_names_them(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path / split / "_annotations.coco.json")
    with pytest.raises(OrxeError, match="holds several splits: name one of .*train, .*valid, .*test"):
        CocoDataset(tmp_path)
    draw(tmp_path / "valid")
    assert CocoDataset(tmp_path / "valid").load(1).size == (40, 30)
    write(tmp_path / "both" / "labels.json")
    write(tmp_path / "both" / "result.json")
    with pytest.raises(OrxeError, match="holds .*labels.json, .*result.json: name the annotation file"):
        CocoDataset(tmp_path / "both")


def test_the_folder_of_the_images_may_be_elsewhere_and_what_is_missing_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "instances.json")
    draw(tmp_path / "elsewhere", ("a.jpg",))
    data = CocoDataset(tmp_path)
    with pytest.raises(OrxeError, match=r"such as 'a.jpg', are in none of .*data.images"):
        data.check_images()
    data = CocoDataset(tmp_path, tmp_path / "elsewhere")
    assert data.notes == (f"1 of 2 images: not in {tmp_path / 'elsewhere'}, so that they are skipped: b.jpg",)
    with pytest.raises(OrxeError, match="which is no folder"):
        CocoDataset(tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize("spelling", [str, float, lambda value: f"{value:03d}"])
def test_ids_may_be_spelled_otherwise(tmp_path: Path, spelling: Any) -> None:
    content = changed()
    for annotation in content["annotations"]:
        annotation["image_id"], annotation["category_id"] = map(
            spelling, (annotation["image_id"], annotation["category_id"])
        )
    found = read(content, tmp_path)
    assert found.fingerprint == read(CONTENT, tmp_path).fingerprint
    content = changed(images=[{**image, "id": spelling(image["id"])} for image in CONTENT["images"]])
    assert read(content, tmp_path).fingerprint == found.fingerprint


def test_numbers_in_texts_are_ordered_as_numbers(tmp_path: Path) -> None:
    images = [{"id": str(number), "file_name": f"{number}.jpg"} for number in (10, 9, 100)]
    assert read(changed(images=images, annotations=[]), tmp_path).sample_ids == ["9.jpg", "10.jpg", "100.jpg"]


def test_a_byte_order_mark_is_read_and_utf16_is_refused_by_name(tmp_path: Path) -> None:
    text = json.dumps(CONTENT)
    assert read(text.encode("utf-8-sig"), tmp_path).fingerprint == read(CONTENT, tmp_path).fingerprint
    for encoding in ("utf-16", "utf-16-le"):
        with pytest.raises(OrxeError, match="UTF-16 text: save it as UTF-8"):
            read(text.encode(encoding), tmp_path)


def test_what_other_tools_leave_out_is_filled_in(tmp_path: Path) -> None:
    bare = [{key: one[key] for key in ("id", "image_id", "category_id", "bbox")} for one in CONTENT["annotations"]]
    assert read(changed(annotations=bare), tmp_path).fingerprint == read(CONTENT, tmp_path).fingerprint
    nulls = [{**one, "area": None, "iscrowd": None, "segmentation": []} for one in CONTENT["annotations"]]
    assert read(changed(annotations=nulls), tmp_path).fingerprint == read(CONTENT, tmp_path).fingerprint


def test_boxes_come_of_segmentations_where_there_are_none(tmp_path: Path) -> None:
    polygon = [[2, 3, 12, 3, 12, 15, 2, 15]]
    data = read(changed(annotations=annotations({"bbox": [], "segmentation": polygon}, {})), tmp_path)
    assert data.targets[0].xywh.tolist() == [[2, 3, 10, 12]]
    assert data.notes == ("1 of 2 annotations: without a bbox, so that it was taken of their segmentation: 1",)
    with pytest.raises(OrxeError, match="annotation 1 is wrong .*bbox"):
        read(changed(annotations=annotations({"bbox": None, "keypoints": [1, 2, 2]})), tmp_path)


def test_boxes_of_run_lengths_are_those_of_cocos_own_code(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = np.zeros((int(rng.integers(1, 40)), int(rng.integers(1, 40))), dtype=np.uint8, order="F")
        for _ in range(int(rng.integers(1, 4))):
            y, x = (int(rng.integers(0, side)) for side in mask.shape)
            mask[y : y + int(rng.integers(1, 20)), x : x + int(rng.integers(1, 20))] = 1
        packed = masks.encode(mask)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        wanted = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        assert box_of_segmentation({"size": packed["size"], "counts": packed["counts"].decode()}) == wanted
        flat = mask.flatten(order="F")
        ends = np.flatnonzero(np.diff(flat, prepend=0, append=2))
        runs = np.diff(ends, prepend=0).tolist()
        assert box_of_segmentation({"size": list(mask.shape), "counts": runs}) == wanted
    assert box_of_segmentation({"size": [3, 3], "counts": [9]}) is None
    assert box_of_segmentation([]) is None


NO_IMAGE = "1 of 3 annotations: left out, as the file does not list their image: 3"
NO_AREA = "1 of 2 annotations: boxes without area; they count as objects that no box finds: 2"
OUTSIDE = "1 of 2 annotations: boxes that leave their image by more than a pixel; they count as they are: 2"
TWICE = (
    "1 of 3 annotations: the same box and class as another one of the image; each counts, as in COCO's own evaluation"
)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (({}, {}, {"id": 3, "image_id": 77}), NO_IMAGE),
        (({}, {"bbox": [5, 5, 0, 10]}), NO_AREA),
        (({}, {"bbox": [35, 5, 20, 10]}), OUTSIDE),
        (({}, {}, {"id": 3}), TWICE),
    ],
)
def test_odd_boxes_are_counted(tmp_path: Path, changes: tuple[dict[str, Any], ...], note: str) -> None:
    assert note in read(changed(annotations=annotations(*changes)), tmp_path).notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (({"bbox": [5, 5, -20, 10]},), "annotation 1 has bbox .*-20.*width and height of 0 or more"),
        (({"bbox": [5, 5, float("nan"), 10]},), "annotation 1 has bbox .*finite numbers"),
        (({"bbox": [20, 15, 39, 29]}, {"bbox": [25, 10, 35, 20]}), "fit as corners x1, y1, x2, y2: convert them"),
        (({"iscrowd": "no"},), "annotation 1 is wrong"),
        (({"category_id": 9},), "annotation 1 is wrong .*category_id 9"),
    ],
)
def test_boxes_that_mean_nothing_are_refused(tmp_path: Path, changes: tuple[dict[str, Any], ...], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        read(changed(annotations=annotations(*changes)), tmp_path)


def test_entries_that_stand_there_twice_are_taken_once(tmp_path: Path) -> None:
    data = read(changed(images=[*CONTENT["images"], CONTENT["images"][0]]), tmp_path)
    assert data.fingerprint == read(CONTENT, tmp_path / "once").fingerprint
    assert data.notes == ("1 image entry stood in the file twice: 1",)
    with pytest.raises(OrxeError, match="1 of 3 image entries share an id with another image, such as 1"):
        read(changed(images=[*CONTENT["images"], {"id": 1, "file_name": "c.jpg"}]), tmp_path)
    with pytest.raises(OrxeError, match="categories 2, 3 are all called 'dog'"):
        read(
            changed(
                categories=[*CONTENT["categories"], {"id": 3, "name": "Dog"}],
                annotations=annotations({}, {}, {"id": 3, "category_id": 3}),
            ),
            tmp_path,
        )


@pytest.mark.parametrize("root", ["pets", "cat"])
def test_a_root_category_without_objects_is_left_out(tmp_path: Path, root: str) -> None:
    categories = [{"id": 0, "name": root, "supercategory": "none"}]
    categories += [{**category, "supercategory": root} for category in CONTENT["categories"]]
    data = read(changed(categories=categories), tmp_path)
    assert data.names == ("cat", "dog")
    assert data.fingerprint == read(CONTENT, tmp_path / "without").fingerprint
    assert data.notes == (f"1 category without any object, which only groups others, left out: '{root}'",)


def test_classes_without_objects_stay_and_are_said(tmp_path: Path) -> None:
    categories = [*CONTENT["categories"], {"id": 7, "name": "toaster", "supercategory": "toaster"}]
    data = read(changed(categories=categories), tmp_path)
    assert data.names == ("cat", "dog", "toaster")
    assert data.notes == ("1 of 3 classes: without any object, so that experts need not know them: 'toaster'",)


def test_images_are_turned_by_their_exif_tag(tmp_path: Path) -> None:
    turned = [{**image, "width": 30, "height": 40} for image in CONTENT["images"]]
    write(tmp_path / "instances.json", changed(images=turned))
    draw(tmp_path / "images", orientation=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = CocoDataset(tmp_path)
    assert (data.load(0).size, data.notes) == ((30, 40), ())


def test_boxes_of_unturned_and_of_resized_images_are_warned_of(tmp_path: Path) -> None:
    write(tmp_path / "instances.json")
    draw(tmp_path / "images", orientation=6)
    with pytest.warns(OrxeWarning, match="2 of 2 images: annotated before they are turned by their EXIF tag"):
        data = CocoDataset(tmp_path)
    assert data.load(0).size == (30, 40)
    assert "annotated before they are turned" in data.notes[0]
    half = [{**image, "width": 80, "height": 60} for image in CONTENT["images"]]
    write(tmp_path / "instances.json", changed(images=half))
    draw(tmp_path / "images")
    with pytest.warns(OrxeWarning, match=r"another size than their annotations say.*a.jpg \(40 x 30, not 80 x 60\)"):
        CocoDataset(tmp_path)
