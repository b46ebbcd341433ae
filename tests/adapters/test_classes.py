"""One saved cascade of fewer classes than its experts know answers alike in every front."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from orxe_plugins.cascade import read_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.run import Run, load_recipe, record_pool, search

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")


@pytest.fixture(scope="module")
def folder(yolos: list[str], picture_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two YOLOs of three classes on a YOLO data set of two, in another order, by ``classes: data``."""
    place = tmp_path_factory.mktemp("run")
    for kind in ("images", "labels"):
        (place / "data" / kind).mkdir(parents=True)
    for i, file in enumerate(picture_files):
        Image.open(file).save(place / "data" / "images" / file.name)
        (place / "data" / "labels" / f"{file.stem}.txt").write_text(f"{i % 2} 0.5 0.5 0.6 0.7\n")
    content = {"path": str(place / "data"), "train": "images", "val": "images", "names": {1: "cat", 0: "bird"}}
    (place / "data" / "data.yaml").write_text(yaml.safe_dump(content))
    pool = [{"address": address, "name": name} for address, name in zip(yolos, ("small", "large"), strict=True)]
    recipe = {
        "task": "detection",
        "classes": "data",
        "data": {"root": str(place / "data")},
        "experts": pool,
        "name": "r",
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "record": {"keep": "all"}}))
    run = Run(load_recipe(place / "recipe.yaml", out=place / "out"), place / "out")
    record_pool(run)
    search(run)
    return place


def test_every_front_answers_in_the_names_of_the_data(folder: Path, picture_files: list[Path]) -> None:
    saved = folder / "out" / "cascade"
    assert read_cascade(saved).labels == ("bird", "cat")
    assert json.loads((saved / "cascade.json").read_text())["labels"] == ["bird", "cat"]
    image = np.asarray(Image.open(picture_files[2]).convert("RGB"))
    yolo = orxe_ultralytics.CascadeYOLO(saved)
    assert yolo.names == {0: "bird", 1: "cat"}
    (wanted,) = yolo.model.answer([image]).detections
    assert len(wanted) and set(wanted.labels.tolist()) <= {0, 1}

    torchvision = pytest.importorskip("orxe_torchvision")
    model = torchvision.orxe_metamodel_detection(cascade=saved)
    assert model.categories == ("__background__", "bird", "cat")
    (found,) = model([torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255])
    assert (found["labels"] - 1).tolist() == wanted.labels.tolist()
    torch.testing.assert_close(found["boxes"], wanted.boxes, atol=1e-3, rtol=0)

    pytest.importorskip("mmdet")
    mmdet = pytest.importorskip("orxe_mmdet")
    detector = mmdet.CascadeDetector(cascade=str(saved))
    assert detector.dataset_meta["classes"] == ("bird", "cat")
    (again,), _ = detector.cascade.route([image])
    assert again.best_first().labels.tolist() == wanted.labels.tolist()


def test_a_saved_file_keeps_the_names(folder: Path, tmp_path: Path, picture_files: list[Path]) -> None:
    yolo = orxe_ultralytics.CascadeYOLO(folder / "out" / "cascade")
    yolo.save(tmp_path / "cascade.pt")
    again = orxe_ultralytics.CascadeYOLO(tmp_path / "cascade.pt")
    assert again.names == {0: "bird", 1: "cat"}
    image = np.asarray(Image.open(picture_files[2]).convert("RGB"))
    one, other = (model.model.answer([image]).detections[0] for model in (yolo, again))
    assert torch.equal(one.boxes, other.boxes) and torch.equal(one.labels, other.labels)


def test_names_and_a_word_together_say_what_happens_to_other_labels(yolos: list[str]) -> None:
    words = orxe_ultralytics.CascadeYOLO(experts=yolos, exit_thresholds=[0.5], classes="data", names=["bird", "cat"])
    assert words.names == {0: "bird", 1: "cat"}
    with pytest.raises(OrxeError, match="'dog'.*`classes: data` drops"):
        orxe_ultralytics.CascadeYOLO(experts=yolos, exit_thresholds=[0.5], classes=["bird", "cat"])
    with pytest.raises(OrxeError, match="are both label names: give one"):
        orxe_ultralytics.CascadeYOLO(experts=yolos, exit_thresholds=[0.5], classes=["bird"], names=["bird", "cat"])
