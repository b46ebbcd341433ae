"""mmdet detectors as experts: configs, checkpoints and their preparation."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import OrxeError, load_expert
from orxe_plugins.experts.views import shown_view

orxe_mmdet = pytest.importorskip("orxe_mmdet")
import mmcv  # noqa: E402
import mmdet  # noqa: E402
from mmengine.logging import MMLogger  # noqa: E402
from mmengine.logging.history_buffer import HistoryBuffer  # noqa: E402

from orxe_mmdet.checkpoints import read_checkpoint  # noqa: E402
from orxe_mmdet.configs import find_config, pretrained_url  # noqa: E402
from orxe_mmdet.framework import import_mmdet  # noqa: E402
from orxe_mmdet.scales import at_scale  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
TINY = "rtmdet_tiny_8xb32-300e_coco"


@pytest.fixture(scope="module")
def expert(mmdets: list[str]) -> Any:
    return load_expert(mmdets[0])


def parts_of(address: str) -> tuple[str, str]:
    config, _, checkpoint = address.removeprefix("mmdet:").partition("@")
    return config, checkpoint


@pytest.fixture
def trained(mmdets: list[str], tmp_path: Path) -> Path:
    """A checkpoint as mmengine saves it while training: with its log beside the weights."""
    weights = torch.load(parts_of(mmdets[0])[1])["state_dict"]
    meta = {"dataset_meta": {"classes": ("dog", "cat", "bird")}, "epoch": 3}
    log = {"train/loss": HistoryBuffer([1.0], [1])}
    torch.save({"state_dict": weights, "meta": meta, "message_hub": log}, tmp_path / "epoch_3.pth")
    return tmp_path / "epoch_3.pth"


def test_answers_do_not_depend_on_neighbours_or_kinds(expert: Any, pictures: list[np.ndarray]) -> None:
    together = expert.run(pictures)
    assert expert.run([]).outputs == []
    for i, image in enumerate(pictures):
        for same in (image, Image.fromarray(image), torch.from_numpy(image).permute(2, 0, 1)):
            alone = expert.run([same])
            torch.testing.assert_close(alone.confidence[0], together.confidence[i], rtol=0, atol=1e-4)
            torch.testing.assert_close(alone.outputs[0].boxes, together.outputs[i].boxes, rtol=0, atol=1e-2)


def test_costs_of_the_papers_models() -> None:
    """RTMDet-tiny at its 640 pixels: mmdet's table says 8.1 G."""
    built = orxe_mmdet.load_expert(TINY, random_weights=True, cfg_options={"model.test_cfg.nms_pre": 1000})
    assert built.measure_cost() == pytest.approx(8.04, rel=0.01)
    assert len(built.names) == 80


def test_sizes_in_an_address_are_lists() -> None:
    """YAML has no tuples, and mmcv takes nothing else for a size."""
    sizes = "{test_dataloader.dataset.pipeline.1.scale: [64, 64], test_dataloader.dataset.pipeline.2.size: [64, 64]}"
    small = load_expert(f"mmdet:{TINY}?random_weights=true&cfg_options={sizes}")
    (view,) = small.prepare([np.zeros((30, 50, 3), dtype=np.uint8)])
    assert view["inputs"].shape == (3, 64, 64)


@pytest.mark.parametrize("scale", ["96x64", "[96, 64]"])
def test_the_scale_of_the_test_pipeline_is_an_option(mmdets: list[str], scale: str) -> None:
    """As is wanted of Co-DINO, whose config has another scale than papers count it at."""
    image = np.zeros((30, 60, 3), dtype=np.uint8)
    last = load_expert(f"{mmdets[1]}?scale={scale}")
    assert last.prepare([image])[0]["inputs"].shape == (3, 48, 96)
    assert shown_view(last) == "the whole image, within 96 x 64 px"
    first = load_expert(f"{mmdets[0]}?scale={scale}")
    assert first.prepare([image])[0]["inputs"].shape == (3, 64, 96)  # its pipeline pads to the scale
    assert first.measure_cost() < load_expert(mmdets[0]).measure_cost()


