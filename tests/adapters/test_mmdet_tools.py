"""The scripts of mmdet's wheel, run on a CascadeDetector as users run them."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from orxe_plugins import OrxeError, load_expert

orxe_mmdet = pytest.importorskip("orxe_mmdet")
import mmdet  # noqa: E402
from mmdet.apis import init_detector  # noqa: E402
from mmdet.utils import benchmark  # noqa: E402
from mmengine.config import Config  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
TOOLS = Path(mmdet.__file__).parent / ".mim" / "tools"
if not TOOLS.is_dir():
    pytest.skip("this mmdet was installed without its tools", allow_module_level=True)


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
def predictions(mmdet_config: Path, mmdet_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``tools/test.py --out`` writes, which the analysis scripts read."""
    folder = tmp_path_factory.mktemp("predictions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", "0")
        arguments = [str(mmdet_config), str(mmdet_checkpoint), "--work-dir", str(folder)]
        arguments += ["--out", str(folder / "found.pkl")]
        patch.setattr(sys, "argv", ["test.py", *arguments])
        runpy.run_path(str(TOOLS / "test.py"), run_name="__main__")
    return folder / "found.pkl"


def images_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*.png")}


def test_test_py_paints_its_answers(run: Any, mmdet_config: Path, mmdet_checkpoint: Path, tmp_path: Path) -> None:
    run("test.py", mmdet_config, mmdet_checkpoint, "--work-dir", "work", "--show-dir", "shown")
    assert images_in(tmp_path) == {f"{i}.png" for i in range(6)}


def test_test_time_augmentation_costs_all_views(
    run: Any, make_mmdet_config: Any, mmdet_pair: list[str], mmdet_checkpoint: Path, tmp_path: Path
) -> None:
    first = make_mmdet_config(0.0)
    run("test.py", first, mmdet_checkpoint, "--work-dir", "work", "--tta")
    (found,) = (tmp_path / "work").rglob("2*.json")
    metrics = json.loads(found.read_text())
    assert metrics["cascade/cost"] == pytest.approx(2 * load_expert(mmdet_pair[0]).measure_cost())
    assert metrics["coco/bbox_mAP"] > 0.02


@pytest.mark.parametrize("last", [False, pytest.param(True, marks=pytest.mark.long)])
def test_get_flops_counts_what_ran(
    run: Any, make_mmdet_config: Any, mmdet_pair: list[str], capsys: Any, last: bool
) -> None:
    run("analysis_tools/get_flops.py", make_mmdet_config(0.99 if last else 0.0), "--num-images", 1)
    (found,) = re.findall(r"Flops: ([\d.]+)G", capsys.readouterr().out)
    ran = [load_expert(address) for address in (mmdet_pair if last else mmdet_pair[:1])]
    assert float(found) == pytest.approx(sum(expert.measure_cost() for expert in ran), rel=0.02)


def test_test_robustness_py(run: Any, mmdet_config: Path, mmdet_checkpoint: Path, capsys: Any) -> None:
    options = ["--out", "found.pkl", "--work-dir", "work", "--corruptions", "gaussian_noise", "--severities", "0"]
    run("analysis_tools/test_robustness.py", mmdet_config, mmdet_checkpoint, *options)
    text = capsys.readouterr().out
    assert "Aggregated results" in text


def test_train_py_says_what_to_train_instead(run: Any, mmdet_config: Path) -> None:
    with pytest.raises(OrxeError, match="train each expert with its own config"):
        run("train.py", mmdet_config, "--work-dir", "work")


@pytest.mark.parametrize(
    ("script", "arguments", "written"),
    [
        ("confusion_matrix", ["out"], "out/confusion_matrix.png"),
        pytest.param("analyze_results", ["out", "--topk", "1"], "out/good", marks=pytest.mark.long),
    ],
)
def test_analysis_of_what_test_py_wrote(
    run: Any, mmdet_config: Path, predictions: Path, script: str, arguments: list[str], written: str
) -> None:
    run(f"analysis_tools/{script}.py", mmdet_config, predictions, *arguments)
    assert Path(written).exists()


