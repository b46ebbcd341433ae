"""The scripts of mmdet's wheel, run on a CascadeDetector as users run them."""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orxe_plugins import OrxeError, load_expert

orxe_mmdet = pytest.importorskip("orxe_mmdet")
import mmdet  # noqa: E402
from mmdet.apis import init_detector  # noqa: E402
from mmdet.utils import benchmark  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
TOOLS = Path(mmdet.__file__).parent / ".mim" / "tools"
if not TOOLS.is_dir():
    pytest.skip("this mmdet was installed without its tools", allow_module_level=True)

#: all that some script of mmdet reads
CONFIG = """
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
test_evaluator = [dict(type="CocoMetric", ann_file={root!r} + "/instances.json", metric="bbox"), dict(type="CascadeCost")]
test_cfg = dict(type="TestLoop")
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type="ValLoop")
train_dataloader = test_dataloader
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01))
tta_model = dict(type="CascadeTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=20))
"""


@pytest.fixture(scope="module")
def experts(mmdets: list[str]) -> list[str]:
    """A small detector before itself at twice the size."""
    larger = "cfg_options={test_dataloader.dataset.pipeline.1.scale: [192, 192]"
    larger += ", test_dataloader.dataset.pipeline.2.size: [192, 192]}"
    return [mmdets[0], f"{mmdets[0]}?{larger}"]


