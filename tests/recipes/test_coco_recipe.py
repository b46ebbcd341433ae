"""The recipe `coco_yolov8_codino` with the two COCO detectors that are at hand in place of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orxe_plugins import Policy, replay
from orxe_plugins.detection import CocoDataset
from orxe_plugins.records.loading import load_records
from orxe_plugins.run import recipe_names
from orxe_plugins.tasks.detection import evaluator

pytest.importorskip("ultralytics")
NAMES = ("yolov8n", "yolo11n")


@pytest.fixture(scope="module")
def out(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the recipe by the command on 16 images, with what it printed."""
    folder = tmp_path_factory.mktemp("coco")
    experts = [
        {"name": name, "address": f"ultralytics:{data_folder}/coco_experts/{name}_dequantised.pt?imgsz={size}"}
        for name, size in zip(NAMES, (320, 640), strict=True)
    ]
    (folder / "experts.yaml").write_text(yaml.safe_dump({"experts": experts}))
    values = [f"data.root={data_folder / 'coco_sample'}", f"experts={folder / 'experts.yaml'}"]
    values += ["select_saver.base=yolo11n", "data.limit=16", "preferences=[0, 0.5, 1]"]
    line = [
        sys.executable,
        "-m",
        "orxe_plugins.cli",
        "run",
        "coco_yolov8_codino",
        "--out",
        str(folder / "run"),
        "--trust",
        *values,
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "run" / "stdout.txt").write_text(done.stdout)
    return folder / "run"


@pytest.mark.long
def test_the_whole_pipeline_runs_on_coco(out: Path) -> None:
    text = (out / "stdout.txt").read_text()
    assert "Savers by Delta C (coco_sample, fitting split, 8 samples)" in text
    assert "Policies (coco_sample, reporting split, 8 samples)" in text
    assert "mAP50-95 %" in text
    for name in ("frontier.png", "report.html", "saver-of-yolo11n/saver.png"):
        assert (out / "report" / name).stat().st_size > 10_000


@pytest.mark.long
def test_the_papers_thresholds_are_tried_on_its_records(out: Path, data_folder: Path) -> None:
    script = recipe_names()["coco_yolov8_codino"].parent / "table_4.py"
    data = CocoDataset(data_folder / "coco_sample")
    line = [sys.executable, str(script), str(out), str(data_folder / "coco_sample"), "--thresholds", "0.25", "0.34"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    cells = [row for row in map(str.split, done.stdout.splitlines()) if len(row) == 6 and row[0] in NAMES]
    rows = {tuple(row[:3]): [float(cell.rstrip("%")) for cell in row[3:]] for row in cells}
    assert set(rows) == {(*NAMES, "0.25"), (*NAMES, "0.34")}
    records = load_records(out / "records")
    targets = [data.targets[data.sample_ids.index(str(sample))] for sample in records.sample_ids]
    for threshold in (0.25, 0.34):
        outcome = replay(records, Policy((threshold,)))
        ap = evaluator(records.predictions, targets)(outcome.expert).ap
        expected = [100 * ap, outcome.cost, 100 * outcome.exit_share[0]]
        assert rows[(*NAMES, str(threshold))] == pytest.approx(expected, abs=0.06)
