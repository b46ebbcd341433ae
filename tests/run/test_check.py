"""`orxe check`: what of a recipe can be built here, and what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orxe_plugins.experts.registry import load_untrained
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.run.check import check_data, check_experts
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recipe_folders import recipe_names
from orxe_plugins.run.run import Run


def checked(recipe: str | Path, out: Path, *overrides: str, cost: bool = True) -> tuple[dict[str, Any], list[Any]]:
    run = Run(load_recipe(recipe, out=out, data="{data}", overrides=overrides), out)
    return {found.name: found for found in check_experts(run, cost)}, check_data(run)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "orxe_plugins.cli", "check", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_experts_that_prepare_makes_are_built_untrained(tmp_path: Path) -> None:
    found, data = checked("digits_detection", tmp_path)
    assert [expert.weights for expert in found.values()] == ["made by prepare"] * 2
    assert found["small"].built and found["large"].built
    assert 0 < 2 * found["small"].gmacs < found["large"].gmacs
    assert [(part.samples, part.problem) for part in data] == [(None, "")]
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


def test_yolov8_is_built_without_its_weights_and_codino_says_what_it_needs(tmp_path: Path) -> None:
    found, data = checked("coco_yolov8_codino", tmp_path)
    # Ultralytics' own figures for squares of 640 pixels are 8.7, 28.6, 78.9, 165.2 and 257.8 GFLOPs, 2 x MACs.
    published = {"yolov8n": 8.7, "yolov8s": 28.6, "yolov8m": 78.9, "yolov8l": 165.2, "yolov8x": 257.8}
    for name, gflops in published.items():
        assert found[name].weights == "downloaded by a run"
        assert 2 * found[name].gmacs == pytest.approx(gflops, rel=0.01)
    assert not found["codino"].built
    assert "git clone https://github.com/open-mmlab/mmdetection" in found["codino"].problem
    assert "add --data FOLDER" in data[0].problem


def test_a_checkout_is_named_by_an_override(tmp_path: Path) -> None:
    """A stand-in for Co-DETR's code at the place where mmdetection's checkout has it."""
    configs = pytest.importorskip("orxe_mmdet.configs")
    recipe = yaml.safe_load(recipe_names()["coco_yolov8_codino"].read_text())
    place = recipe["experts"][-1]["address"].removeprefix("mmdet:")
    path = tmp_path / "mmdetection" / place
    path.parent.mkdir(parents=True)
    configs.load_config(configs.find_config("rtmdet_tiny_8xb32-300e_coco")).dump(path)
    found, _ = checked(
        "coco_yolov8_codino",
        tmp_path,
        f"experts.codino.options.repo={tmp_path / 'mmdetection'}",
        "experts.codino.options.cfg_options={test_dataloader.dataset.pipeline.1.scale: [64, 64]}",
        cost=False,
    )
    assert found["codino"].built
    assert found["codino"].problem == ""


def write_recipe(folder: Path, experts: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    raw = {"name": "mine", "data": {"root": str(folder / "images")}, "experts": experts}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw))
    return folder


def test_what_is_missing_is_named_and_the_command_fails(tmp_path: Path) -> None:
    small = {"num_classes": 2, "pretrained": False}
    folder = write_recipe(
        tmp_path / "mine",
        [
            {"name": "here", "address": "timm:test_vit", "checkpoint": str(tmp_path / "here.pth"), "options": small},
            {"name": "gone", "address": "timm:test_vit", "checkpoint": "gone.pth", "options": small},
            {"name": "wrong", "address": "timm:test_vitt"},
            {"name": "net", "address": "timm:resnet18.a1_in1k"},
        ],
    )
    import timm
    import torch

    torch.save(timm.create_model("test_vit", num_classes=2).state_dict(), tmp_path / "here.pth")
    done = command(str(folder))
    assert done.returncode == 1, done.stderr
    lines = {line.split()[0].rstrip(":"): line for line in done.stdout.splitlines()[::-1] if line.strip()}
    assert "does not exist" in lines["data"]
    assert lines["here"].split()[1:3] == ["found", "yes"]
    assert lines["gone"].split()[1:3] == ["missing", "yes"]
    assert lines["net"].split()[-3:] == ["yes", "1.814", "1,000"]
    assert "gone: there is no checkpoint gone.pth" in done.stdout
    assert "wrong: unknown expert 'timm:test_vitt': did you mean 'timm:test_vit" in done.stdout


def test_a_recipe_with_everything_there_passes(tmp_path: Path, data_folder: Path) -> None:
    sample, experts = data_folder / "coco_sample", data_folder / "coco_experts" / "yolov8n_dequantised.pt"
    done = command(
        "coco_yolov8_codino",
        f"data.root={sample}",
        "select_saver=null",
        f"experts=[{{address: 'ultralytics:{experts}'}}]",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "66 samples" in done.stdout


def test_labels_that_do_not_fit_the_data_are_found(tmp_path: Path, data_folder: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data_folder / "coco_sample", copy)
    text = (copy / "instances.json").read_text()
    (copy / "instances.json").write_text(text.replace('"zebra"', '"quagga"'))
    expert = data_folder / "coco_experts" / "yolov8n_dequantised.pt"
    found, _ = checked(
        "coco_yolov8_codino",
        tmp_path,
        f"data.root={copy}",
        f"experts=[{{address: 'ultralytics:{expert}'}}]",
        cost=False,
    )
    (only,) = found.values()
    assert only.built
    assert "quagga" in only.problem


@pytest.mark.parametrize(
    "address", ["torchvision:ssdlite320_mobilenet_v3_large", "torchvision:resnet18", "timm:resnet18"]
)
def test_adapters_build_an_architecture_without_its_weights(address: str) -> None:
    expert = load_untrained(ExpertSpec(address, checkpoint="nowhere.pth", name="mine"))
    assert expert.name == "mine"
    expert.measure_cost()
    assert expert.cost is not None and expert.cost > 0.1


def test_a_file_of_unknown_architecture_cannot_be_built_without_it(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "mine", [{"address": "ultralytics:mine.onnx"}])
    (only,) = checked(path, tmp_path / "out")[0].values()
    assert not only.built
    assert "cannot be built without its file" in only.problem