def test_eval_metric_py_gives_the_metrics_again(run: Any, mmdet_config: Path, predictions: Path, capsys: Any) -> None:
    run("analysis_tools/eval_metric.py", mmdet_config, predictions)
    found = re.findall(r"'(coco/bbox_mAP|cascade/cost)': (?:np.float64\()?([\d.]+)", capsys.readouterr().out)
    assert {name for name, _ in found} == {"coco/bbox_mAP", "cascade/cost"}
    (written,) = predictions.parent.rglob("2*.json")
    metrics = json.loads(written.read_text())
    for name, value in found:
        assert float(value) == pytest.approx(metrics[name])


def test_browse_dataset_py(run: Any, mmdet_config: Path, tmp_path: Path) -> None:
    run("analysis_tools/browse_dataset.py", mmdet_config, "--output-dir", "out", "--not-show")
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


@pytest.mark.parametrize("task", ["dataloader", pytest.param("dataset", marks=pytest.mark.long)])
def test_benchmark_py_of_the_data(run: Any, mmdet_config: Path, task: str, speeds: list[float]) -> None:
    run("analysis_tools/benchmark.py", mmdet_config, "--task", task, *BRIEF)
    assert len(speeds) == 1 and speeds[0] > 0


@pytest.mark.parametrize("fuse", [["--fuse-conv-bn"], pytest.param([], marks=pytest.mark.long)])
def test_benchmark_py_of_inference(
    run: Any, mmdet_config: Path, mmdet_checkpoint: Path, monkeypatch: Any, speeds: list[float], fuse: list[str]
) -> None:
    """The script itself demands a GPU; without one, its calls of CUDA do nothing here."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
        monkeypatch.setattr("mmengine.model.BaseModel.cuda", lambda model: model)
        monkeypatch.setattr(benchmark, "get_max_cuda_memory", lambda: 0)
    run(
        "analysis_tools/benchmark.py",
        mmdet_config,
        "--checkpoint",
        mmdet_checkpoint,
        "--task",
        "inference",
        *BRIEF,
        *fuse,
    )
    assert len(speeds) == 1 and speeds[0] > 0


def test_the_handler_of_torchserve(
    run: Any, mmdet_config: Path, mmdet_checkpoint: Path, picture_files: list[Path], monkeypatch: Any
) -> None:
    """mmdet2torchserve.py packs it with the config and the checkpoint; the server is not needed to call it."""
    base = ModuleType("ts.torch_handler.base_handler")
    base.BaseHandler = object  # type: ignore[attr-defined]
    for name, module in (("ts", ModuleType("ts")), ("ts.torch_handler", ModuleType("ts.torch_handler"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "ts.torch_handler.base_handler", base)
    if not torch.cuda.is_available():
        # It gives the device in the palette's place, so that every detector goes to the first GPU.
        on_cpu = partial(init_detector, device="cpu")
        monkeypatch.setattr("mmdet.apis.init_detector", lambda config, checkpoint, _: on_cpu(config, checkpoint))
    handler = runpy.run_path(str(TOOLS / "deployment" / "mmdet_handler.py"))["MMdetHandler"]()
    Config.fromfile(str(mmdet_config)).dump("config.py")
    shutil.copy(mmdet_checkpoint, "cascade.pth")
    manifest = {"model": {"serializedFile": "cascade.pth"}}
    handler.initialize(SimpleNamespace(system_properties={"model_dir": "."}, manifest=manifest))
    handler.threshold = 0.0
    images = handler.preprocess([{"data": file.read_bytes()} for file in picture_files[:2]])
    answers = json.loads(json.dumps(handler.postprocess(handler.inference(images))))
    assert [len(found) > 0 for found in answers] == [True, True]
    assert {box["class_name"] for found in answers for box in found} <= {"cat", "dog", "bird"}


def test_publish_model_py_keeps_the_classes(
    run: Any, mmdet_checkpoint: Path, mmdet_config: Path, tmp_path: Path
) -> None:
    run("model_converters/publish_model.py", mmdet_checkpoint, "published.pth")
    published: list[Path] = []
    for _ in range(1000):  # the script does not wait for its renaming
        published = published or list(tmp_path.glob("published-*.pth"))
        time.sleep(0 if published else 0.01)
    model = init_detector(str(mmdet_config), str(published[0]), device="cpu")
    assert model.dataset_meta["classes"] == ("cat", "dog", "bird")
