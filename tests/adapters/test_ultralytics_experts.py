"""Ultralytics models as experts."""

from __future__ import annotations

import itertools
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import OrxeError, load_expert

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics import RTDETR, YOLO  # noqa: E402


@pytest.fixture(scope="module")
def expert(yolos: list[str]) -> Any:
    return load_expert(yolos[0])


def file_of(address: str) -> Path:
    return Path(address.removeprefix("ultralytics:").partition("?")[0])


def assert_same(found: Any, expected: Any, atol: float = 1e-3) -> None:
    """The same boxes, whatever the order of those with nearly the same score."""
    assert len(found) == len(expected)
    torch.testing.assert_close(found.best_first().scores, expected.best_first().scores, rtol=0, atol=1e-4)
    order = [
        torch.tensor(np.lexsort((d.boxes[:, 0], d.boxes[:, 1], d.labels)), dtype=torch.int64) for d in (found, expected)
    ]
    torch.testing.assert_close(found.take(order[0]).boxes, expected.take(order[1]).boxes, rtol=0, atol=atol)


def test_answers_are_boxes_in_the_originals_pixels(expert: Any, pictures: list[np.ndarray]) -> None:
    answers = expert.run(pictures)
    assert answers.confidence.dtype == torch.float32
    for found, image in zip(answers.outputs, pictures, strict=True):
        height, width = image.shape[:2]
        assert len(found) > 3
        assert found.names == ("cat", "dog", "bird")
        assert found.boxes.min() >= 0
        assert (found.boxes[:, 2:] <= torch.tensor([width, height])).all()
    assert expert.run([]).outputs == []


def test_an_answer_does_not_depend_on_its_neighbours(expert: Any, pictures: list[np.ndarray]) -> None:
    together = expert.run(pictures)
    for i, image in enumerate(pictures):
        alone = expert.run([image])
        assert_same(alone.outputs[0], together.outputs[i])
        torch.testing.assert_close(alone.confidence[0], together.confidence[i], rtol=0, atol=1e-5)


def test_every_kind_of_image_gives_the_same_answer(expert: Any, pictures: list[np.ndarray]) -> None:
    pixels = pictures[0]
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    first, *others = expert([pixels, Image.fromarray(pixels), tensor, tensor / 255])
    for other in others:
        assert_same(other, first)


def test_confidence_does_not_depend_on_what_a_caller_asks_for(expert: Any, pictures: list[np.ndarray]) -> None:
    own = expert.run(pictures)
    expert.ask(replace(expert.settings, conf=0.5, iou=0.3, max_det=2))
    try:
        asked = expert.run(pictures)
    finally:
        expert.ask(None)
    torch.testing.assert_close(asked.confidence, own.confidence)
    assert max(map(len, asked.outputs)) <= 2
    assert all((found.scores > 0.5).all() for found in asked.outputs)


def test_cost_is_counted_at_the_experts_own_size(yolos: list[str]) -> None:
    small, twice = (load_expert(f"{yolos[0].partition('?')[0]}?imgsz={size}") for size in (64, 128))
    assert twice.measure_cost() == pytest.approx(4 * small.measure_cost(), rel=0.01)


def test_costs_of_the_papers_models() -> None:
    """yolov8n at 640: Ultralytics prints 8.7 GFLOPs = 4.37 GMACs."""
    expert = load_expert("ultralytics:yolov8n.yaml?imgsz=640")
    assert expert.measure_cost() == pytest.approx(4.37, rel=0.02)
    assert len(expert.names) == 80


def test_features_for_a_gate_are_those_of_the_backbone(expert: Any, pictures: list[np.ndarray]) -> None:
    seen = []
    layer = expert.module.get_submodule(expert.feature_layer.path)
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    expert.run(pictures[:1])
    handle.remove()
    assert seen == [(1, 256, 2, 2)]


