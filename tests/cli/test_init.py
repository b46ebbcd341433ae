"""`orxe init`: from models and images to a report in three commands."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image

Orxe = Callable[..., Any]


@pytest.fixture
def weights(tiny_recipe: Path, tmp_path: Path) -> list[Path]:
    """Two files of weights as training scripts leave them, in folders that say the model."""
    first, second = tmp_path / "out" / "test_efficientnet-2026" / "model_best.pth.tar", tmp_path / "test_resnet.pth"
    first.parent.mkdir(parents=True)
    state = torch.load(tiny_recipe / "small.pth", weights_only=True)
    args = argparse.Namespace(model="test_efficientnet", img_size=32, mean=None, crop_pct=0.9, interpolation="")
    torch.save({"state_dict": state, "arch": "test_efficientnet", "args": args, "metric": np.float64(9.5)}, first)
    torch.save({"net": {f"module.{k}": v for k, v in _state(tiny_recipe / "medium.pth").items()}}, second)
    return [first, second]


def _state(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_three_commands_from_a_folder_of_images_and_two_checkpoints_to_a_report(
    tiny_recipe: Path, weights: list[Path], here: Path, orxe: Orxe
) -> None:
    done = orxe("init", "--experts", *weights, "--data", tiny_recipe / "images", "--out", "mine.yaml")
    assert done.code == 0, done.err
    assert "mine.yaml: classification, 2 experts, 45 images" in done.out
    raw = yaml.safe_load((here / "mine.yaml").read_text())
    options = {entry["address"]: entry["options"] for entry in raw["experts"]}
    assert options["timm:test_efficientnet"] == {"num_classes": 3, "img_size": 32, "crop_pct": 0.9}
    assert options["timm:test_resnet"] == {"num_classes": 3}
    assert len({entry["name"] for entry in raw["experts"]}) == 2
    assert "3 classes of 15 images" in (here / "mine.yaml").read_text()

    checked = orxe("check", "mine.yaml")
    assert checked.code == 0 and checked.out.splitlines()[-1] == "nothing is missing"
    assert "45 samples" in checked.out and "Recording will take about" in checked.out

    run = orxe("run", "mine.yaml", "preferences={step: 0.5}")
    assert run.code == 0, run.err
    assert (here / "runs" / "mine" / "report" / "report.html").is_file()
    answered = orxe("predict", "runs/mine", tiny_recipe / "images" / "ant")
    names = {line.split(",")[1] for line in answered.out.splitlines()[1:]}
    assert answered.code == 0 and names <= {"ant", "bee", "cat"}


def test_a_recipe_that_is_there_stays_unless_it_is_said(tiny_recipe: Path, here: Path, orxe: Orxe) -> None:
    (here / "mine.yaml").write_text("mine")
    command = ("init", "test_resnet", "--data", tiny_recipe / "images", "--out", "mine.yaml")
    done = orxe(*command)
    assert done.code == 2 and "mine.yaml exists: name another file by --out, or write over it by --force" in done.err
    assert (here / "mine.yaml").read_text() == "mine"
    assert orxe(*command, "--force").code == 0
    assert "test_resnet" in (here / "mine.yaml").read_text()


def test_the_recipe_can_be_moved_with_what_lies_below_it(tiny_recipe: Path, here: Path, orxe: Orxe) -> None:
    shutil.copytree(tiny_recipe / "images", here / "my images")
    shutil.copy(tiny_recipe / "medium.pth", here / "test_resnet?.pth")
    done = orxe("init", "timm:test_efficientnet?num_classes=3", "test_resnet?.pth", "--data", "my images")
    assert done.code == 0, done.err
    raw = yaml.safe_load((here / "recipe.yaml").read_text())
    assert raw["name"] == "here"
    assert raw["data"]["root"] == "{recipe}/my images"
    assert {entry.get("checkpoint") for entry in raw["experts"]} == {None, "{recipe}/test_resnet?.pth"}
    assert orxe("check", "recipe.yaml", "--no-time").code == 0


@pytest.mark.parametrize("words", [["{}", "--arch", "test_resnet"], ["test_resnet@{}"], ["timm:test_resnet@{}"]])
def test_a_file_that_does_not_say_its_model_is_asked_for_it(
    tiny_recipe: Path, here: Path, orxe: Orxe, words: list[str]
) -> None:
    shutil.copy(tiny_recipe / "medium.pth", here / "best.pth")
    data = ("--data", tiny_recipe / "images")
    done = orxe("init", "best.pth", *data)
    assert done.code == 2 and "timm:resnet18@best.pth, or by --arch timm:resnet18" in done.err
    assert orxe("init", *(word.format("best.pth") for word in words), *data).code == 0
    wrong = orxe("init", "best.pth", "--arch", "test_vit", *data, "--force")
    assert wrong.code == 2 and "are not those of timm:test_vit" in wrong.err


def test_options_stand_behind_the_model_or_behind_its_file(tiny_recipe: Path, here: Path, orxe: Orxe) -> None:
    model = timm.create_model("test_vit", num_classes=3, img_size=48)
    torch.save(model.state_dict(), here / "mine.pth")
    shutil.copy(here / "mine.pth", here / "test_vit.pth")
    named = ["test_vit?img_size=48@mine.pth", "timm:test_vit@mine.pth?img_size=48", "test_vit.pth?img_size=48"]
    done = orxe("init", "--experts", *named, "--data", tiny_recipe / "images", "--out", "sized.yaml")
    assert done.code == 0, done.err
    for entry in yaml.safe_load((here / "sized.yaml").read_text())["experts"]:
        assert (entry["address"], entry["options"]) == ("timm:test_vit?img_size=48", {"num_classes": 3})
    assert orxe("check", "sized.yaml").out.splitlines()[-1] == "nothing is missing"

    wrong = orxe("init", "--experts", "test_vit@mine.pth", "--data", tiny_recipe / "images", "--out", "no.yaml")
    assert wrong.code == 2
    assert "pos_embed is (1, 10, 64) there and (1, 101, 64) here" in wrong.err and "test_vit?img_size=96@" in wrong.err
    assert not (here / "no.yaml").exists()


def test_a_recipe_that_is_not_there_is_no_name(here: Path, orxe: Orxe) -> None:
    done = orxe("check", "none.yaml")
    assert done.code == 2 and "there is no recipe 'none.yaml'" in done.err and "known are" not in done.err


@pytest.mark.parametrize(
    ("experts", "message"),
    [
        (["resnet81"], "did you mean 'timm:resnet"),
        (["gone.pth"], "expert 'gone.pth': there is no such file"),
        ([], "no expert is named"),
        (["notes.txt"], "expected a file of weights"),
        (["junk.pth"], "cannot be read: the file is damaged"),
    ],
)
def test_an_expert_that_is_none_is_named(
    tiny_recipe: Path, here: Path, orxe: Orxe, experts: list[str], message: str
) -> None:
    (here / "notes.txt").write_text("x")
    (here / "junk.pth").write_bytes(b"junk")
    done = orxe("init", *experts, "--data", tiny_recipe / "images")
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert not (here / "recipe.yaml").exists()


def test_weights_of_a_package_that_is_not_installed_are_an_error_with_the_way_out(
    tiny_recipe: Path, here: Path, orxe: Orxe
) -> None:
    done = orxe("init", "test_resnet@package:some_weights", "--data", tiny_recipe / "images", "--out", "mine.yaml")
    assert done.code == 2 and "no package 'some_weights' is installed" in done.err and "pip install" in done.err


def test_data_that_is_none_is_named(here: Path, orxe: Orxe) -> None:
    (here / "empty").mkdir()
    assert "--data gone does not exist" in orxe("init", "test_resnet", "--data", "gone").err
    assert "is empty" in orxe("init", "test_resnet", "--data", "empty").err


def test_of_parts_the_one_that_experts_were_not_trained_on_is_taken(tiny_recipe: Path, here: Path, orxe: Orxe) -> None:
    for part in ("train", "val", "test"):
        shutil.copytree(tiny_recipe / "images", here / "data" / part)
    done = orxe("init", "timm:test_resnet?num_classes=3", "--data", "data")
    assert done.code == 0
    assert yaml.safe_load((here / "recipe.yaml").read_text())["data"]["root"] == "{recipe}/data/val"
    assert "note: of the parts in data, val is taken, not test, train" in done.out


def test_classes_that_do_not_fit_are_said(tiny_recipe: Path, here: Path, orxe: Orxe) -> None:
    done = orxe("init", "timm:test_resnet?num_classes=2", "--data", tiny_recipe / "images")
    assert done.code == 0
    assert "note: data set 'images' has a class 2, but expert" in done.out
    several = orxe("init", *["timm:test_resnet?num_classes=2"] * 3, "--data", tiny_recipe / "images", "--out", "b.yaml")
    assert several.out.count("has a class 2, but expert 'test_resnet'") == 1
    assert "(the same of 'test_resnet-2', 'test_resnet-3')" in several.out


@pytest.fixture
def yolo_data(here: Path) -> Path:
    """A YOLO data set of six images with one box each."""
    folder = here / "boxes"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(folder / "images" / f"{number}.png")
        (folder / "labels" / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.4 0.4\n")
    (folder / "data.yaml").write_text("path: .\ntrain: images\nval: images\nnames: {0: ant, 1: bee}\n")
    return folder


def test_three_commands_from_two_yolos_and_a_yolo_data_set(
    make_yolo: Callable[..., Path], yolo_data: Path, here: Path, orxe: Orxe
) -> None:
    configs = {"one": "yolov8n.yaml", "two": "yolo11n.yaml"}
    files = [make_yolo(here / f"{name}.pt", config, names=("ant", "bee", "cat")) for name, config in configs.items()]
    done = orxe("init", "--experts", *files, "--data", yolo_data / "data.yaml", "--out", "mine")
    assert done.code == 0, done.err
    assert "mine.yaml: detection, 2 experts, 6 images" in done.out
    assert "answers in those of the data (classes: data)" in done.out
    changes = ["preferences={step: 0.5}", "experts.one.options.imgsz=32"]
    checked = orxe("check", "mine.yaml", *changes)
    assert checked.code == 0, checked.out
    assert "2 labels, 6 boxes: 0 ant, 1 bee" in checked.out and "in 32 px" in checked.out
    run = orxe("run", "mine.yaml", *changes)
    assert run.code == 0, run.err
    assert (here / "runs" / "mine" / "report" / "report.html").is_file()


def test_options_of_a_yolo_stand_behind_its_model_or_its_file(
    make_yolo: Callable[..., Path], yolo_data: Path, here: Path, orxe: Orxe
) -> None:
    file = make_yolo(here / "one.pt", "yolov8n.yaml", names=("ant", "bee"))
    named = [f"{file}?imgsz=64", f"yolov8n?imgsz=64@{file}", str(file)]
    done = orxe("init", "--experts", *named, "--data", yolo_data / "data.yaml", "--out", "sizes.yaml")
    assert done.code == 0, done.err
    found = {entry["name"]: entry["address"] for entry in yaml.safe_load((here / "sizes.yaml").read_text())["experts"]}
    small = f"ultralytics:{file}?imgsz=64"
    assert found == {"one-64": small, "one-64-2": small, "one": f"ultralytics:{file}"}