def test_a_scale_without_a_resize_is_refused() -> None:
    steps = [{"type": "mmdet.LoadImageFromNDArray"}, {"type": "FixShapeResize", "width": 3, "height": 3}]
    with pytest.raises(OrxeError, match="has no Resize, but LoadImageFromNDArray, FixShapeResize"):
        at_scale(steps, 640)


def test_first_weights_are_not_logged_one_by_one(mmdets: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    """As Co-DETR does, some detectors draw their first weights while they are built."""
    project = tmp_path / "projects" / "LoudDet"
    (project / "configs").mkdir(parents=True)
    (project / "loud").mkdir()
    (project / "loud" / "__init__.py").write_text(
        "from mmdet.models import RTMDet\nfrom mmdet.registry import MODELS\n\n"
        "@MODELS.register_module()\nclass LoudDet(RTMDet):\n"
        "    def __init__(self, **options):\n        super().__init__(**options)\n"
        "        self.bbox_head.init_weights()\n"
    )
    text = Path(parts_of(mmdets[0])[0]).read_text().replace("type='RTMDet'", "type='LoudDet'")
    imports = "custom_imports = dict(imports=['projects.LoudDet.loud'])\n"
    (project / "configs" / "loud_tiny.py").write_text(imports + text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    said: list[logging.LogRecord] = []
    logger = MMLogger.get_current_instance()
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    level, logger.level = logger.level, logging.INFO
    logger.addHandler(handler)
    try:
        load_expert(f"mmdet:loud_tiny?random_weights=true&repo={tmp_path}")
        assert logger.level == logging.INFO
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert said == []


def test_a_training_checkpoint_needs_trust(mmdets: list[str], trained: Path, pictures: list[np.ndarray]) -> None:
    config, _ = parts_of(mmdets[0])
    with pytest.raises(OrxeError, match=r"HistoryBuffer beside its weights.*trust_checkpoint=True.*orxe_mmdet convert"):
        load_expert(f"mmdet:{config}@{trained}")
    trusted = load_expert(f"mmdet:{config}@{trained}?trust_checkpoint=true")
    assert trusted.names == ("dog", "cat", "bird")
    plain = load_expert(mmdets[0])
    torch.testing.assert_close(trusted(pictures[:1])[0].boxes, plain(pictures[:1])[0].boxes)


def test_a_converted_checkpoint_needs_none(mmdets: list[str], trained: Path) -> None:
    target = trained.with_suffix(".safetensors")
    command = [sys.executable, "-W", "ignore", "-m", "orxe_mmdet", "convert", str(trained), str(target)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "trust" in refused.stderr
    assert not target.exists()
    orxe_mmdet.convert_checkpoint(trained, target, trust_checkpoint=True)
    read, source = read_checkpoint(target), read_checkpoint(trained, trust_checkpoint=True)
    assert read.classes == source.classes == ("dog", "cat", "bird")
    assert all(torch.equal(read.weights[key], value) for key, value in source.weights.items())
    assert load_expert(f"mmdet:{parts_of(mmdets[0])[0]}@{target}").names == ("dog", "cat", "bird")
    with pytest.raises(OrxeError, match=r"ends in \.safetensors"):
        orxe_mmdet.convert_checkpoint(trained, trained.with_suffix(".bin"))


@pytest.mark.parametrize("meta", [{"CLASSES": ("a", "b", "c")}, {"dataset_meta": {"CLASSES": ("a", "b", "c")}}])
def test_checkpoints_of_older_releases_name_their_classes(mmdets: list[str], tmp_path: Path, meta: Any) -> None:
    config, checkpoint = parts_of(mmdets[0])
    weights = {f"module.{key}": value for key, value in torch.load(checkpoint)["state_dict"].items()}
    torch.save({"state_dict": weights, "meta": meta}, tmp_path / "old.pth")
    assert load_expert(f"mmdet:{config}@{tmp_path / 'old.pth'}").names == ("a", "b", "c")


def test_checkpoints_of_another_model_are_refused(mmdets: list[str], tmp_path: Path) -> None:
    config, checkpoint = parts_of(mmdets[0])
    weights = torch.load(checkpoint)["state_dict"]
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    torch.save({"a": 3}, tmp_path / "none.pth")
    torch.save(dict(list(weights.items())[:-3]), tmp_path / "less.pth")
    first = next(iter(weights))
    torch.save({**weights, first: torch.zeros(1)}, tmp_path / "shape.pth")
    for name, message in (
        ("broken", "cannot be read"),
        ("none", "holds no state dict"),
        ("less", "3 weights .* are missing"),
        ("shape", "does not fit its config"),
        ("nowhere", "does not exist"),
    ):
        with pytest.raises(OrxeError, match=message):
            load_expert(f"mmdet:{config}@{tmp_path / name}.pth")
    with pytest.warns(UserWarning, match="stay random"):
        load_expert(f"mmdet:{config}@{tmp_path / 'less.pth'}?strict=false")


def test_mmdets_own_names_and_addresses() -> None:
    assert find_config(TINY).name == f"{TINY}.py"
    assert find_config("configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py", Path(find_config(TINY)).parents[2]).is_file()
    assert pretrained_url(find_config(TINY)).endswith("rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"{TINY[:-1]}@x.pth", f"did you mean '{TINY}"),
        ("configs/nothing.py@x.pth", "needs repo=CHECKOUT"),
        (TINY, "expected CONFIG@CHECKPOINT"),
        (f"{TINY}@x.pth?random_weights=true", "expected CONFIG@CHECKPOINT"),
        (f"{TINY}@pretrained?checkpoint=x.pth", "has 2 checkpoints"),
        (f"{TINY}?random_weights=true&size=3", "unknown mmdet option 'size'"),
        (f"{TINY}?random_weights=true&scale=large", "scale is 'large': expected width and height"),
        (f"{TINY}?random_weights=true&scale=[3, 0]", r"scale is \[3, 0\]: expected width and height"),
        (f"{TINY}?random_weights=true&classes=[cat]", "has 80 classes, but 1 label names"),
        (f"{TINY}?random_weights=true&repo=/nowhere", "expected a checkout of mmdetection"),
        ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365?random_weights=true", "a text|be built: .*transformers"),
    ],
)
def test_what_does_not_fit_is_named(address: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        load_expert(f"mmdet:{address}")


def test_a_config_without_a_detector_is_named(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "schedule.py").write_text("max_epochs = 3\n")
    with pytest.raises(OrxeError, match="not a detector's config"):
        load_expert(f"mmdet:{tmp_path / 'configs' / 'schedule.py'}?random_weights=true")


def test_a_checkout_brings_its_projects(mmdets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Co-DETR's configs in the repository of mmdetection: code beside configs, imported from the checkout."""
    project = tmp_path / "projects" / "QuickDet"
    (project / "configs").mkdir(parents=True)
    (project / "quick").mkdir()
    (project / "quick" / "__init__.py").write_text(
        "from mmdet.models import RTMDet\nfrom mmdet.registry import MODELS\n\n"
        "@MODELS.register_module()\nclass QuickDet(RTMDet):\n    pass\n"
    )
    text = Path(parts_of(mmdets[0])[0]).read_text().replace("type='RTMDet'", "type='QuickDet'")
    assert "QuickDet" in text
    imports = "custom_imports = dict(imports=['projects.QuickDet.quick'])\n"
    (project / "configs" / "quick_tiny.py").write_text(imports + text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    options = "random_weights=true"
    with pytest.raises(OrxeError, match="give repo=CHECKOUT"):
        load_expert(f"mmdet:{project / 'configs' / 'quick_tiny.py'}?{options}")
    built = load_expert(f"mmdet:quick_tiny?{options}&repo={tmp_path}")
    assert type(built.module).__name__ == "QuickDet"


def test_packages_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the fork's mmcv lies beside open-mmlab's mmdet, which refuses it."""
    if mmdet.__version__ != "3.3.0":
        pytest.skip("the fork has no check of versions")
    monkeypatch.setattr(mmcv, "__version__", "2.3.6")
    monkeypatch.delitem(sys.modules, "mmdet")
    with pytest.raises(ImportError, match=r"MMCV==2\.3\.6 .*install one of the two extras"):
        import_mmdet()
