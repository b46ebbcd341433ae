"""CascadeDetector: a cascade in MMDetection's own tools."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable, load_expert, replay
from orxe_plugins.cascade.file import CascadeFile, write_cascade
from orxe_plugins.detection import CocoDataset
from orxe_plugins.records.recorder import record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.detection import evaluator

orxe_mmdet = pytest.importorskip("orxe_mmdet")
import mmdet  # noqa: E402
from mmdet.apis import DetInferencer, inference_detector, init_detector  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
FIRST, LAST = Policy((0.0,)), Policy((None,))

CONFIG = """
_base_ = ["mmdet::_base_/default_runtime.py"]
custom_imports = dict(imports=["orxe_mmdet"])
model = dict(type="CascadeDetector", experts={experts!r}, exit_thresholds={exits!r}, backbone=dict())
pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape")),
]
test_dataloader = dict(
    batch_size={batch_size},
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset", data_root={root!r}, ann_file="instances.json", data_prefix=dict(img="images/"),
        test_mode=True, pipeline=pipeline, metainfo=dict(classes=("cat", "dog", "bird")),
    ),
)
test_cfg = dict(type="TestLoop")
test_evaluator = [dict(type="CocoMetric", ann_file={annotations!r}, metric="bbox"), dict(type="CascadeCost")]
log_level = "ERROR"
"""


@pytest.fixture(scope="module")
def data(mmdets: list[str], make_coco: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco(tmp_path_factory.mktemp("coco") / "data", [load_expert(address) for address in mmdets])


def config_text(experts: Sequence[Any], data: Path, exits: Sequence[float | None], batch_size: int = 1) -> str:
    # As users of mmdet write them: an address without an adapter is one of mmdet.
    short = [address.removeprefix("mmdet:") for address in experts]
    annotations = str(data / "instances.json")
    return CONFIG.format(
        experts=short, exits=list(exits), root=str(data), annotations=annotations, batch_size=batch_size
    )


@pytest.fixture(scope="module")
def config(mmdets: list[str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "cascade.py"
    path.write_text(config_text(mmdets, data, [0.5]))
    return path


@pytest.fixture(scope="module")
def model(config: Path) -> Any:
    return init_detector(str(config), device="cpu")


@pytest.fixture(scope="module")
def records(mmdets: list[str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    experts = [load_expert(address) for address in mmdets]
    return record(experts, CocoDataset(data), tmp_path_factory.mktemp("records"), task=task_named("detection"))


def assert_same(found: DetDataSample, expected: DetDataSample, atol: float = 0.0) -> None:
    one, other = found.pred_instances, expected.pred_instances
    torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=atol)
    torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=atol)
    assert one.labels.tolist() == other.labels.tolist()


# --- inference --------------------------------------------------------------------------------------


@pytest.mark.parametrize("expert", [0, 1])
def test_both_ends_equal_the_models_alone(
    model: Any, mmdets: list[str], picture_files: list[Path], expert: int
) -> None:
    own_config, _, checkpoint = mmdets[expert].removeprefix("mmdet:").partition("@")
    alone = init_detector(own_config, checkpoint, device="cpu")
    with model.cascade.using((FIRST, LAST)[expert]):
        for file in picture_files[:3]:
            found, expected = (inference_detector(one, str(file)) for one in (model, alone))
            assert len(expected.pred_instances) > 3
            assert_same(found, expected)
            assert found.orxe_expert_index == expert


def test_a_path_and_its_array_give_the_same_boxes(model: Any, picture_files: list[Path]) -> None:
    paths = [str(file) for file in picture_files[:3]]
    arrays = [cv2.imread(path) for path in paths]
    for one, other in zip(inference_detector(model, paths), inference_detector(model, arrays), strict=True):
        assert_same(one, other)
        assert one.orxe_expert == other.orxe_expert


def test_samples_say_who_answered(model: Any, records: Any, data: Path, picture_files: list[Path]) -> None:
    threshold = float(np.median(records.confidence[0]))
    expected = replay(records, Policy((threshold,)))
    with model.cascade.using(Policy((threshold,))):
        samples = inference_detector(model, [str(file) for file in picture_files])
    assert [sample.orxe_expert_index for sample in samples] == expected.expert.tolist()
    assert sorted(set(expected.expert.tolist())) == [0, 1]
    for sample, cost, confidence in zip(samples, expected.sample_cost, expected.confidence, strict=True):
        assert sample.orxe_expert == model.cascade.members[sample.orxe_expert_index].name
        assert sample.orxe_cost == pytest.approx(cost)
        assert sample.orxe_confidence == pytest.approx(float(confidence), abs=1e-5)


def test_det_inferencer_on_paths_and_arrays(
    config: Path, model: Any, picture_files: list[Path], tmp_path: Path
) -> None:
    checkpoint = model.save_checkpoint(tmp_path / "cascade.pth")
    inferencer = DetInferencer(str(config), str(checkpoint), device="cpu", show_progress=False)
    paths = [str(file) for file in picture_files[:3]]
    options = {"return_datasamples": True, "no_save_vis": True, "batch_size": 2}
    of_paths = inferencer(paths, **options)["predictions"]
    of_arrays = inferencer([cv2.imread(path) for path in paths], **options)["predictions"]
    for one, other, path in zip(of_paths, of_arrays, paths, strict=True):
        assert_same(one, other)
        assert_same(one, inference_detector(model, path), atol=1e-3)
    plain = inferencer(paths[0], no_save_vis=True)["predictions"][0]
    assert set(plain) == {"bboxes", "labels", "scores"}
    assert inferencer.model.dataset_meta["classes"] == ("cat", "dog", "bird")
    inferencer(paths[0], out_dir=str(tmp_path))
    assert len(list((tmp_path / "vis").iterdir())) == 1


# --- evaluation -------------------------------------------------------------------------------------


def run_test(text: str, folder: Path, policy: Policy | None = None) -> dict[str, float]:
    (folder / "config.py").write_text(text)
    cfg = Config.fromfile(str(folder / "config.py"))
    cfg.work_dir = str(folder / "work")
    runner = Runner.from_cfg(cfg)
    if policy is not None:
        runner.model.policy = policy
    return runner.test()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_runner_scores_any_batch_size_as_the_records_do(
    mmdets: list[str], data: Path, records: Any, tmp_path: Path, batch_size: int
) -> None:
    routed_ap = evaluator(records.predictions, CocoDataset(data).targets)
    for threshold in (0.0, float(np.median(records.confidence[0])), None):
        replayed = replay(records, Policy((threshold,)))
        found = run_test(config_text(mmdets, data, [threshold], batch_size), tmp_path)
        expected = routed_ap(replayed.expert)
        assert expected.ap > 0.02
        # mmdet rounds to three decimals.
        assert found["coco/bbox_mAP"] == pytest.approx(expected.ap, abs=6e-4)
        assert found["coco/bbox_mAP_50"] == pytest.approx(expected.ap50, abs=6e-4)
        assert found["cascade/cost"] == pytest.approx(replayed.cost)
        for expert, share in enumerate(replayed.exit_share):
            assert found.get(f"cascade/share of {records.names[expert]}", 0.0) == pytest.approx(share)


def test_the_test_script_of_mmdet(model: Any, config: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "test.py"
    if not script.is_file():
        pytest.skip("this mmdet was installed without its tools")
    checkpoint = model.save_checkpoint(tmp_path / "cascade.pth")
    arguments = [str(config), str(checkpoint), "--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "out.pkl")]
    options = ["--cfg-options", "model.exit_thresholds=[0.0]", "log_level=INFO"]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments, *options])
    monkeypatch.setenv("LOCAL_RANK", "0")
    runpy.run_path(str(script), run_name="__main__")
    text = "".join(file.read_text() for file in (tmp_path / "work").rglob("*.log"))
    assert "cascade/share of" in text
    assert "1.0000" in text
    assert (tmp_path / "out.pkl").is_file()


def test_cascade_cost_wants_a_cascade() -> None:
    metric = orxe_mmdet.CascadeCost()
    with pytest.raises(OrxeError, match="the model is another one"):
        metric.process({}, [{"pred_instances": {}}])


def test_cascade_cost_wants_the_cost_of_all_views() -> None:
    """mmdet's own DetTTAModel keeps what the first view of an image says of its cost."""
    metric = orxe_mmdet.CascadeCost()
    view = {"orxe_expert_index": 0, "orxe_expert": "a", "orxe_cost": 1.0, "flip": True}
    with pytest.raises(OrxeError, match="one view of several.*CascadeTTAModel"):
        metric.process({}, [view])
    metric.process({}, [{**view, "orxe_views": 2}])
    assert metric.compute_metrics(metric.results)["cost"] == 1.0


