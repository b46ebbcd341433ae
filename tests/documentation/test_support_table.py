"""README.md's tables hold: tests show what a framework can do with a task, files what is saved."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from orxe_plugins import Cascade, Policy, load_expert, save_cascade

ACTIVITIES = ("train", "evaluate", "predict", "serve")
_PREDICT = "cli/test_predict.py::test_classes_are_named_and_every_line_says_who_answered"
_BOXES = "cli/test_predict.py::test_detections_are_boxes_with_names"
_SERVE = "serving/test_server.py::test_one_image_and_several_are_answered_as_by_a_direct_call"
_SERVE_BOXES = "documentation/test_support_table.py::test_detectors_are_served"
_OWN = "tasks/test_own_task.py::test_the_example_runs_as_a_recipes_plugin"
#: framework and task -> the tests that show each activity
SHOWN: dict[tuple[str, str], tuple[str, str, str, str]] = {
    ("timm", "classification"): (
        "adapters/test_timm_metamodel.py::test_training_reaches_every_parameter",
        "adapters/test_timm_scripts.py::test_timms_loop_says_what_the_recorders_path_says",
        _PREDICT,
        _SERVE,
    ),
    ("torchvision", "classification"): (
        "adapters/test_torchvision_metamodel.py::test_train_mode_reaches_every_parameter",
        "adapters/test_torchvision_references.py::test_train_and_test_only_of_the_classification_script",
        "adapters/test_torchvision_metamodel.py::test_in_between_each_image_has_the_answer_of_one_expert",
        _SERVE,
    ),
    ("torchvision", "detection"): (
        "adapters/test_torchvision_detection.py::test_train_mode_gives_the_losses_of_every_expert",
        "adapters/test_torchvision_references.py::test_train_and_test_only_of_the_detection_script",
        "adapters/test_torchvision_detection.py::test_in_between_each_image_has_the_answer_of_one_expert",
        _SERVE_BOXES,
    ),
    ("Ultralytics", "detection"): (
        "adapters/test_ultralytics_front.py::test_what_a_cascade_cannot_do_is_said",
        "adapters/test_ultralytics_front.py::test_both_ends_score_as_the_models_alone",
        "adapters/test_ultralytics_front.py::test_the_yolo_command_runs_a_saved_cascade",
        _SERVE_BOXES,
    ),
    ("MMDetection", "detection"): (
        "adapters/test_mmdet_tools.py::test_train_py_says_what_to_train_instead",
        "adapters/test_mmdet_front.py::test_the_test_script_of_mmdet",
        "adapters/test_mmdet_front.py::test_det_inferencer_on_paths_and_arrays",
        "adapters/test_mmdet_tools.py::test_the_handler_of_torchserve",
    ),
    ("any of them", "your own task"): (_OWN, _OWN, _OWN, _SERVE),
}


def rows(root: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """The support table: framework and task -> what it says of each activity."""
    text = (root / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^\| framework \| task \| (.*?) \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found is not None and tuple(found[1].split(" | ")) == ACTIVITIES
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[2].splitlines()]
    return {(row[0], row[1]): tuple(row[2:]) for row in cells}


def test_every_cell_is_shown_by_a_test(root: Path) -> None:
    table = rows(root)
    assert set(table) == set(SHOWN)
    for key, cells in table.items():
        for activity, cell, shown in zip(ACTIVITIES, cells, SHOWN[key], strict=True):
            wanted = {"all experts at once", "each expert alone"} if activity == "train" else {"yes"}
            assert cell in wanted, (key, activity)
            file, name = shown.split("::")
            assert f"def {name}(" in (root / "tests" / file).read_text(encoding="utf-8"), shown


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)) for _ in range(2)]


@pytest.mark.parametrize("framework", ["ultralytics", "torchvision"])
def test_detectors_are_served(
    framework: str, images: list[Image.Image], make_yolo: Callable[..., Path], tmp_path: Path
) -> None:
    from orxe_plugins.serving import Answering, ServeOptions
    from orxe_plugins.serving.loading import load_served

    pytest.importorskip(framework)
    if framework == "ultralytics":
        address = f"ultralytics:{make_yolo(tmp_path / 'small.pt', 'yolov8n.yaml')}?imgsz=64"
    else:
        options = "weights=None&score_thresh=0.0&detections_per_img=3"
        drawn = load_expert(f"torchvision:ssdlite320_mobilenet_v3_large?{options}").module
        save_file(drawn.state_dict(), tmp_path / "drawn.safetensors")
        address = f"torchvision:ssdlite320_mobilenet_v3_large?{options}&checkpoint={tmp_path / 'drawn.safetensors'}"
    small, large = load_expert(address), load_expert(address)
    small.name, large.name = "small", "large"
    save_cascade(Cascade([small, large], Policy((0.0,))), tmp_path / "cascade")
    answering = Answering.of(load_served(tmp_path / "cascade", ServeOptions(trust=True)))
    answers = answering.told(*answering.route(images))
    assert [answer["expert"] for answer in answers] == ["small", "small"]
    for answer in answers:
        assert answer["objects"] and {"name", "label", "score", "box"} <= set(answer["objects"][0])


@pytest.fixture(scope="module")
def savings(root: Path) -> Any:
    """``docs/make_savings.py``."""
    sys.path.insert(0, str(root / "docs"))
    import make_savings

    yield make_savings
    sys.path.remove(str(root / "docs"))


def test_what_is_saved_is_what_the_files_say(root: Path, savings: Any) -> None:
    """After a benchmark was run again: ``python docs/make_savings.py``."""
    assert savings.table() in (root / "README.md").read_text(encoding="utf-8")


def test_a_benchmark_on_an_accelerator_has_its_rows(savings: Any) -> None:
    rates = {"small": 4000.0, "large": 1000.0, "cascade": 2000.0}
    found = {
        "experts": ["small", "large"],
        "rows": [{"batch": 64, "images_per_second": rates, "against_last": {"value": 2.0, "low": 1.9, "high": 2.1}}],
        "stream": {"batch": 64, "images_per_second": 4000.0, "against_last": {"value": 4.0, "low": 3.9, "high": 4.1}},
    }
    pool = {"experts": ["small", "large"], "dtype": "fp16", "backends": {"graphs": found, "eager": {"rows": []}}}
    batches, stream = savings.gpu_rows({"pools": [pool, {"dtype": "fp32", "backends": {}}]})
    assert "large and 1 cheaper ones, fp16, batches of 64, ms | 1 | 0.5 | 2.00 x" in batches
    assert "large and 1 cheaper ones, fp16, as a stream, ms | 1 | 0.25 | 4.00 x" in stream
    assert savings.machine_of({"machine": "NVIDIA X", "device": "cuda", "threads": 2}) == "NVIDIA X"


def test_the_film_strip_shows_the_surest_and_the_least_sure(root: Path, savings: Any) -> None:
    import make_filmstrip

    from orxe_plugins import Records, replay

    confidence = np.stack([np.linspace(0, 1, 50), np.ones(50)])
    outcome = replay(Records.from_arrays(["a", "b"], [1, 2], confidence, confidence > 0.5), Policy((0.5,)))
    first = make_filmstrip.picked(outcome, 0, count=5)
    assert len(first) == 5 and first[0] == 49 and first[-1] == np.flatnonzero(confidence[0] >= 0.5)[0]
    assert len(make_filmstrip.picked(outcome, 1, count=100)) == int((confidence[0] < 0.5).sum())
    assert (root / "docs" / "figures" / "filmstrip.png").is_file()
