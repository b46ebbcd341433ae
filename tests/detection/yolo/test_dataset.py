"""Data sets in YOLO's format, read without Ultralytics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from orxe_plugins.detection import CocoDataset, YoloFiles
from orxe_plugins.detection.yolo.data_file import class_names
from orxe_plugins.errors import OrxeError
from orxe_plugins.tasks import task_named

BOX = "1 0.5 0.5 0.25 0.5\n"


def make(folder: Path, layout: str = "images/{split}", labels: str = "labels/{split}", **content: Any) -> Path:
    """A data set with two images in ``val`` and one in ``train``, of which the first of each has one box."""
    for split, names in (("train", ("t",)), ("val", ("a", "b"))):
        pictures, texts = folder / layout.format(split=split), folder / labels.format(split=split)
        for place in (pictures, texts):
            place.mkdir(parents=True, exist_ok=True)
        for name in names:
            Image.new("RGB", (40, 20)).save(pictures / f"{name}.jpg")
        (texts / f"{names[0]}.txt").write_text(BOX)
    places = {split: layout.format(split=split) for split in ("train", "val")}
    given = {"path": str(folder), **places, "names": ["cat", "dog"], **content}
    (folder / "data.yaml").write_text(
        yaml.safe_dump({k: v for k, v in given.items() if v is not None}, sort_keys=False)
    )
    return folder / "data.yaml"


def check(data: YoloFiles) -> None:
    assert data.sample_ids == ["a.jpg", "b.jpg"]
    assert [target.boxes.tolist() for target in data.targets] == [[[15, 5, 25, 15]], []]
    assert (data.names, data.load(0).size) == (("cat", "dog"), (40, 20))


@pytest.mark.parametrize("path", ["absolute", None, "."])
@pytest.mark.parametrize(
    ("layout", "labels"),
    [
        ("images/{split}", "labels/{split}"),
        ("{split}/images", "{split}/labels"),  # Roboflow
        ("{split}", "{split}"),  # labels beside the images
    ],
)
def test_the_usual_layouts_are_read(tmp_path: Path, layout: str, labels: str, path: str | None) -> None:
    file = make(tmp_path, layout, labels, **({} if path == "absolute" else {"path": path}))
    check(YoloFiles.from_root(file))
    check(YoloFiles.from_root(tmp_path))
    check(YoloFiles.from_root(f"{file}#val"))
    assert YoloFiles.from_root(f"{file}#train").sample_ids == ["t.jpg"]
    check(YoloFiles.from_root(tmp_path / layout.format(split="val")))
    assert YoloFiles.from_root(tmp_path / layout.format(split="train")).sample_ids == ["t.jpg"]


def test_the_task_tells_yolo_from_coco(tmp_path: Path) -> None:
    task = task_named("detection")
    file = make(tmp_path)
    for root in (file, tmp_path, tmp_path / "images" / "val"):
        data = task.dataset(root)
        assert isinstance(data, YoloFiles)
        check(data)
    with pytest.raises(OrxeError, match=r"data.images is .*: data in YOLO's format names its images itself"):
        task.dataset(file, images=tmp_path)  # type: ignore[call-arg]
    (tmp_path / "instances.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(OrxeError, match="lists no image"):
        task.dataset(tmp_path)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_of_images_are_read(tmp_path: Path, mark: str) -> None:
    file = make(tmp_path, val="val.txt")
    lines = ["./images/val/b.jpg", str(tmp_path / "images/val/a.jpg"), "images\\val\\gone.jpg"]
    (tmp_path / "val.txt").write_text(mark + "\n".join(lines) + "\n\n", encoding="utf-8")
    data = YoloFiles.from_root(file)
    check(data)
    assert data.notes[0] == "1 of 3 images: left out, as Ultralytics leaves them out: gone.jpg (missing)"


@pytest.mark.parametrize(
    "names",
    [["cat", "dog"], {0: "cat", 1: "dog"}, {1: "dog", 0: "cat"}, {"1": "dog", "0": "cat"}, {1.0: "dog", 0: "cat"}],
)
def test_names_are_taken_by_key(tmp_path: Path, names: Any) -> None:
    check(YoloFiles.from_root(make(tmp_path, names=names, nc=2)))


@pytest.mark.parametrize(
    ("names", "count", "message"),
    [
        ({1: "cat", 2: "dog"}, None, "names has the keys 1, 2: expected 0 to 1"),
        ({0: "cat", "0": "dog"}, None, "names has the keys 0, 0"),
        ({"cat": 0}, None, "'cat' is no class number"),
        (["cat"], 2, "nc is 2, but there are 1 names"),
        ("cat", None, "names is 'cat': expected a list"),
        (None, "two", "'two' is no class number"),
    ],
)
def test_names_that_number_no_classes_are_refused(names: Any, count: Any, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        class_names(names, count, "data.yaml")
    assert class_names(None, "2", "data.yaml") == ("class_0", "class_1")


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("\ufeff" + BOX, [[15, 5, 25, 15]]),
        (BOX + "\n\n" + BOX, [[15, 5, 25, 15]]),
        ("0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75", [[10, 5, 30, 15]]),
        ("", []),
        ("0 1.005 0.5 0.1 0.1", [[38.2, 9, 42.2, 11]]),
    ],
)
def test_label_files_of_all_kinds_are_read(tmp_path: Path, text: str, boxes: list[Any]) -> None:
    file = make(tmp_path)
    (tmp_path / "labels/val/a.txt").write_text(text, encoding="utf-8")
    (found,) = YoloFiles.from_root(file).targets[:1]
    assert found.boxes.tolist() == [pytest.approx(box, abs=1e-4) for box in boxes]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 20 10 5 5", "coordinate 20: expected shares of the image"),
        ("0 0.5 0.5 -0.2 0.1", "coordinate -0.2"),
        ("0.5 0.5 0.5 0.2 0.1", "no whole number"),
        ("0 0.5 0.5 0.2 0.1 0.9", "rows of 6 columns: expected 5"),
        (BOX + "0 0.25 0.25 0.75 0.25 0.75 0.75", "mixes boxes with polygons"),
        ("0 nan 0.5 0.2 0.1", "no number"),
        ("cat 0.5 0.5 0.2 0.1", "could not convert"),
    ],
)
def test_images_whose_labels_mean_nothing_are_left_out_and_named(tmp_path: Path, text: str, why: str) -> None:
    file = make(tmp_path)
    (tmp_path / "labels/val/a.txt").write_text(text)
    data = YoloFiles.from_root(file)
    assert data.sample_ids == ["b.jpg"]
    assert data.notes[0].startswith("1 of 2 images: left out, as Ultralytics leaves them out: a.jpg (")
    assert why in data.notes[0]


@pytest.mark.parametrize("wrong", [2, -1])
def test_a_class_without_a_name_is_an_error(tmp_path: Path, wrong: int) -> None:
    file = make(tmp_path)
    (tmp_path / "labels/val/a.txt").write_text(f"{wrong} 0.5 0.5 0.1 0.1")
    with pytest.raises(OrxeError, match=rf"a.txt has a class {wrong}, but the data file names 2, 0 to 1"):
        YoloFiles.from_root(file)


def test_files_that_are_left_out_are_counted(tmp_path: Path) -> None:
    file = make(tmp_path)
    folder = tmp_path / "images/val"
    Image.new("RGB", (40, 20)).save(folder / "c.gif")
    (folder / "d.png").write_bytes(b"no image")
    Image.new("RGB", (40, 9)).save(folder / "e.png")
    (folder / "notes.txt").write_text("by hand")
    data = YoloFiles.from_root(file)
    check(data)
    assert data.notes[:2] == (
        "1 of 5 files: left out, as Ultralytics reads no such images: c.gif",
        "2 of 4 images: left out, as Ultralytics leaves them out: d.png (not readable as an image), "
        "e.png (smaller than 10 pixels)",
    )
    assert data.notes[2].startswith("1 of 4 images: without a label file, so that they hold no object: ")


def test_boxes_are_those_of_the_turned_image(tmp_path: Path) -> None:
    file = make(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (40, 20)).save(tmp_path / "images/val/a.jpg", exif=exif)
    data = YoloFiles.from_root(file)
    assert data.load(0).size == (20, 40)
    assert data.targets[0].boxes.tolist() == [[7.5, 10, 12.5, 30]]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    file = make(tmp_path, test="images/test")
    with pytest.raises(OrxeError, match=r"the images of split 'test' are not at .*images/test"):
        YoloFiles.from_root(f"{file}#test")
    with pytest.raises(OrxeError, match="has no split 'valid': it names train, val, test"):
        YoloFiles.from_root(f"{file}#valid")
    with pytest.raises(OrxeError, match="holds no Ultralytics data file"):
        YoloFiles.from_root(tmp_path / "labels")
    (tmp_path / "other.yaml").write_text(file.read_text())
    with pytest.raises(OrxeError, match="holds several data files: name one of .*data.yaml, .*other.yaml"):
        YoloFiles.from_root(tmp_path)
    (tmp_path / "no.yaml").write_text("train: images")
    with pytest.raises(OrxeError, match="not an Ultralytics data file: it has neither names nor nc"):
        YoloFiles.from_root(tmp_path / "no.yaml")
    with pytest.raises(OrxeError, match="holds no COCO annotations"):
        CocoDataset(tmp_path)
