"""The recipe `digits_detection` from end to end, on few scenes and with hardly any training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orxe_plugins import Policy
from orxe_plugins.detection.coco.dataset import CocoDataset
from orxe_plugins.run.preparing import prepare
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.run import Run

pytest.importorskip("ultralytics")
#: enough for a run, not for good detectors
TINY = ["prepare_options.scenes=24", "prepare_options.train_scenes=32", "prepare_options.epochs={small: 2, large: 2}"]
TINY += ["preferences=[0, 0.5, 1]"]


def run(out: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "orxe_plugins.cli", "run", "digits_detection", "--out", str(out), *TINY]
    offline = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "MPLBACKEND": "Agg"}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=offline, cwd=out.parent)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by the command, with what it printed."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    done = run(folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


@pytest.mark.long
def test_a_run_ends_with_a_table_and_a_picture(out: Path) -> None:
    text = (out / "stdout.txt").read_text()
    assert "Policies (scenes, reporting split, 12 samples)" in text
    assert "mAP50-95" in text
    assert f"picture: {out.name}/report/frontier.png" in text
    assert Image.open(out / "report" / "frontier.png").width > 500
    assert "<html" in (out / "report" / "report.html").read_text()
    assert {path.name for path in out.parent.iterdir()} == {"run"}, "nothing of Ultralytics is left elsewhere"


@pytest.mark.long
def test_a_rerun_keeps_everything_and_makes_what_is_missing(out: Path) -> None:
    made = [*out.glob("scenes/**/*.*"), *out.glob("experts/*.pt"), *out.glob("records/**/shard-*.parquet")]
    before = {path: path.stat().st_mtime_ns for path in made}
    assert len(before) == 24 + 1 + 2 + 2
    # What a killed run leaves: one checkpoint is not there yet, scenes of an unfinished folder are.
    gone = out / "experts" / "large.pt"
    weights = gone.read_bytes()
    gone.unlink()
    (out / "scenes.unfinished").mkdir()
    job = Run(load_recipe("digits_detection", out=out, overrides=TINY), out)
    prepare(job)
    assert len(gone.read_bytes()) == len(weights)
    gone.write_bytes(weights)
    done = run(out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (out / "stdout.txt").read_text()
    assert {path: path.stat().st_mtime_ns for path in made if path != gone} == {
        path: time for path, time in before.items() if path != gone
    }


@pytest.mark.long
def test_ultralytics_loads_experts_and_cascade(out: Path) -> None:
    orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
    from ultralytics import YOLO

    picture = out / "scenes" / "images" / "00001.png"
    alone = YOLO(out / "experts" / "large.pt")
    assert alone.names == {digit: str(digit) for digit in range(10)}
    model = orxe_ultralytics.CascadeYOLO(out / "cascade")
    model.policy = Policy((None,))
    (expected,), (found,) = (m.predict(picture, conf=0.01, verbose=False, imgsz=96) for m in (alone, model))
    assert found.orxe_expert == 1
    np.testing.assert_allclose(found.boxes.xyxy.numpy(), expected.boxes.xyxy.numpy(), atol=1e-3)


@pytest.mark.long
def test_boxes_hold_the_ink_and_lie_apart(out: Path) -> None:
    scenes = CocoDataset(out / "scenes")
    assert scenes.names == tuple("0123456789")
    assert len(scenes) == 24
    darker = []
    for i, target in enumerate(scenes.targets):
        image = np.asarray(scenes.load(i), dtype=float).mean(axis=2)
        assert image.shape == (96, 96)
        assert 1 <= len(target.xywh) <= 5
        covered = np.zeros((96, 96), dtype=int)
        for left, top, width, height in target.xywh.astype(int):
            assert min(left, top) >= 0 and max(left + width, top + height) <= 96
            covered[top : top + height, left : left + width] += 1
        darker.append(image[covered == 0].mean() - image[covered > 0].mean())
        assert (covered > 1).sum() <= 0.1 * target.xywh[:, 2:].prod(axis=1).sum()
    assert np.mean(darker) > 10