@pytest.fixture(scope="module")
def data(experts: list[str], make_coco: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco(tmp_path_factory.mktemp("coco") / "data", [load_expert(experts[0])])


@pytest.fixture(scope="module")
def make_config(experts: list[str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the config of a cascade: ``make_config(exit_threshold)``."""

    def write(threshold: float | None) -> Path:
        path = tmp_path_factory.mktemp("config") / "cascade.py"
        path.write_text(CONFIG.format(experts=experts, threshold=threshold, root=str(data)))
        return path

    return write


@pytest.fixture(scope="module")
def config(make_config: Callable[..., Path]) -> Path:
    return make_config(0.5)


@pytest.fixture(scope="module")
def checkpoint(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "cascade.pth"
    return init_detector(str(config), device="cpu").save_checkpoint(path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs a script of mmdet in this process, in an empty folder: ``run(script, *arguments)``."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    # test_robustness.py imports another script as if from a checkout of mmdetection.
    monkeypatch.syspath_prepend(str(TOOLS.parent))
    monkeypatch.chdir(tmp_path)

    def call(script: str, *arguments: Any) -> None:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(TOOLS / script), run_name="__main__")

    return call


@pytest.fixture(scope="module")
def predictions(config: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``tools/test.py --out`` writes, which the analysis scripts read."""
    folder = tmp_path_factory.mktemp("predictions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", "0")
        arguments = [str(config), str(checkpoint), "--work-dir", str(folder), "--out", str(folder / "found.pkl")]
        patch.setattr(sys, "argv", ["test.py", *arguments])
        runpy.run_path(str(TOOLS / "test.py"), run_name="__main__")
    return folder / "found.pkl"


def images_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*.png")}


def test_test_py_paints_its_answers(run: Any, config: Path, checkpoint: Path, tmp_path: Path) -> None:
    run("test.py", config, checkpoint, "--work-dir", "work", "--show-dir", "shown")
    assert images_in(tmp_path) == {f"{i}.png" for i in range(6)}


def test_test_time_augmentation_costs_all_views(
    run: Any, make_config: Any, experts: list[str], checkpoint: Path, tmp_path: Path
) -> None:
    first = make_config(0.0)
    run("test.py", first, checkpoint, "--work-dir", "work", "--tta")
    (found,) = (tmp_path / "work").rglob("2*.json")
    metrics = json.loads(found.read_text())
    assert metrics["cascade/cost"] == pytest.approx(2 * load_expert(experts[0]).measure_cost())
    assert metrics["coco/bbox_mAP"] > 0.02
    with pytest.raises(OrxeError, match="one view of several.*CascadeTTAModel"):
        run("test.py", first, checkpoint, "--tta", "--cfg-options", "tta_model.type=DetTTAModel")


@pytest.mark.parametrize("last", [False, True])
def test_get_flops_counts_what_ran(run: Any, make_config: Any, experts: list[str], capsys: Any, last: bool) -> None:
    run("analysis_tools/get_flops.py", make_config(0.99 if last else 0.0), "--num-images", 2)
    (found,) = re.findall(r"Flops: ([\d.]+)G", capsys.readouterr().out)
    ran = [load_expert(address) for address in (experts if last else experts[:1])]
    assert float(found) == pytest.approx(sum(expert.measure_cost() for expert in ran), rel=0.02)


def test_test_robustness_py(run: Any, config: Path, checkpoint: Path, capsys: Any) -> None:
    options = ["--out", "found.pkl", "--work-dir", "work", "--corruptions", "gaussian_noise", "--severities", "0"]
    run("analysis_tools/test_robustness.py", config, checkpoint, *options)
    text = capsys.readouterr().out
    assert "Aggregated results" in text


def test_train_py_says_what_to_train_instead(run: Any, config: Path) -> None:
    with pytest.raises(OrxeError, match="train each expert with its own config"):
        run("train.py", config, "--work-dir", "work")


@pytest.mark.parametrize(
    ("script", "arguments", "written"),
    [
        ("confusion_matrix", ["out"], "out/confusion_matrix.png"),
        ("analyze_results", ["out", "--topk", "1"], "out/good"),
    ],
)
def test_analysis_of_what_test_py_wrote(
    run: Any, config: Path, predictions: Path, script: str, arguments: list[str], written: str
) -> None:
    run(f"analysis_tools/{script}.py", config, predictions, *arguments)
    assert Path(written).exists()


def test_eval_metric_py_gives_the_metrics_again(run: Any, config: Path, predictions: Path, capsys: Any) -> None:
    run("analysis_tools/eval_metric.py", config, predictions)
    found = re.findall(r"'(coco/bbox_mAP|cascade/cost)': (?:np.float64\()?([\d.]+)", capsys.readouterr().out)
    assert {name for name, _ in found} == {"coco/bbox_mAP", "cascade/cost"}
    (written,) = predictions.parent.rglob("2*.json")
    metrics = json.loads(written.read_text())
    for name, value in found:
        assert float(value) == pytest.approx(metrics[name])


def test_browse_dataset_py(run: Any, config: Path, tmp_path: Path) -> None:
    run("analysis_tools/browse_dataset.py", config, "--output-dir", "out", "--not-show")
    assert len(images_in(tmp_path / "out")) == 6


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Images per second that mmdet's benchmarks come to."""
    found: list[float] = []
    plain = benchmark.BaseBenchmark.run

    def noted(self: Any, repeat_num: int = 1) -> Any:
        results = plain(self, repeat_num)
        found.append(results["avg_fps"])
        return results

    monkeypatch.setattr(benchmark.BaseBenchmark, "run", noted)
    return found


BRIEF = ["--num-warmup", 0, "--max-iter", 4, "--log-interval", 2]


@pytest.mark.parametrize("task", ["dataloader", "dataset"])
def test_benchmark_py_of_the_data(run: Any, config: Path, task: str, speeds: list[float]) -> None:
    run("analysis_tools/benchmark.py", config, "--task", task, *BRIEF)
    assert len(speeds) == 1 and speeds[0] > 0


@pytest.mark.parametrize("fuse", [[], ["--fuse-conv-bn"]])
def test_benchmark_py_of_inference(
    run: Any, config: Path, checkpoint: Path, monkeypatch: Any, speeds: list[float], fuse: list[str]
) -> None:
    """The script itself demands a GPU; without one, its calls of CUDA do nothing here."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
        monkeypatch.setattr("mmengine.model.BaseModel.cuda", lambda model: model)
        monkeypatch.setattr(benchmark, "get_max_cuda_memory", lambda: 0)
    run("analysis_tools/benchmark.py", config, "--checkpoint", checkpoint, "--task", "inference", *BRIEF, *fuse)
    assert len(speeds) == 1 and speeds[0] > 0


def test_publish_model_py_keeps_the_classes(run: Any, checkpoint: Path, config: Path, tmp_path: Path) -> None:
    run("model_converters/publish_model.py", checkpoint, "published.pth")
    for _ in range(100):  # the script does not wait for its renaming
        published = list(tmp_path.glob("published-*.pth"))
        if published:
            break
    model = init_detector(str(config), str(published[0]), device="cpu")
    assert model.dataset_meta["classes"] == ("cat", "dog", "bird")