# --- unusual input ------------------------------------------------------------------------------------


def data_sample(height: int, width: int) -> DetDataSample:
    return DetDataSample(metainfo={"ori_shape": (height, width)})


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("one row", FIRST),
        *((name, policy) for name in ("one pixel", "grey", "four channels") for policy in (FIRST, LAST)),
    ],
)
def test_unusual_images_are_answered(model: Any, bad_files: dict[str, Path], name: str, policy: Policy) -> None:
    with model.cascade.using(policy):
        found = inference_detector(model, str(bad_files[name]))
    assert torch.isfinite(found.pred_instances.bboxes).all()


def test_an_image_that_a_model_cannot_answer_is_named(model: Any, bad_files: dict[str, Path]) -> None:
    """DINO wants as many positions as it has queries."""
    with model.cascade.using(LAST), pytest.raises(OrxeError, match="dino.* made 96 x 2 pixels: .*out of range"):
        inference_detector(model, str(bad_files["one row"]))


def test_images_of_one_and_of_four_channels_may_be_packed_as_they_are(model: Any) -> None:
    pixels = torch.randint(0, 256, (4, 40, 60), dtype=torch.uint8)
    colour, four, grey = (model.predict([part], [data_sample(40, 60)])[0] for part in (pixels[:3], pixels, pixels[:1]))
    assert_same(four, colour)
    same = model.predict([pixels[:1].repeat(3, 1, 1)], [data_sample(40, 60)])[0]
    assert_same(grey, same)
    as_float = model.predict([pixels[:3].float()], [data_sample(40, 60)])[0]
    assert_same(as_float, colour)