def test_a_slow_machine_loses_no_boxes(
    expert: Any, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics stops suppression after some seconds, and then leaves images of the batch without boxes."""
    nms = pytest.importorskip("ultralytics.utils.nms")
    expected = [len(found) for found in expert(pictures)]
    assert min(expected) > 0
    hours = itertools.count(0, 3600)
    monkeypatch.setattr(nms, "time", SimpleNamespace(time=lambda: float(next(hours))))
    assert [len(found) for found in expert(pictures)] == expected


@pytest.mark.parametrize("name", ["one pixel", "one row", "grey", "four channels"])
def test_unusual_images_are_answered(expert: Any, bad_files: dict[str, Path], name: str) -> None:
    image = Image.open(bad_files[name])
    (found,) = expert.run([image]).outputs
    assert torch.isfinite(found.boxes).all()
    (same,) = expert.run([image.convert("RGB")]).outputs
    assert_same(found, same)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("yolov8q.pt", "did you mean 'ultralytics:yolov8"),
        ("yolov8n.yaml?imgsz=100", "expected a multiple of 32, such as 96"),
        ("yolov8n.yaml?imgsz=64.5", "imgsz of expert .* is 64.5"),
        ("yolov8n-seg.yaml", "made for task 'segment'"),
        ("yolov8n.yaml?imgsiz=64", "unknown option of expert .*: did you mean 'imgsz'"),
        ("yolov8n.yaml?conf=2", "conf is 2: expected a number in"),
        ("yolov8n.yaml?max_det=0", "max_det is 0"),
        ("yolov8n.yaml?rect=1", "rect is 1: expected true or false"),
        ("nowhere/model.onnx", "no exported model"),
    ],
)
def test_what_does_not_fit_is_named(address: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        load_expert(f"ultralytics:{address}")


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(OrxeError, match="cannot be loaded from"):
        load_expert(f"ultralytics:{tmp_path / 'broken.pt'}")


def test_labels_of_another_space_are_remapped(yolos: list[str], pictures: list[np.ndarray]) -> None:
    expert = orxe_ultralytics.load_expert(str(file_of(yolos[0])), imgsz=64, remap={"dog": "puppy", "bird": None})
    expert.remap_to(["puppy", "cat"])
    (found,) = expert.run(pictures[:1]).outputs
    plain = load_expert(yolos[0])(pictures[:1])[0]
    assert found.names == ("puppy", "cat")
    assert found.labels.bincount(minlength=2).tolist() == [
        int((plain.labels == 1).sum()),
        int((plain.labels == 0).sum()),
    ]
    with pytest.raises(OrxeError, match="only the labels asked for have 'horse'"):
        expert.remap_to(["puppy", "cat", "horse"])


def test_an_end_to_end_head_needs_no_suppression(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    """YOLOv10's head, as YOLO.predict answers with it."""
    expert = load_expert("ultralytics:yolov10n.yaml?imgsz=64&conf=0.001")
    torch.save({"model": deepcopy(expert.module), "train_args": {"imgsz": 64, "task": "detect"}}, tmp_path / "ten.pt")
    result = YOLO(tmp_path / "ten.pt").predict(pictures[0][..., ::-1], imgsz=64, conf=0.001, rect=False, verbose=False)
    (found,) = expert(pictures[:1])
    assert len(found) == len(result[0].boxes)
    torch.testing.assert_close(found.best_first().scores, result[0].boxes.conf, rtol=0, atol=1e-5)


def test_rt_detr_answers_as_ultralytics_does(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    expert = load_expert("ultralytics:rtdetr-resnet50.yaml?imgsz=64&max_det=50")
    torch.save({"model": deepcopy(expert.module), "train_args": {"imgsz": 64, "task": "detect"}}, tmp_path / "q.pt")
    result = RTDETR(tmp_path / "q.pt").predict(pictures[2][..., ::-1], imgsz=64, conf=0.001, max_det=50, verbose=False)
    (found,) = expert.run(pictures[2:3]).outputs
    found = found.best_first()
    assert len(found) == len(result[0].boxes) == 50
    torch.testing.assert_close(found.scores, result[0].boxes.conf, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.boxes[0], result[0].boxes.xyxy[0], rtol=0, atol=1e-2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "options"), [("torchscript", {}), ("onnx", {"simplify": False})])
def test_exported_models_answer_as_their_source(
    yolos: list[str], pictures: list[np.ndarray], tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnx")
    source = tmp_path / "small.pt"
    source.write_bytes(file_of(yolos[0]).read_bytes())
    exported = YOLO(source).export(format=kind, imgsz=64, verbose=False, **options)
    address = f"ultralytics:{exported}?dnn={str(kind == 'onnx').lower()}"
    expert = load_expert(f"{address}&cost=0.01")
    assert (expert.imgsz, expert.names, expert.measure_cost()) == (64, ("cat", "dog", "bird"), 0.01)
    plain = load_expert(yolos[0]).run(pictures)
    answers = expert.run(pictures)
    torch.testing.assert_close(answers.confidence, plain.confidence, rtol=0, atol=1e-4)
    for found, expected in zip(answers.outputs, plain.outputs, strict=True):
        assert_same(found, expected, atol=1e-2)
    copies = [deepcopy(expert), load_expert(f"{address}&cost=0.01")]
    assert {copy.module.get_extra_state() for copy in copies} == {expert.module.get_extra_state()}
    with pytest.raises(OrxeError, match="give cost= in GMACs"):
        load_expert(address).measure_cost()
    with pytest.raises(OrxeError, match="exported for squares of 64 pixels"):
        load_expert(f"{address}&imgsz=96")
