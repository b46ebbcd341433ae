"""Every example runs, on data and models that are made here."""

from __future__ import annotations

import difflib
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def main_of(name: str) -> Callable[..., None]:
    """The function ``main`` of an example."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]  # type: ignore[no-any-return]


@pytest.fixture
def home(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which ``make demo`` was run."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(digits)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of two made-up images."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{i}.png" for i in range(2)]
    for file in files:
        Image.fromarray(rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(file)
    monkeypatch.chdir(tmp_path)
    return [str(file) for file in files]


@pytest.mark.parametrize("task", ["evaluate", "train"])
def test_two_lines_make_a_cascade_of_a_timm_script(task: str) -> None:
    before, after = (
        (EXAMPLES / f"timm_{task}_{when}.py").read_text(encoding="utf-8").split('"""', 2)[2].splitlines()
        for when in ("before", "after")
    )
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+ ")]
    assert len(changed) == 2
    assert changed[0].startswith("+ import orxe_timm") and '"orxe_metamodel"' in changed[1]


def test_an_evaluation_of_timm(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for when in ("before", "after"):
        main_of(f"timm_evaluate_{when}")()
        words = capsys.readouterr().out.split()
        assert words[0] == "top-1" and float(words[1]) > 85
        assert int(words[4]) == len([*home.glob("runs/digits/digits/*/*.png")])


def test_a_training_of_timm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    main_of("timm_train_after")(epochs=1, n_train=64)
    assert re.fullmatch(r"top-1 [\d.]+ % of 597 images\n", capsys.readouterr().out)


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_whole_training_of_timm(when: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    main_of(f"timm_train_{when}")()
    assert float(capsys.readouterr().out.split()[1]) > 60


def test_two_classifiers_of_torchvision(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    main_of("torchvision_classify")(epochs=(1, 1), n_train=64)
    rows = [line.replace("%", "").split() for line in capsys.readouterr().out.splitlines()[1:]]
    shares = [float(row[1]) for row in rows]
    costs = [float(row[2]) for row in rows]
    assert shares[0] == 100 and shares[-1] == 0 and shares == sorted(shares, reverse=True)
    assert costs[:-1] == sorted(costs[:-1]) and costs[-1] < costs[-2]  # at None the first one does not run


def test_two_detectors_of_ultralytics(
    make_yolo: Callable[..., Path], images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ultralytics")
    files = [str(make_yolo(tmp_path / f"{name}.pt", f"{name}.yaml")) for name in ("yolov8n", "yolo11n")]
    main_of("ultralytics_detect")([f"{files[0]}?imgsz=64", f"{files[1]}?imgsz=96", *images])
    lines = capsys.readouterr().out.splitlines()
    assert sum(" GMACs" in line and " boxes by " in line for line in lines) == len(images)
    assert (tmp_path / "cascade.pt").exists()


@pytest.mark.long
def test_a_server_answers(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("litserve")
    main_of("serve_and_ask")()
    answers = [line for line in capfd.readouterr().out.splitlines() if line.startswith("runs/digits/digits/")]
    assert len(answers) == len(sorted(home.glob("runs/digits/digits/*/*.png"))[::100])


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    cells = json.loads((EXAMPLES / "from_arrays.ipynb").read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    plt.close("all")
    assert names["evaluation"].verdict.sentence in capsys.readouterr().out
    assert names["outcome"].cost <= 1.05 * names["cost"][2] / 10


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = [file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".ipynb")]
    assert len(files) > 8
    assert not [name for name in files if f"({name})" not in listed]
