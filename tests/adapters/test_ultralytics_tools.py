"""What Ultralytics' other tools, SAHI and supervision call on a model, called on a cascade that was saved."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from orxe_plugins import OrxeError

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics import YOLO, solutions  # noqa: E402
from ultralytics.nn.autobackend import AutoBackend  # noqa: E402
from ultralytics.utils import LOGGER  # noqa: E402
from ultralytics.utils.benchmarks import ProfileModels, benchmark  # noqa: E402
from ultralytics.utils.torch_utils import strip_optimizer  # noqa: E402


@pytest.fixture(scope="module")
def saved(yolos: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "two_experts.pt"
    orxe_ultralytics.CascadeYOLO(experts=yolos, exit_thresholds=[0.2]).save(file)
    return file


@pytest.fixture(scope="module")
def model(saved: Path) -> Any:
    return YOLO(saved)


@pytest.fixture()
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Ultralytics' log, which does not reach the root logger by itself."""
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture(scope="module")
def data(picture_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with one box each, whose first two classes are called otherwise than the cascade's."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for file in picture_files[:2]:
        (folder / "images" / file.name).write_bytes(file.read_bytes())
        (folder / "labels" / f"{file.stem}.txt").write_text("0 0.5 0.5 0.4 0.4")
    content = {"path": str(folder), "train": "images", "val": "images", "names": ["dog", "cat", "Bird"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


# --- options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [lambda m, s: m.embed(s), lambda m, s: m.predict(s, embed=[1], verbose=False)])
def test_embeddings_are_refused(model: Any, pictures: list[np.ndarray], call: Any) -> None:
    before = model.predict(pictures[0], verbose=False)[0].boxes.data
    with pytest.raises(OrxeError, match="a cascade has no embeddings"):
        call(model, pictures[0])
    # What failed leaves no trace behind.
    torch.testing.assert_close(model.predict(pictures[0], verbose=False)[0].boxes.data, before)


@pytest.mark.parametrize("name", ["nms", "dnn", "imgsz"])
def test_what_experts_decide_for_themselves_is_said(
    model: Any, pictures: list[np.ndarray], name: str, warned: pytest.LogCaptureFixture
) -> None:
    model.predict(pictures[0], verbose=False, **{name: 32 if name == "imgsz" else True})
    assert f"{name}={32 if name == 'imgsz' else True} changes nothing in a cascade" in warned.text


@pytest.mark.parametrize("option", [{"augment": True}, {"visualize": True}])
def test_ultralytics_says_what_it_leaves_out(
    model: Any, pictures: list[np.ndarray], option: dict[str, Any], warned: pytest.LogCaptureFixture
) -> None:
    model.predictor = None
    (found,) = model.predict(pictures[0], verbose=False, **option)
    assert "not supported by this model" in warned.text
    assert found.orxe_route.ran
    model.predictor = None


def test_val_warns_of_classes_in_another_order(model: Any, data: Path, warned: pytest.LogCaptureFixture) -> None:
    model.val(data=str(data), batch=2, plots=False, verbose=False, workers=0, project=data.parent / "runs")
    assert "2 of 3 classes are called otherwise in the data, as class 0: 'cat' of the cascade and 'dog'" in warned.text


# --- tools --------------------------------------------------------------------------------------------


def test_benchmarks_measure_the_file_and_leave_exports_out(
    saved: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ultralytics leaves a log where it runs.
    monkeypatch.chdir(tmp_path)
    for table in (
        benchmark(model=str(saved), data=str(data), imgsz=64, format="-"),
        YOLO(saved).benchmark(data=str(data), imgsz=64),
    ):
        assert float(table["metrics/mAP50-95(B)"][0]) >= 0
    with pytest.raises(OrxeError, match="format is 'onnx', and a cascade cannot be exported"):
        YOLO(saved).benchmark(format="onnx")
    profile = ProfileModels([str(saved)], imgsz=64, num_timed_runs=1, num_warmup_runs=1, trt=False)
    with pytest.raises(OrxeError, match="a cascade cannot be exported"):
        profile.run()


def test_a_stripped_file_and_the_bare_backend_answer(
    saved: Path, model: Any, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    copied = tmp_path / "stripped.pt"
    copied.write_bytes(saved.read_bytes())
    strip_optimizer(str(copied))
    image = np.ascontiguousarray(pictures[0][..., ::-1])
    found, expected = (one.predict(image, verbose=False)[0] for one in (YOLO(copied), model))
    # Ultralytics stores what it strips in half precision.
    assert found.orxe_route.name == expected.orxe_route.name
    assert found.orxe_route.confidence == pytest.approx(expected.orxe_route.confidence, abs=0.02)
    assert AutoBackend(str(saved), device=torch.device("cpu"))(torch.rand(2, 3, 64, 64)).shape[::2] == (2, 6)


@pytest.mark.parametrize("name", ["ObjectCounter", "RegionCounter", "Heatmap", "TrackZone", "ObjectBlurrer"])
def test_solutions_take_a_saved_cascade(saved: Path, pictures: list[np.ndarray], name: str) -> None:
    pytest.importorskip("lap")
    pytest.importorskip("shapely")
    frame = cv2.resize(pictures[5], (160, 160))
    region = [(10, 10), (150, 10), (150, 150), (10, 150)]
    solution = getattr(solutions, name)(model=str(saved), show=False, verbose=False, conf=0.1, region=region)
    solution(frame)
    assert solution(frame).plot_im.shape == frame.shape


def test_boxes_reach_sahi_and_supervision(model: Any, pictures: list[np.ndarray]) -> None:
    """What ``sahi.AutoDetectionModel`` and ``supervision.Detections.from_ultralytics`` read."""
    frame = cv2.resize(pictures[5], (160, 120))
    tiles = [np.ascontiguousarray(frame[y : y + 60, x : x + 80]) for y in (0, 60) for x in (0, 80)]
    assert (model.to("cpu").overrides["task"], model.names) == ("detect", {0: "cat", 1: "dog", 2: "bird"})
    results = model(tiles, verbose=False, device="cpu", imgsz=96, conf=0.1)
    assert len(results) == 4
    for result in results:
        boxes = result.numpy().boxes
        assert boxes.data.shape == (len(result), 6)
        assert (result.obb, result.masks, boxes.id) == (None, None, None)
        assert {result.names[int(label)] for label in boxes.cls} <= set(model.names.values())
