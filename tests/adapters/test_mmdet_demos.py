"""mmdetection's demos, which are in no wheel, on a CascadeDetector: what each of them calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.reading import read_image

orxe_mmdet = pytest.importorskip("orxe_mmdet")
import mmcv  # noqa: E402
from mmcv.transforms import Compose  # noqa: E402
from mmdet.apis import DetInferencer, inference_detector, init_detector  # noqa: E402
from mmdet.registry import VISUALIZERS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.utils.large_image import merge_results_by_nms  # noqa: E402
from mmengine.config import Config  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def built(mmdet_config: Path, mmdet_checkpoint: Path) -> Any:
    return init_detector(str(mmdet_config), str(mmdet_checkpoint), device="cpu")


@pytest.fixture
def model(built: Any, mmdet_config: Path) -> Any:
    """The demos write into a model's config."""
    built.cfg = Config.fromfile(str(mmdet_config))
    return built


@pytest.fixture
def visualizer(model: Any) -> Any:
    built = VISUALIZERS.build(model.cfg.visualizer)
    built.dataset_meta = model.dataset_meta
    return built


def painted(visualizer: Any, frame: np.ndarray, found: Any) -> np.ndarray:
    visualizer.add_datasample("one", frame, data_sample=found, draw_gt=False, pred_score_thr=0.0, show=False)
    return visualizer.get_image()


def assert_same(found: Any, expected: Any) -> None:
    assert torch.equal(found.pred_instances.bboxes, expected.pred_instances.bboxes)
    assert torch.equal(found.pred_instances.scores, expected.pred_instances.scores)
    assert found.orxe_expert == expected.orxe_expert


def test_image_demo(mmdet_config: Path, mmdet_checkpoint: Path, picture_files: list[Path], tmp_path: Path) -> None:
    inferencer = DetInferencer(str(mmdet_config), str(mmdet_checkpoint), device="cpu", palette="none")
    inferencer.model.test_cfg.chunked_size = -1
    folder = picture_files[0].parent
    found = inferencer(
        inputs=str(folder), out_dir=str(tmp_path), batch_size=2, pred_score_thr=0.0, no_save_pred=False,
        print_result=False, show=False, texts=None, custom_entities=False, tokens_positive=None,
    )["predictions"]  # fmt: skip
    names = sorted(file.stem for file in picture_files)
    assert sorted(file.stem for file in (tmp_path / "vis").iterdir()) == names
    written = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "preds").iterdir()}
    assert sorted(written) == names
    assert sorted(len(one["scores"]) for one in found) == sorted(len(one["scores"]) for one in written.values())


