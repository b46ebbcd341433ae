"""One saved cascade of classifiers that answers in some of its experts' classes alone does so alike in every front."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from orxe_plugins.cascade import read_cascade
from orxe_plugins.cascade.file import load_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.run import Run, load_recipe, record_pool, search

timm = pytest.importorskip("timm")
pytest.importorskip("orxe_timm")

#: classes of ImageNet in an order that is not theirs: numbers 1, 2 and 0, and one that no expert knows
FOLDERS = ("goldfish", "great white shark", "tench")
PLACES = [1, 2, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of 1000 classes, and images of three of them and of one class that they lack."""
    place = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for name in (*FOLDERS, "unheard-of"):
        (place / "data" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / "data" / name / f"{i}.png")
    experts = []
    for name, model in (("small", "test_efficientnet"), ("large", "test_resnet")):
        torch.manual_seed(len(name))
        module = timm.create_model(model, num_classes=1000)
        module.get_classifier().weight.data.mul_(30)
        torch.save(module.state_dict(), place / f"{name}.pth")
        experts.append({"name": name, "address": f"timm:{model}", "checkpoint": str(place / f"{name}.pth"),
                        "options": {"num_classes": 1000, "input_size": 32}})  # fmt: skip
    recipe = {"name": "r", "data": {"root": str(place / "data")}, "experts": experts, "preferences": {"step": 0.5}}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return place


@pytest.fixture(scope="module")
def saved(folder: Path) -> Path:
    """The cascade of a run by ``classes: intersect``."""
    run = Run(load_recipe(folder / "recipe.yaml", out=folder / "out", overrides=["classes=intersect"]), folder / "out")
    recorded = record_pool(run)
    assert len(recorded.fit) == 18 and recorded.fit.details["dataset"]["class_names"] == list(FOLDERS)
    assert "unheard-of" in " ".join(recorded.fit.details["dataset"]["notes"])
    search(run)
    return run.cascade_folder


def images_of(folder: Path) -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in sorted((folder / "data").glob("*/*.png"))[:12]]


def test_data_with_a_class_that_experts_lack_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    run = Run(load_recipe(folder / "recipe.yaml", out=tmp_path, overrides=["classes=data"]), tmp_path)
    with pytest.raises(OrxeError, match="unheard-of.*leave them out by `classes: intersect`"):
        record_pool(run)


def test_every_front_answers_in_the_folders_alone(folder: Path, saved: Path, tmp_path: Path) -> None:
    images = images_of(folder)
    assert read_cascade(saved).labels == FOLDERS
    cascade = load_cascade(saved)
    with torch.inference_mode():
        wanted, route = cascade.route(images)  # (B, 3)
        whole = [expert(images)[:, PLACES] for expert in cascade.members]  # (B, 1000) -> (B, 3) each
    expected = torch.stack([whole[e][i] for i, e in enumerate(route.expert.tolist())])
    torch.testing.assert_close(wanted, expected)

    shown = cascade.input_view
    assert shown is not None
    batch = shown.from_images(images)
    with torch.inference_mode():
        by_tensor = cascade(batch)
    model = timm.create_model("orxe_metamodel", cascade=str(saved)).eval()
    assert model.num_classes == 3
    with torch.inference_mode():
        torch.testing.assert_close(model(batch), by_tensor)

    torchvision = pytest.importorskip("orxe_torchvision")
    other = torchvision.orxe_metamodel(cascade=saved).eval()
    with torch.inference_mode():
        torch.testing.assert_close(other(batch), by_tensor)

    files = [str(file) for file in sorted((folder / "data").glob("*/*.png"))[:12]]
    command = [sys.executable, "-m", "orxe_plugins", "predict", str(saved), *files, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["answer"] for row in rows] == [FOLDERS[k] for k in wanted.argmax(dim=1).tolist()]
    assert [row["class"] for row in rows] == wanted.argmax(dim=1).tolist()
