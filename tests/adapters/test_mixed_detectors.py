"""One cascade of an Ultralytics and an mmdet expert, through each framework's front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from orxe_plugins import Cascade, Policy, load_expert, replay
from orxe_plugins.detection import CocoDataset
from orxe_plugins.detection.detections import Detections
from orxe_plugins.records.recorder import record
from orxe_plugins.tasks import task_named

orxe_mmdet = pytest.importorskip("orxe_mmdet")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
pytest.importorskip("orxe_torchvision")
import torchvision  # noqa: E402
from mmdet.apis import inference_detector, init_detector  # noqa: E402
from mmengine.config import Config  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def addresses(yolos: list[str], mmdets: list[str]) -> list[str]:
    """YOLO first, DINO second."""
    return [yolos[0], mmdets[1]]


@pytest.fixture(scope="module")
def threshold(addresses: list[str], picture_files: list[Path]) -> float:
    """Half of the pictures go on."""
    confidence = load_expert(addresses[0]).run([_rgb(file) for file in picture_files]).confidence
    return float(np.median(confidence.numpy()))  # between two of them


@pytest.fixture(scope="module")
def expected(addresses: list[str], picture_files: list[Path], threshold: float) -> tuple[list[Detections], list[int]]:
    """What the cascade answers without any front."""
    cascade = Cascade([load_expert(address) for address in addresses], Policy((threshold,)))
    with torch.inference_mode():
        # One by one: the neighbours in a batch move scores by a rounding, and so the order of equals.
        answers = [cascade.route([_rgb(file)]) for file in picture_files]
    experts = [int(route.expert[0]) for _, route in answers]
    assert sorted(set(experts)) == [0, 1]
    return [outputs[0].best_first() for outputs, _ in answers], experts


def _rgb(file: Path) -> np.ndarray:
    return cv2.imread(str(file))[..., ::-1].copy()


def assert_same(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, expected: Detections) -> None:
    order = torch.argsort(scores, descending=True, stable=True)
    torch.testing.assert_close(scores[order], expected.scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(boxes[order], expected.boxes, rtol=0, atol=1e-3)
    assert labels[order].tolist() == expected.labels.tolist()


def test_through_torchvision(addresses: Any, threshold: float, expected: Any, picture_files: list[Path]) -> None:
    model = torchvision.models.get_model("orxe_metamodel_detection", experts=addresses, exit_thresholds=[threshold])
    images = [torch.from_numpy(_rgb(file)).permute(2, 0, 1) / 255 for file in picture_files]
    assert model.route(images)[1].expert.tolist() == expected[1]
    for image, found in zip(images, expected[0], strict=True):
        (answer,) = model([image])
        # Labels are 1, 2, 3 here, as ever in torchvision.
        assert_same(answer["boxes"], answer["scores"], answer["labels"] - 1, found)


def test_through_mmdet(addresses: Any, threshold: float, expected: Any, picture_files: list[Path]) -> None:
    pipeline = [dict(step) for step in orxe_mmdet.TEST_PIPELINE if step["type"] != "LoadAnnotations"]
    dataset = {"type": "CocoDataset", "pipeline": pipeline, "ann_file": "", "test_mode": True}
    model_cfg = {"type": "CascadeDetector", "experts": addresses, "exit_thresholds": [threshold], "backbone": {}}
    cfg = Config({"model": model_cfg, "test_dataloader": {"dataset": dataset}, "default_scope": "mmdet"})
    samples = inference_detector(init_detector(cfg, device="cpu"), [str(file) for file in picture_files])
    assert [sample.orxe_expert_index for sample in samples] == expected[1]
    for sample, found in zip(samples, expected[0], strict=True):
        assert_same(sample.pred_instances.bboxes, sample.pred_instances.scores, sample.pred_instances.labels, found)


def test_through_ultralytics(addresses: Any, threshold: float, expected: Any, picture_files: list[Path]) -> None:
    model = orxe_ultralytics.CascadeYOLO(experts=addresses, exit_thresholds=[threshold])
    results = model.predict(picture_files, rect=False, conf=0.001, verbose=False)
    # predict rounds the shorter side of a YOLO's view to the nearest pixel, val and records round it up.
    same_view = [i for i, file in enumerate(picture_files) if _shorter_side_is_whole(_rgb(file).shape)]
    assert len(same_view) >= 3
    for i in same_view:
        boxes, found = results[i].boxes, expected[0][i]
        assert results[i].orxe_expert == expected[1][i]
        if results[i].orxe_expert == 1:
            assert_same(boxes.xyxy, boxes.conf, boxes.cls.long(), found)
        else:
            # predict keeps the best label of each place alone.
            assert boxes.conf[0] == pytest.approx(float(found.scores[0]), abs=1e-4)
            torch.testing.assert_close(boxes.xyxy[0], found.boxes[0], rtol=0, atol=1e-3)


def _shorter_side_is_whole(shape: tuple[int, ...]) -> bool:
    return (min(shape[:2]) * 64) % max(shape[:2]) == 0


def test_val_scores_both(
    addresses: Any, threshold: float, expected: Any, make_coco: Any, picture_files: list[Path], tmp_path: Path
) -> None:
    experts = [load_expert(addresses[0] + "&clip=false"), load_expert(addresses[1])]
    coco = make_coco(tmp_path / "data", experts)
    samples = CocoDataset(coco)
    labels = coco / "labels"
    labels.mkdir()
    for name, target, shape in zip(
        samples.sample_ids, samples.targets, (_rgb(f).shape for f in picture_files), strict=True
    ):
        sides = np.array([shape[1], shape[0]] * 2)
        centre = np.hstack([target.xywh[:, :2] + target.xywh[:, 2:] / 2, target.xywh[:, 2:]]) / sides
        lines = [
            f"{k} " + " ".join(f"{v:.6f}" for v in np.clip(row, 0, 1))
            for k, row in zip(target.labels, centre, strict=True)
        ]
        (labels / Path(name).with_suffix(".txt").name).write_text("\n".join(lines))
    (coco / "data.yaml").write_text(f"path: {coco}\ntrain: images\nval: images\nnames: [cat, dog, bird]\n")
    data = orxe_ultralytics.YoloDataset(coco / "data.yaml")
    records = record(experts, data, tmp_path / "records", task=task_named("detection"))
    routing = replay(records, Policy((threshold,))).expert
    model = orxe_ultralytics.CascadeYOLO(experts=addresses, exit_thresholds=[threshold])
    found = model.val(data=str(coco / "data.yaml"), plots=False, verbose=False, workers=0, project=tmp_path / "runs")
    assert found.orxe_route.expert.tolist() == routing.tolist()
    assert found.box.map > 0.02
    assert orxe_ultralytics.RoutedVal(records.predictions, data.targets)(routing).box.map == pytest.approx(
        found.box.map
    )
