"""What several tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from hypothesis import settings
from PIL import Image
from torch import nn

# A slow or busy machine is no failure. CI draws the same examples every time; elsewhere each run draws new ones.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# What tests trust is not remembered for the person who runs them; every process of one run has the same folder.
os.environ.setdefault("ORXE_TRUSTED", tempfile.mkdtemp(prefix="orxe-trusted-"))

ROOT = Path(__file__).resolve().parent.parent
# What several folders of tests share beside fixtures, such as faulty_adapter.
sys.path.insert(0, str(ROOT / "tests"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images and weights to measure with; the test is skipped where they are absent."""
    folder = Path(os.environ.get("ORXE_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder}: set ORXE_DATA")
    return folder


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of three tiny timm models with random weights on 45 images; not to be changed.

    Its folder holds ``recipe.yaml``, ``images/`` with three class folders, and the checkpoints.
    """
    timm = pytest.importorskip("timm")
    folder = tmp_path_factory.mktemp("tiny recipe")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("ant", "bee", "cat")):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(15):
            height, width = (int(side) for side in rng.integers(32, 60, size=2))
            coarse = rng.integers(0, 180, size=(3, 3, 3), dtype=np.uint8) + np.uint8(30 * number)
            image = Image.fromarray(coarse).resize((width, height))
            image.save(folder / "images" / name / f"{i:02d}.jpg")
    experts = []
    for name, model in (("small", "test_efficientnet"), ("medium", "test_resnet"), ("large", "test_resnet")):
        torch.manual_seed(len(name))
        module = timm.create_model(model, num_classes=3)
        # Random weights answer much alike everywhere: sharper ones have something to be sure of.
        module.get_classifier().weight.data.mul_(30)
        torch.save(module.state_dict(), folder / f"{name}.pth")
        options = {"num_classes": 3, "input_size": 48 if name == "large" else 32}
        experts.append({"name": name, "address": f"timm:{model}", "checkpoint": f"{{recipe}}/{name}.pth",
                        "options": options})  # fmt: skip
    recipe = {
        "name": "tiny",
        "data": {"root": "{recipe}/images", "split": {"fit": 0.6, "seed": 1}},
        "experts": experts,
        "preferences": {"step": 0.25},
        "record": {"batch_size": 4, "shard_size": 7},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits recipe by the command, on a part of the images; what it printed is in ``stdout.txt``.

    Its folder is called ``runs/digits``. Processes that run tests side by side share it; a test may only do what
    leaves its files as they are.
    """
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    out = shared / "shared" / "runs" / "digits"
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_suffix(".lock")):
        if not (out / "stdout.txt").exists():
            command = [sys.executable, "-m", "orxe_plugins.cli", "run", "digits", "--out", str(out), "data.limit=400"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            (out / "stdout.txt").write_text(done.stdout)
    return out


def _make_yolo(path: Path, config: str, names: Sequence[str] = ("cat", "dog", "bird"), imgsz: int = 64) -> Path:
    """A YOLO with random weights whose answers differ from image to image, with boxes of all sizes."""
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    model = tasks.DetectionModel(config, nc=len(names), verbose=False)
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        # The norms fit the weights after one pass; without it, every image gets the same answer.
        model(torch.rand(8, 3, 64, 64))
        for scores, sides in zip(model.model[-1].cv3, model.model[-1].cv2, strict=True):
            scores[-1].bias.fill_(-1.5)
            scores[-1].weight.mul_(4)
            sides[-1].bias.copy_(-torch.arange(16.0).repeat(4) / 2)
    model.eval()
    model.names = dict(enumerate(names))
    model.args = {"imgsz": imgsz, "task": "detect"}
    torch.save({"model": model, "train_args": dict(model.args)}, path)
    return path


@pytest.fixture(scope="session")
def make_yolo() -> Callable[..., Path]:
    """Writes a YOLO with random weights: ``make_yolo(path, config, names=("cat", "dog", "bird"), imgsz=64)``."""
    return _make_yolo
