"""Two detectors with real weights on real images: the small version of benchmarks/bench_detection.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orxe_plugins import Policy, load_expert, replay
from orxe_plugins.detection import CocoDataset
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.detection import evaluator

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics import YOLO  # noqa: E402

N_IMAGES = 12
SIZES = (160, 320)


@pytest.fixture(scope="module")
def files(data_folder: Path) -> list[Path]:
    """yolov8n and yolo11n."""
    found = [data_folder / "coco_experts" / f"{name}_dequantised.pt" for name in ("yolov8n", "yolo11n")]
    if not all(file.is_file() for file in found):
        pytest.skip(f"no YOLO files in {data_folder / 'coco_experts'}")
    return found


@pytest.fixture(scope="module")
def data(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of coco_sample; Ultralytics writes its cache beside the labels, so they are copied."""
    source, folder = data_folder / "coco_sample", tmp_path_factory.mktemp("coco")
    for image in sorted((source / "images").iterdir())[:N_IMAGES]:
        for name, file in (("images", image), ("labels", source / "labels" / f"{image.stem}.txt")):
            (folder / name).mkdir(exist_ok=True)
            if file.is_file():
                shutil.copy(file, folder / name)
    content = yaml.safe_load((source / "coco_sample.yaml").read_text())
    (folder / "data.yaml").write_text(yaml.safe_dump({**content, "path": str(folder)}))
    return folder / "data.yaml"


def val(model: Any, data: Path, **options: Any) -> Any:
    common = {"batch": 4, "plots": False, "verbose": False, "workers": 0, "project": data.parent / "runs"}
    return model.val(data=str(data), rect=False, **common, **options)


def test_val_at_both_ends_and_records_in_between(files: list[Path], data: Path, tmp_path: Path) -> None:
    addresses = [f"ultralytics:{file}?imgsz={size}" for file, size in zip(files, SIZES, strict=True)]
    model = orxe_ultralytics.CascadeYOLO(experts=addresses, exit_thresholds=[0.5])
    samples = orxe_ultralytics.YoloDataset(data)
    experts = [load_expert(f"{address}&clip=false") for address in addresses]
    options = RecordOptions(batch_size=4)
    records = record(experts, samples, tmp_path, task=task_named("detection"), options=options)
    routed_val = orxe_ultralytics.RoutedVal(records.predictions, samples.targets)
    middle = float(np.median(records.confidence[0])) + 1e-4
    for threshold in (0.0, middle, None):
        model.policy = Policy((threshold,))
        routed, replayed = val(model, data), replay(records, model.policy)
        assert routed.orxe_route.expert.tolist() == replayed.expert.tolist()
        assert routed_val(replayed.expert).box.map == pytest.approx(routed.box.map, abs=1e-4)
        assert float(routed.orxe_route.cost.mean()) == pytest.approx(replayed.cost)
        if threshold != middle:
            expert = 0 if threshold == 0.0 else 1
            alone = val(YOLO(files[expert]), data, imgsz=SIZES[expert])
            assert alone.box.map > 0.1
            assert routed.box.map == pytest.approx(alone.box.map, abs=1e-3)


def test_cocos_ap_out_of_records_is_plausible(files: list[Path], data_folder: Path, tmp_path: Path) -> None:
    """Ultralytics' own val gives yolov8n 0.37 at 320 pixels on all of these images."""
    samples = CocoDataset(data_folder / "coco_sample")
    half = samples.select(range(0, len(samples), 2))
    records = record([load_expert(f"ultralytics:{files[0]}?imgsz=320")], half, tmp_path, task=task_named("detection"))
    found = evaluator(records.predictions, half.targets)(np.zeros(len(half), dtype=int))
    assert 0.3 < found.ap < 0.5
    assert found.ap50 > found.ap > found.ap75 * 0.8