def test_images_that_are_no_originals_are_refused(model: Any) -> None:
    with pytest.raises(OrxeError, match="an image of 60 x 40 pixels reaches the cascade as 30 x 20"):
        model.predict([torch.zeros(3, 20, 30, dtype=torch.uint8)], [data_sample(40, 60)])
    with pytest.raises(OrxeError, match="values outside of"):
        model.predict([torch.full((3, 40, 60), -1.0)], [data_sample(40, 60)])


def test_broken_files_are_mmdets_own_error(model: Any, bad_files: dict[str, Path]) -> None:
    with pytest.raises(Exception, match=r"(?i)image|decode|buffer|None"):
        inference_detector(model, str(bad_files["corrupt"]))


def test_an_image_that_an_expert_cannot_prepare_is_named(model: Any) -> None:
    with pytest.raises(OrxeError, match="cannot prepare an image of 5000 x 1 pixels"):
        model.predict([torch.zeros(3, 1, 5000, dtype=torch.uint8)], [data_sample(1, 5000)])


# --- the model --------------------------------------------------------------------------------------


def test_a_fitted_cascade_is_a_model_of_mmdet(mmdets: list[str], pictures: Any, tmp_path: Path) -> None:
    rows = (PolicyRow(0.0, FIRST, 1.0, 0.3), PolicyRow(1.0, LAST, 2.0, 0.5))
    specs = tuple(load_expert(address).spec for address in mmdets)
    write_cascade(tmp_path, CascadeFile(specs, PolicyTable(rows, reference_score=0.5), "detection"))
    model = orxe_mmdet.CascadeDetector(cascade=str(tmp_path), preference=0.0)
    image = torch.from_numpy(pictures[0]).permute(2, 0, 1)
    assert model.predict([image])[0].orxe_expert_index == 0
    model.set_preference(max_drop=0.0)
    assert model.predict([image])[0].orxe_expert_index == 1


def test_fields_of_experts_may_be_written_in_a_config(mmdets: list[str]) -> None:
    checkpoint = mmdets[0].partition("@")[2]
    fields = {"address": mmdets[0].partition("@")[0], "name": "quick", "checkpoint": checkpoint, "cost": 2.0}
    cfg = Config({"experts": [fields]})
    (expert,) = orxe_mmdet.CascadeDetector(experts=cfg.experts, exit_thresholds=[]).cascade.members
    assert (expert.name, expert.cost) == ("quick", 2.0)


def test_what_a_cascade_cannot_do_is_said(model: Any, mmdets: list[str]) -> None:
    with pytest.raises(OrxeError, match="train each expert with its own config"):
        model.loss([], [])
    with pytest.raises(OrxeError, match="mode='predict'"):
        model([torch.zeros(3, 8, 8)], mode="tensor")
    with pytest.raises(OrxeError, match="no features"):
        model.extract_feat([])
    with pytest.raises(OrxeError, match="takes no data_preprocessor"):
        orxe_mmdet.CascadeDetector(experts=mmdets, data_preprocessor={"type": "DetDataPreprocessor"})
    with pytest.raises(OrxeError, match="either experts"):
        orxe_mmdet.CascadeDetector()
    with pytest.raises(OrxeError, match="is no detector"):
        orxe_mmdet.CascadeDetector(experts=["torchvision:resnet18?weights=none"], exit_thresholds=[])
