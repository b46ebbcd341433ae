"""Every code block and command of README.md and docs/ runs, as printed.

Downloads are replaced by local stand-ins: weights by random ones, data sets by a few made-up images, timm's
``validate.py`` by a script with the same calls. Of ``make`` the named target is looked up and its commands are
printed, not run: `make demo`'s command is what made ``runs/digits``, and `make test` runs this test. Of ``pip
install`` the extras are looked up.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {
    "serving.md": "litserve",
    "mmdet.md": "mmdet",
    "ultralytics.md": "ultralytics",
    "yolo.md": "ultralytics",
    "timm.md": "timm",
    "torchvision.md": "torchvision",
}
#: pages whose commands train or build large models, measure times, draw reports, or start a server
LONG = {
    "detection.md",
    "esn.md",
    "gates.md",
    "mmdet.md",
    "pool.md",
    "report.md",
    "serving.md",
    "time.md",
    "torchvision.md",
    "ultralytics.md",
    "unlabelled.md",
    "yolo.md",
}
#: seconds that the blocks of a page may take: the long ones train for minutes where other tests run beside them
LIMIT = {**dict.fromkeys(LONG, 1800), "gates.md": 3600}
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:orxe|make|pip|yolo|python|git|cp|mkdir) ")


@pytest.fixture(scope="module")
def home(digits: Path, make_yolo: Callable[..., Path]) -> Path:
    """A reader's home folder: data sets, weights, finished runs, and commands that need no network."""
    folder = digits.parent.parent / "home"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _furnish(folder, make_yolo)
            (folder / "done").touch()
    return folder


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            marks=[pytest.mark.long, pytest.mark.timeout(LIMIT[page.name] + 100)] if page.name in LONG else [],
            id=page.name,
        )
        for page in PAGES
    ],
)
def test_every_block_of_a_page_runs(page: Path, home: Path, digits: Path, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS.get(page.name, "torch"))
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    folder = tmp_path / "home"
    shutil.copytree(digits, folder / "runs" / "digits")
    path = os.pathsep.join(map(str, (HERE / "stand_ins", ROOT, ROOT / "adapters")))
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": path,
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "MPLBACKEND": "Agg",
        "COLUMNS": "80",
    }
    command = [sys.executable, str(HERE / "run_page.py"), str(page), str(folder)]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=LIMIT.get(page.name, 540)
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    ran = [line for line in done.stdout.splitlines() if line.startswith(f"{page.name}:")]
    wanted = len(_FENCE.findall(page.read_text(encoding="utf-8")))
    assert len(ran) == wanted


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_no_command_hides_outside_of_a_block(page: Path) -> None:
    """A command in an indented paragraph, or behind a fence without a language, would not be run."""
    text = page.read_text(encoding="utf-8")
    assert not [language for language, _ in _FENCE.findall(text) if not language.strip()]
    outside = _FENCE.sub("", text)
    assert not [line for line in outside.splitlines() if line.startswith("    ") and _COMMAND.match(line.strip())]


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    command = [sys.executable, str(HERE / "run_page.py"), str(page), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "page.md, line 8: AssertionError" in done.stderr
    assert done.stdout.splitlines() == ["page.md:4 python", "page.md:8 python"]


def _furnish(folder: Path, make_yolo: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    _write_commands(folder / "bin")
    _write_imagenet(folder / "imagenet" / "val", rng)
    _write_coco(folder / "coco" / "val2017", folder / "coco" / "annotations" / "instances_val2017.json", rng)
    _write_cifar(folder / "cifar10", rng)
    (folder / "data").mkdir()
    (folder / "data" / "coco").symlink_to(folder / "coco")
    _write_yolo(folder / "datasets" / "coco8", folder / "coco8.yaml", rng)
    for name in ("bus.jpg", "demo.jpg"):
        Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)).save(folder / name)
    _write_yolo_weights(folder, make_yolo)
    shutil.copy(HERE / "validate.py", folder)


def _write_commands(folder: Path) -> None:
    """``orxe`` of this tree; ``make`` and ``pip`` that look up what they are asked for."""
    folder.mkdir(parents=True)
    texts = {
        "orxe": f'exec "{sys.executable}" -m orxe_plugins.cli "$@"',
        "python": f'exec "{sys.executable}" "$@"',
        "yolo": f'exec "{sys.executable}" -c "from ultralytics.cfg import entrypoint; entrypoint()" "$@"',
        "make": f'"{shutil.which("make")}" -n -C "{ROOT}" "$@" | grep .',
        "pip": f'exec "{sys.executable}" "{HERE / "pip_stand_in.py"}" "$@"',
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\nset -o pipefail\n{text}\n")
        (folder / name).chmod(0o755)


def _write_imagenet(folder: Path, rng: np.random.Generator) -> None:
    """Two images of each of four classes, and the map that numbers all thousand."""
    info = pytest.importorskip("timm.data").ImageNetInfo()
    wnids = info.label_names()
    for wnid in wnids[:4]:
        (folder / wnid).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(rng.integers(0, 255, (64, 80, 3), dtype=np.uint8)).save(folder / wnid / f"{i}.JPEG")
    (folder / "synsets.txt").write_text("\n".join(wnids) + "\n")


def _write_cifar(folder: Path, rng: np.random.Generator) -> None:
    """A few images of each of ten classes, in CIFAR-10's size."""
    for split, count in (("train", 40), ("test", 8)):
        for name in "abcdefghij":
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i}.png")


def _write_coco(images: Path, annotations: Path, rng: np.random.Generator) -> None:
    images.mkdir(parents=True)
    annotations.parent.mkdir(parents=True)
    names = _coco_names()
    content: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)).save(images / f"{i:012d}.jpg")
        content["images"].append({"id": i, "file_name": f"{i:012d}.jpg", "width": 128, "height": 96})
        box = [10.0 + i, 10.0, 50.0, 40.0]
        content["annotations"].append(
            {"id": i + 1, "image_id": i, "category_id": i + 1, "bbox": box, "area": 2000.0, "iscrowd": 0}
        )
    annotations.write_text(json.dumps(content))


def _write_yolo(folder: Path, file: Path, rng: np.random.Generator) -> None:
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / split / f"{i}.jpg")
            (folder / "labels" / split / f"{i}.txt").write_text(f"{i} 0.5 0.5 0.4 0.5\n")
    content = {
        "path": str(folder),
        "train": "images/train",
        "val": "images/val",
        "names": dict(enumerate(_coco_names())),
    }
    file.write_text(yaml.safe_dump(content))


def _write_yolo_weights(folder: Path, make_yolo: Callable[..., Path]) -> None:
    """Files with the names of published weights, all of them small models with random values."""
    if find_spec("ultralytics") is not None:
        for name, config in (("yolov8n", "yolov8n"), ("yolo11n", "yolo11n"), ("yolo11x", "yolo11n")):
            make_yolo(folder / f"{name}.pt", f"{config}.yaml", _coco_names(), 640)


def _coco_names() -> list[str]:
    tables = pytest.importorskip("torchvision.models._meta")
    return [name for name in tables._COCO_CATEGORIES if name not in ("__background__", "N/A")]
