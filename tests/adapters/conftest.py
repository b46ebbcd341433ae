"""Small detectors with random weights, and images for them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

# No test may let a framework install packages or download files.
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_OFFLINE", "true")

#: labels of the small detectors
NAMES = ("cat", "dog", "bird")
#: side of the square that they see, in pixels
IMGSZ = 64


@pytest.fixture(scope="session")
def yolos(tmp_path_factory: pytest.TempPathFactory, make_yolo: Callable[..., Path]) -> list[str]:
    """Two YOLO files, the cheap one first, as addresses of experts."""
    folder = tmp_path_factory.mktemp("yolo")
    torch.manual_seed(0)
    return [
        f"ultralytics:{make_yolo(folder / 'small.pt', 'yolov8n.yaml')}?imgsz=64",
        f"ultralytics:{make_yolo(folder / 'large.pt', 'yolo11n.yaml')}?imgsz=96",
    ]


def _small_mmdet(folder: Path, name: str, label_names: tuple[str, ...], options: dict[str, Any]) -> Any:
    """An mmdet expert with random weights that sees 96 pixels, built of a config file in ``folder``."""
    orxe_mmdet = pytest.importorskip("orxe_mmdet")
    configs = pytest.importorskip("orxe_mmdet.configs")
    size = {"test_dataloader.dataset.pipeline.1.scale": (96, 96)}
    metainfo = {"test_dataloader.dataset.metainfo": {"classes": label_names}}
    cfg = configs.load_config(configs.find_config(name), cfg_options={**size, **metainfo, **options})
    cfg.dump(folder / f"{name.partition('_')[0]}.py")
    expert = orxe_mmdet.load_expert(str(folder / f"{name.partition('_')[0]}.py"), random_weights=True)
    expert.module.init_weights()
    return expert


@pytest.fixture(scope="session")
def mmdets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """RTMDet-tiny and DINO R50 with random weights in files, as addresses of experts."""
    folder = tmp_path_factory.mktemp("mmdet")
    torch.manual_seed(0)
    options = {"model.test_cfg.nms_pre": 1000, "test_dataloader.dataset.pipeline.2.size": (96, 96)}
    options |= {"model.bbox_head.num_classes": 3, "model.test_cfg.max_per_img": 20}
    first = _small_mmdet(folder, "rtmdet_tiny_8xb32-300e_coco", NAMES, options)
    for norm in (part for part in first.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)):
        norm.momentum = 1.0
    first.module.train()
    with torch.no_grad():
        first.module.bbox_head(first.module.neck(first.module.backbone(torch.randn(4, 3, 96, 96))))
        for scores, sides in zip(first.module.bbox_head.rtm_cls, first.module.bbox_head.rtm_reg, strict=True):
            scores.bias.fill_(-1)
            scores.weight.mul_(5)
            # Random sides are as often negative, which makes no box.
            sides.bias.fill_(1.5)
    options = {"model.num_queries": 30, "model.test_cfg.max_per_img": 20, "model.bbox_head.num_classes": 3}
    last = _small_mmdet(folder, "dino-4scale_r50_8xb2-12e_coco", NAMES, options)
    for branch in last.module.bbox_head.cls_branches:
        nn.init.normal_(branch.weight, std=0.3)
        nn.init.constant_(branch.bias, -1.0)
    for expert, name in ((first, "rtmdet"), (last, "dino-4scale")):
        torch.save({"state_dict": expert.module.state_dict()}, folder / f"{name}.pth")
    return [f"mmdet:{folder / name}.py@{folder / name}.pth" for name in ("rtmdet", "dino-4scale")]


#: a config of a cascade with all that some script of mmdet reads
_CASCADE = """
_base_ = ["mmdet::_base_/default_runtime.py"]
custom_imports = dict(imports=["orxe_mmdet"])
model = dict(
    type="CascadeDetector", backbone=dict(init_cfg=dict()), experts={experts!r}, exit_thresholds=[{threshold}]
)
dataset_type = "CocoDataset"
pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape")),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type, data_root={root!r}, ann_file="instances.json", data_prefix=dict(img="images/"),
        test_mode=True, pipeline=pipeline, metainfo=dict(classes=("cat", "dog", "bird")),
    ),
)
coco_metric = dict(type="CocoMetric", ann_file={root!r} + "/instances.json", metric="bbox")
test_evaluator = [coco_metric, dict(type="CascadeCost")]
test_cfg = dict(type="TestLoop")
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type="ValLoop")
train_dataloader = test_dataloader
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01))
tta_model = dict(type="CascadeTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=20))
"""


@pytest.fixture(scope="session")
def mmdet_pair(mmdets: list[str]) -> list[str]:
    """Addresses of a small mmdet detector, and of itself at twice the size."""
    return [mmdets[0], f"{mmdets[0]}?scale=192x192"]


@pytest.fixture(scope="session")
def make_mmdet_config(
    mmdet_pair: list[str], make_coco: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Writes the config of a cascade of the pair, with data: ``make_mmdet_config(exit_threshold)``."""
    core = pytest.importorskip("orxe_plugins")
    data = make_coco(tmp_path_factory.mktemp("coco") / "data", [core.load_expert(mmdet_pair[0])])

    def write(threshold: float | None) -> Path:
        path = tmp_path_factory.mktemp("config") / "cascade.py"
        path.write_text(_CASCADE.format(experts=mmdet_pair, threshold=threshold, root=str(data)))
        return path

    return write


@pytest.fixture(scope="session")
def mmdet_config(make_mmdet_config: Callable[..., Path]) -> Path:
    """The config of a cascade of two mmdet detectors."""
    return make_mmdet_config(0.5)


@pytest.fixture(scope="session")
def mmdet_checkpoint(mmdet_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint of that cascade."""
    apis = pytest.importorskip("mmdet.apis")
    path = tmp_path_factory.mktemp("checkpoint") / "cascade.pth"
    return apis.init_detector(str(mmdet_config), device="cpu").save_checkpoint(path)


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """RGB pixels of six images of different sizes and contrasts."""
    rng = np.random.default_rng(0)
    sizes = [(48, 64), (64, 64), (90, 40), (48, 64), (33, 71), (120, 100)]
    contrasts = [256, 20, 80, 128, 200, 60]
    return [rng.integers(0, high, (*size, 3)).astype(np.uint8) for size, high in zip(sizes, contrasts, strict=True)]


@pytest.fixture(scope="session")
def picture_files(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same images as PNG files."""
    folder = tmp_path_factory.mktemp("pictures")
    files = [folder / f"{i}.png" for i in range(len(pictures))]
    for pixels, file in zip(pictures, files, strict=True):
        Image.fromarray(pixels).save(file)
    return files


@pytest.fixture(scope="session")
def make_coco(picture_files: list[Path]) -> Callable[..., Path]:
    """Writes a data set in COCO's format: ``make_coco(folder, experts)``.

    Its objects are some of the experts' own boxes, so that each of them is right at times; the last
    image has none.
    """

    def write(folder: Path, experts: Sequence[Any]) -> Path:
        (folder / "images").mkdir(parents=True)
        images, annotations = [], []
        for i, file in enumerate(picture_files):
            shutil.copy(file, folder / "images")
            image = Image.open(file)
            images.append({"id": i + 1, "file_name": file.name, "width": image.width, "height": image.height})
            for expert in experts[: 0 if i == len(picture_files) - 1 else len(experts)]:
                (found,) = expert.run([image]).outputs
                for k in range(i % 2, min(len(found), 8), 2):
                    x1, y1, x2, y2 = found.boxes[k].tolist()
                    box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
                    category = int(found.labels[k]) + 1
                    annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": category, **box})
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(experts[0].answer_names)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "instances.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture(scope="session")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Image files that are unusual or broken, by what they are."""
    folder = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (40, 60, 4), dtype=np.uint8)
    images: dict[str, Any] = {
        "one pixel": Image.fromarray(pixels[:1, :1, :3]),
        "one row": Image.fromarray(pixels[:1, :, :3]),
        "grey": Image.fromarray(pixels[..., 0]),
        "four channels": Image.fromarray(pixels, "RGBA"),
    }
    files = {name: folder / f"{name.replace(' ', '_')}.png" for name in (*images, "corrupt", "empty")}
    for name, image in images.items():
        image.save(files[name])
    files["corrupt"].write_bytes(files["grey"].read_bytes()[:60])
    files["empty"].write_bytes(b"")
    return files
