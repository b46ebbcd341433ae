"""One answer to one data set: the core's reader, YoloDataset and Ultralytics' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics.data.dataset import YOLODataset  # noqa: E402
from ultralytics.data.utils import check_det_dataset  # noqa: E402

from orxe_plugins.detection import CocoDataset, YoloFiles  # noqa: E402
from orxe_plugins.errors import OrxeError  # noqa: E402

NAMES = ("cat", "dog", "bird")


def picture(file: Path, seed: int, size: tuple[int, int] = (40, 24), **options: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(file, **options)


def turned(orientation: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO data set with one of everything that is odd."""
    folder = tmp_path_factory.mktemp("odd yolo")
    images, labels = folder / "images" / "val", folder / "labels" / "val"
    labels.mkdir(parents=True)
    texts = {
        "plain.jpg": "0 0.5 0.5 0.3 0.4\n2 0.3 0.7 0.11 0.13\n",
        "six.jpg": "\ufeff1 0.5 0.5 0.25 0.5\n",
        "eight.png": "1 0.4 0.5 0.25 0.5\n",
        "deep/er/twice.png": "2 0.7 0.3 0.1 0.1\n0 0.5 0.5 0.3 0.4\n2 0.7 0.3 0.1 0.1\n",
        "polygon.webp": "0 0.13 0.27 0.73 0.21 0.7 0.7\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n",
        "empty.bmp": "",
        "bad.jpg": "0 20 10 5 5\n",
        "short.jpg": "0 0.5 0.5\n",
        "bare.jpg": None,
        "UPPER.JPG": "0 0.5 0.5 0.3 0.4\n",
        "ünï çode.jpg": "2 0.5 0.5 0.3 0.4\n",
        "tiny.png": "0 0.5 0.5 0.3 0.4\n",
    }
    for seed, (name, text) in enumerate(texts.items()):
        options = turned({"six.jpg": 6, "eight.png": 8}.get(name, 1))
        picture(images / name, seed, (40, 8) if name == "tiny.png" else (40, 24), **options)
        if text is not None:
            file = labels / Path(name).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    (images / "broken.png").write_bytes((images / "eight.png").read_bytes()[:200])
    (images / ".hidden.jpg").write_bytes((images / "plain.jpg").read_bytes())
    names = {2: "bird", "0": "cat", 1: "dog"}
    content = {"path": str(folder), "train": "images/val", "val": "images/val", "names": names}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "data.yaml"


def test_all_readers_give_ultralytics_images_boxes_and_names(data: Path) -> None:
    checked = check_det_dataset(str(data), split="val")
    theirs = YOLODataset(img_path=checked["val"], data=checked, task="detect", augment=False)
    own, front = YoloFiles.from_root(data), orxe_ultralytics.YoloDataset(data)
    assert [str(file) for file in own.files] == [label["im_file"] for label in theirs.labels]
    for target, label in zip(own.targets, theirs.labels, strict=True):
        height, width = label["shape"]
        boxes = label["bboxes"].astype(np.float64).reshape(-1, 4) * (width, height, width, height)
        corners = np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]])
        np.testing.assert_array_equal(target.xywh, corners)
        np.testing.assert_array_equal(target.labels, label["cls"].reshape(-1))
    assert own.names == front.names == NAMES == tuple(checked["names"][i] for i in range(3))
    assert (own.fingerprint, own.sample_ids, own.notes) == (front.fingerprint, front.sample_ids, front.notes)


def test_images_are_the_same_to_the_last_bits_of_decoders(data: Path) -> None:
    own, front = YoloFiles.from_root(data), orxe_ultralytics.YoloDataset(data)
    for i in range(len(own)):
        ours, theirs = (np.asarray(each.load(i)).astype(int) for each in (own, front))
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).mean() < 3, own.sample_ids[i]


def test_a_coco_file_of_the_same_boxes_has_the_same_objects(data: Path, tmp_path: Path) -> None:
    own = YoloFiles.from_root(data)
    images, annotations = [], []
    for i, (name, target) in enumerate(zip(own.sample_ids, own.targets, strict=True)):
        width, height = own.load(i).size
        images.append({"id": i, "file_name": name, "width": width, "height": height})
        for box, label in zip(target.xywh.tolist(), target.labels.tolist(), strict=True):
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": label, "bbox": box})
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    coco = CocoDataset(tmp_path / "labels.json", data.parent / "images" / "val")
    assert coco.fingerprint == own.fingerprint
    assert coco.notes == ()
    assert all(np.array_equal(np.asarray(coco.load(i)), np.asarray(own.load(i))) for i in range(len(own)))


def test_names_that_are_no_numbering_and_classes_without_a_name_are_errors_in_both(data: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(data.read_text())
    for names, message in (
        ({0: "cat", 2: "dog"}, "names|class indices"),
        (["cat"], "has a class 2, but|has a class 1, but"),
    ):
        (tmp_path / "data.yaml").write_text(yaml.safe_dump({**content, "names": names}))
        for reader in (YoloFiles.from_root, orxe_ultralytics.YoloDataset):
            with pytest.raises(OrxeError, match=message):
                reader(tmp_path / "data.yaml")