def test_video_demo(model: Any, visualizer: Any, tmp_path: Path) -> None:
    """It writes into the model's config, and reads the config again."""
    writer = cv2.VideoWriter(str(tmp_path / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for value in (40, 120, 200):
        writer.write(np.random.default_rng(value).integers(0, value, (48, 64, 3), dtype=np.uint8))
    writer.release()
    model.cfg.test_dataloader.dataset.pipeline[0].type = "mmdet.LoadImageFromNDArray"
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    frames = mmcv.VideoReader(str(tmp_path / "in.avi"))
    assert len(frames) == 3
    for frame in frames:
        found = inference_detector(model, frame, test_pipeline=pipeline)
        assert_same(found, inference_detector(model, frame))
        assert painted(visualizer, frame, found).shape == (48, 64, 3)


def test_webcam_demo(model: Any, visualizer: Any, picture_files: list[Path]) -> None:
    for file in picture_files[:3]:
        frame = cv2.imread(str(file))
        found = inference_detector(model, frame)
        assert painted(visualizer, mmcv.imconvert(frame, "bgr", "rgb"), found).shape == frame.shape
        assert_same(found, inference_detector(model, str(file)))  # a path after an array


def test_video_gpuaccel_demo(model: Any, picture_files: list[Path]) -> None:
    """It asks once which shape frames have for the model, and then hands in resized frames without a pipeline."""
    frame = cv2.imread(str(picture_files[0]))
    model.cfg.test_dataloader.dataset.pipeline[0].type = "LoadImageFromNDArray"
    packed = Compose(model.cfg.test_dataloader.dataset.pipeline)({"img": np.zeros_like(frame), "img_id": 0})
    data = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
    shape = model.data_preprocessor(data, False)["data_samples"][0].batch_input_shape
    assert shape == frame.shape[:2]
    sample = DetDataSample(metainfo={"img_shape": shape, "ori_shape": frame.shape[:2], "scale_factor": (1.0, 1.0)})
    pixels = torch.from_numpy(frame).permute(2, 0, 1)
    with torch.no_grad():
        found = model.test_step({"inputs": [pixels], "data_samples": [sample]})[0]
    assert_same(found, inference_detector(model, frame))


def test_large_image_demo(model: Any, visualizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAHI, which the demo imports, does no more than move the boxes."""
    sahi = ModuleType("sahi.slicing")
    sahi.shift_masks = None  # type: ignore[attr-defined]
    sahi.shift_bboxes = lambda boxes, offset: boxes + torch.tensor([*offset, *offset])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sahi", ModuleType("sahi"))
    monkeypatch.setitem(sys.modules, "sahi.slicing", sahi)
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    starts = [(x, y) for y in (0, 32) for x in (0, 48, 96)]
    found = inference_detector(model, [image[y : y + 64, x : x + 64] for x, y in starts])
    nms = {"type": "nms", "iou_threshold": 0.25}
    merged = merge_results_by_nms(found, starts, src_image_shape=(96, 160), nms_cfg=nms)
    assert 0 < len(merged.pred_instances) <= sum(len(one.pred_instances) for one in found)
    assert merged.pred_instances.bboxes[:, 2].max() > 96
    assert painted(visualizer, image, merged).shape == image.shape


def test_featmap_vis_demo(model: Any, picture_files: list[Path]) -> None:
    """Its --target-layers are parts of an expert: a cascade has none."""
    with pytest.raises(AttributeError, match=r"no backbone; its experts have: cascade\.experts\[i\]\.module\.backbone"):
        _ = model.backbone
    assert not hasattr(model, "neck") and not model.with_neck
    maps: list[Any] = []
    model.cascade.experts[0].module.backbone.register_forward_hook(lambda module, given, out: maps.append(out))
    inference_detector(model, str(picture_files[0]))
    assert [one.shape[0] for one in maps[0]] == [1, 1, 1]


# --- images, as mmdet reads them ----------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [3, 6])
def test_photos_are_turned_as_their_camera_says(model: Any, tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8))
    note = Image.Exif()
    note[0x0112] = orientation
    image.save(tmp_path / "photo.png", exif=note)
    found = inference_detector(model, str(tmp_path / "photo.png"))
    turned = np.asarray(read_image(tmp_path / "photo.png", turn=True))
    assert found.ori_shape == turned.shape[:2] == ((64, 40) if orientation == 6 else (40, 64))
    assert_same(found, inference_detector(model, turned[..., ::-1]))


def test_grey_images_of_16_bits_are_scaled(model: Any, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (40, 64)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "wide.png"), values)
    found = inference_detector(model, str(tmp_path / "wide.png"))
    assert_same(found, inference_detector(model, np.asarray(read_image(tmp_path / "wide.png"))[..., ::-1]))


# --- what means nothing on a cascade ------------------------------------------------------------------


def test_an_export_is_refused(model: Any) -> None:
    image = torch.zeros(1, 3, 40, 64)
    for export in (
        lambda: torch.jit.trace(model, image),
        lambda: torch.onnx.export(model, (image,), "x.onnx", dynamo=False),
    ):
        with pytest.raises(OrxeError, match="export each expert by itself"):
            export()


def test_configs_of_other_detectors_are_refused(mmdet_pair: list[str]) -> None:
    with pytest.raises(OrxeError, match="takes no test_cfg, but .*: each expert has its own"):
        orxe_mmdet.CascadeDetector(experts=mmdet_pair, exit_thresholds=[0.5], test_cfg={"max_per_img": 3})
