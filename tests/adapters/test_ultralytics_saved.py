"""Files of CascadeYOLO.save: what they hold, and where they can be read."""

from __future__ import annotations

import io
import os
import pickletools
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import orxe_plugins
from orxe_plugins import Cascade, OrxeError, Policy, PolicyRow, PolicyTable, load_expert
from orxe_plugins.confidence.gate import GateNet, RankingGate, gate_inputs, save_gate
from orxe_plugins.detection.calibration import PlattCalibration
from orxe_plugins.experts import packing
from orxe_plugins.experts.batch_context import BatchContext

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics import YOLO  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402

from orxe_ultralytics.packing import pack_expert  # noqa: E402

CascadeYOLO = orxe_ultralytics.CascadeYOLO
Make = Callable[..., Path]


def globals_in(data: bytes) -> set[str]:
    """The names that a file of torch.save imports when it is read."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        operations = list(pickletools.genops(archive.read(name)))
    texts = [argument for operation, argument, _ in operations if "UNICODE" in operation.name]
    found = {argument.replace(" ", ".") for operation, argument, _ in operations if operation.name == "GLOBAL"}
    assert not [operation for operation, _, _ in operations if operation.name == "STACK_GLOBAL"], texts
    return found


def boxes_of(model: Any, pictures: list[np.ndarray], **options: Any) -> list[tuple[torch.Tensor, int, float]]:
    """Boxes, expert and confidence of each picture; conf is low, so that there are many boxes."""
    results = [model.predict(picture, conf=0.01, verbose=False, **options)[0] for picture in pictures]
    return [(result.boxes.data, result.orxe_expert, result.orxe_route.confidence) for result in results]


def assert_equal(found: Any, expected: Any) -> None:
    """To the bit."""
    assert len(found) == len(expected)
    for (boxes, *route), (expected_boxes, *expected_route) in zip(found, expected, strict=True):
        assert torch.equal(boxes, expected_boxes)
        assert route == expected_route


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory, make_yolo: Make) -> list[Path]:
    """Two YOLO files that no other test needs."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    return [make_yolo(folder / f"{name}.pt", f"{name}.yaml") for name in ("yolov8n", "yolov10n")]


# --- what a file holds ------------------------------------------------------------------------------


def test_a_file_names_one_function_of_this_project(yolos: list[str], tmp_path: Path) -> None:
    CascadeYOLO(experts=yolos, exit_thresholds=[0.2]).save(tmp_path / "x.pt")
    names = globals_in((tmp_path / "x.pt").read_bytes())
    assert {name for name in names if name.startswith("orxe")} == {"orxe_ultralytics.restore_cascade"}
    assert not {name for name in names if name.startswith("ultralytics")}


def test_a_file_needs_none_of_the_experts_files(own_files: list[Path], pictures: Any, tmp_path: Path) -> None:
    moved = [file.rename(tmp_path / file.name) for file in own_files]
    model = CascadeYOLO(experts=[f"{file}?imgsz=64" for file in moved], exit_thresholds=[0.3])
    expected = boxes_of(model, pictures)
    model.save(tmp_path / "x.pt")
    for file, place in zip(moved, own_files, strict=True):
        file.rename(place)
    loaded = CascadeYOLO(tmp_path / "x.pt")
    assert_equal(boxes_of(loaded, pictures), expected)
    loaded.save(tmp_path / "y.pt")  # and a loaded one can be saved again
    assert_equal(boxes_of(YOLO(tmp_path / "y.pt"), pictures), expected)


@pytest.mark.parametrize(
    ("config", "fuse", "end2end"),
    [
        ("yolov8n.yaml", False, False),
        ("yolov9t.yaml", True, False),
        ("yolo11n.yaml", True, False),
        ("yolov10n.yaml", True, True),
        ("yolo26n.yaml", True, False),
        ("yolo26n.yaml", False, True),
    ],
)
def test_models_are_built_of_their_yaml_and_weights(tmp_path: Path, config: str, fuse: bool, end2end: bool) -> None:
    model = DetectionModel(config, nc=3, verbose=False).eval()
    model.end2end = end2end
    expert = load_expert(f"ultralytics:{save_yolo(model, tmp_path)}?imgsz=64&fuse={fuse}")
    packed = pack_expert(expert)
    assert packed["model"]["fused"] == fuse
    packing.plain(packed, "the expert")
    model = CascadeYOLO(Cascade([expert], Policy(())))
    model.save(tmp_path / "x.pt")
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    loaded = YOLO(tmp_path / "x.pt")
    assert loaded.model.is_fused() == fuse
    assert_equal(boxes_of(loaded, [picture]), boxes_of(model, [picture]))


def save_yolo(model: DetectionModel, folder: Path) -> Path:
    model.names = {0: "cat", 1: "dog", 2: "bird"}
    model.args = {"imgsz": 64, "task": "detect"}
    torch.save({"model": model, "train_args": dict(model.args)}, folder / "model.pt")
    return folder / "model.pt"


def test_rt_detr_is_saved_too(tmp_path: Path, pictures: Any) -> None:
    expert = load_expert("ultralytics:rtdetr-l.yaml?imgsz=320&cost=1.0")
    model = CascadeYOLO(Cascade([expert], Policy(())))
    expected = boxes_of(model, pictures[:1])
    model.save(tmp_path / "x.pt")
    assert len(expected[0][0]) > 10
    assert_equal(boxes_of(CascadeYOLO(tmp_path / "x.pt"), pictures[:1]), expected)


def test_a_model_that_its_yaml_does_not_describe_is_kept_as_ultralytics_keeps_it(
    tmp_path: Path, pictures: Any, make_yolo: Make
) -> None:
    """A pruned model, for one."""
    model = torch.load(make_yolo(tmp_path / "a.pt", "yolov8n.yaml"), weights_only=False)["model"]
    model.model[1].act = nn.ReLU()
    expert = load_expert(f"ultralytics:{save_yolo(model, tmp_path)}?imgsz=64")
    packed = pack_expert(expert)
    assert "model" not in packed
    assert not {name for name in globals_in(packed["module"]) if name.startswith("orxe")}
    cascade = CascadeYOLO(Cascade([expert], Policy(())))
    cascade.save(tmp_path / "x.pt")
    assert_equal(boxes_of(CascadeYOLO(tmp_path / "x.pt"), pictures), boxes_of(cascade, pictures))


def test_all_that_a_cascade_knows_is_kept(yolos: list[str], make_yolo: Make, pictures: Any, tmp_path: Path) -> None:
    other = make_yolo(tmp_path / "other.pt", "yolo11n.yaml", ("Bird", "puppy", "cat", "cow"))
    first, last = load_expert(f"{yolos[0]}&conf=0.01&max_det=20"), load_expert(f"ultralytics:{other}?imgsz=96")
    gate = save_a_gate(first, pictures, tmp_path / "gate.safetensors")
    first.confidence, last.calibration, first.cost = RankingGate(gate), PlattCalibration(0.9, 0.1), 0.5
    rows = (PolicyRow(0.0, Policy((0.0,)), 1.0, 0.3), PolicyRow(1.0, Policy((None,)), 2.0, 0.5))
    last.remap = {"puppy": "dog"}
    cascade = Cascade([first, last], Policy((0.4,)), PolicyTable(rows, "GMACs", 2.0, 0.5), remap={"cow": None})
    model = CascadeYOLO(cascade)
    model.save(tmp_path / "x.pt")
    gate.unlink()
    loaded = CascadeYOLO(tmp_path / "x.pt")
    for policy in (Policy((0.4,)), Policy((None,))):
        assert_equal(boxes_of(loaded, pictures), boxes_of(model, pictures))
        model.policy = loaded.policy = policy
    assert loaded.model.names == {0: "cat", 1: "dog", 2: "bird"}
    assert loaded.cascade.table == cascade.table
    for one, expected in zip(loaded.cascade.members, cascade.members, strict=True):
        assert (one.name, one.names, one.cost) == (expected.name, expected.names, expected.cost)
        assert one.spec == packing.current_spec(expected)
    assert loaded.set_preference(0.0) == Policy((0.0,))
    changed = CascadeYOLO(tmp_path / "x.pt", exit_thresholds=[None])
    assert changed.policy == Policy((None,))


def save_a_gate(expert: Any, pictures: Any, file: Path) -> Path:
    context = BatchContext.of(pictures)
    with expert.tap_features(context, always=True) as tap:
        outputs = expert.run(pictures, context).outputs
        width = gate_inputs(outputs, tap.features(len(outputs)), "boxes").shape[1]
    torch.manual_seed(0)
    save_gate(GateNet(width, 4), "boxes", file)
    return file


def test_half_precision_is_kept_in_the_file(yolos: list[str], pictures: Any, tmp_path: Path) -> None:
    model = CascadeYOLO(experts=yolos, exit_thresholds=[0.2])
    model.model.half()
    model.save(tmp_path / "x.pt")
    content = torch.load(tmp_path / "x.pt", weights_only=False)["model"]
    assert {p.dtype for p in content.parameters()} == {torch.float16}
    model.model.float()
    assert_equal(boxes_of(YOLO(tmp_path / "x.pt"), pictures), boxes_of(model, pictures))


def test_random_numbers_go_on_as_if_nothing_was_saved(yolos: list[str], tmp_path: Path) -> None:
    model = CascadeYOLO(experts=yolos, exit_thresholds=[0.2])
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    model.save(tmp_path / "x.pt")
    CascadeYOLO(tmp_path / "x.pt")
    assert torch.equal(torch.rand(3), expected)


# --- what cannot be saved, or read ----------------------------------------------------------------------


def test_what_cannot_be_built_again_is_not_saved(yolos: list[str], tmp_path: Path) -> None:
    first, by_hand = load_expert(yolos[0]), load_expert(yolos[1])
    by_hand.spec = None
    with pytest.raises(OrxeError, match=r"DetectionModel by hand.*load_expert\('adapter:NAME'"):
        CascadeYOLO(Cascade([first, by_hand], Policy((0.2,)))).save(tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()


def test_an_adapter_that_packs_no_experts_is_named() -> None:
    pytest.importorskip("orxe_timm")
    with pytest.raises(OrxeError, match="adapter 'timm' offers no pack_expert"):
        packing.pack_expert(load_expert("timm:test_resnet?pretrained=false"))


def test_a_changed_expert_of_torchvision_is_not_saved(yolos: list[str], tmp_path: Path) -> None:
    pytest.importorskip("orxe_torchvision")
    last = load_expert("torchvision:ssdlite320_mobilenet_v3_large?weights=none&classes=[cat,dog,bird]")
    last.module.head.classification_head.extra = nn.Linear(2, 2)
    with pytest.raises(OrxeError, match=r"cannot be saved.*changed after it was loaded"):
        CascadeYOLO(Cascade([load_expert(yolos[0]), last], Policy((0.2,)))).save(tmp_path / "x.pt")


def test_files_of_later_releases_say_so(yolos: list[str]) -> None:
    content = {"format": 99, "orxe_plugins": "9.9", "experts": []}
    with pytest.raises(OrxeError, match=r"orxe-plugins 9\.9 in format 99.*pip install -U"):
        orxe_ultralytics.restore_cascade(content)


def test_a_missing_framework_is_no_module_that_ultralytics_would_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(packed: Any) -> Any:
        raise ModuleNotFoundError("No module named 'mmdet'", name="mmdet")

    monkeypatch.setattr("orxe_ultralytics.saved.unpack_expert", missing)
    with pytest.raises(OrxeError, match="framework is not installed"):
        orxe_ultralytics.restore_cascade({"format": 1, "experts": [{}]})


# --- other frameworks --------------------------------------------------------------------------------


def test_torchvision_experts_with_frozen_norms(yolos: list[str], pictures: Any, tmp_path: Path) -> None:
    """As pretrained weights have them, whose epsilon is another one too."""
    pytest.importorskip("orxe_torchvision")
    last = load_expert(
        "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn?weights=none&classes=[cat,dog,bird]&min_size=64&max_size=96"
    )
    from orxe_torchvision.detection import freeze

    norms = [path for path, part in last.module.named_modules() if type(part) is nn.BatchNorm2d]
    freeze(last.module, dict.fromkeys(norms, 0.25))
    last.cost = 1.0
    model = CascadeYOLO(Cascade([load_expert(yolos[0]), last], Policy((None,))))
    expected = boxes_of(model, pictures[:2])
    assert all(len(boxes) for boxes, _, _ in expected)
    model.save(tmp_path / "x.pt")
    assert_equal(boxes_of(CascadeYOLO(tmp_path / "x.pt"), pictures[:2]), expected)


#: Ultralytics installs what an unpickled file names; in this process that is a failure
IN_A_NEW_PROCESS = """
import sys
import numpy as np, torch
import ultralytics.nn.tasks as tasks

def install(*args, **kwargs):
    raise SystemExit(f"Ultralytics wants to install {args}")

tasks.check_requirements = install
from ultralytics import YOLO
model = YOLO(sys.argv[1])
pictures = np.load(sys.argv[2])
print(type(model).__name__, type(model.cascade.members[-1].module).__name__)
found = [model.predict(pictures[name], conf=0.01, verbose=False)[0].boxes.data for name in sorted(pictures)]
torch.save(found, sys.argv[3])
"""


def in_a_new_process(file: Path, pictures: list[np.ndarray], folder: Path) -> subprocess.CompletedProcess[str]:
    """Load a file and predict in a fresh process whose working directory is ``folder``; boxes go to found.pt."""
    folder.mkdir()
    np.savez(folder / "pictures.npz", *pictures)
    command = [sys.executable, "-W", "ignore", "-c", IN_A_NEW_PROCESS, str(file), "pictures.npz", "found.pt"]
    root = Path(orxe_plugins.__file__).parents[1]
    path = os.pathsep.join([str(root), str(root / "adapters"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "YOLO_AUTOINSTALL": "true"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def checkout(mmdets: list[str], tmp_path: Path) -> tuple[Path, str]:
    """A stand-in for a checkout of mmdetection with a project as Co-DETR's, and the address of a detector of it."""
    project = tmp_path / "mmdetection" / "projects" / "Stand-In"
    (project / "configs").mkdir(parents=True)
    (project / "quick").mkdir()
    (project / "quick" / "__init__.py").write_text(
        "from mmdet.models import RTMDet\nfrom mmdet.registry import MODELS\n\n"
        "@MODELS.register_module(force=True)\nclass StandInDet(RTMDet):\n    pass\n"
    )
    config, _, weights = mmdets[0].removeprefix("mmdet:").partition("@")
    text = Path(config).read_text().replace("type='RTMDet'", "type='StandInDet'")
    imports = "custom_imports = dict(imports=['projects.Stand-In.quick'], allow_failed_imports=False)\n"
    (project / "configs" / "quick.py").write_text(imports + text)
    return tmp_path / "mmdetection", f"mmdet:projects/Stand-In/configs/quick.py@{weights}"


@pytest.mark.long
def test_a_project_of_mmdetection_in_a_new_process(
    yolos: list[str], checkout: tuple[Path, str], pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder, address = checkout
    last = load_expert(f"{address}?repo={folder}")
    model = CascadeYOLO(Cascade([load_expert(yolos[0]), last], Policy((None,))))
    model.save(tmp_path / "x.pt")
    expected = boxes_of(model, pictures[:3])
    assert all(len(boxes) for boxes, _, _ in expected)

    done = in_a_new_process(tmp_path / "x.pt", pictures[:3], tmp_path / "elsewhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CascadeYOLO StandInDet" in done.stdout
    found = torch.load(tmp_path / "elsewhere" / "found.pt")
    for boxes, (expected_boxes, *_) in zip(found, expected, strict=True):
        torch.testing.assert_close(boxes, expected_boxes, rtol=0, atol=1e-4)

    folder.rename(tmp_path / "moved")
    done = in_a_new_process(tmp_path / "x.pt", pictures[:3], tmp_path / "again")
    assert done.returncode == 1
    assert "wants to install" not in done.stdout + done.stderr
    assert f"it was in the mmdetection checkout {str(folder)!r}" in done.stderr


# --- files of 0.1.0 ----------------------------------------------------------------------------------------


def old_file(experts: list[Any], policy: Policy, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as 0.1.0 wrote them: the whole module tree, with classes under the names that they had then."""
    from orxe_ultralytics import cascade_model, suppression, yolo

    names = {
        cascade_model.CascadeModel: "orxe_ultralytics.module",
        Cascade: "orxe_plugins.cascade",
        Policy: "orxe_plugins.thresholds",
        type(experts[0].spec): "orxe_plugins.registry",
        type(experts[0].feature_layer): "orxe_plugins.expert",
        PlattCalibration: "orxe_plugins.calibration",
        yolo.YoloExpert: "orxe_ultralytics.yolo",
        suppression.DetectSettings: "orxe_ultralytics.suppression",
    }
    with monkeypatch.context() as patch:
        for kind, module in names.items():
            stand_in = type(sys)(module)
            setattr(stand_in, kind.__name__, kind)
            patch.setitem(sys.modules, module, stand_in)
            patch.setattr(kind, "__module__", module)
        for expert in experts:
            expert._answer_names = expert.names  # an attribute of that release
        model = cascade_model.CascadeModel(Cascade(experts, policy))
        torch.save({"model": model, "train_args": dict(model.args)}, file)


@pytest.mark.parametrize("load", [YOLO, CascadeYOLO])
def test_files_of_the_first_release(
    yolos: list[str], pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Any
) -> None:
    experts = [load_expert(address) for address in yolos]
    experts[1].calibration = PlattCalibration(0.9, 0.1)
    expected = boxes_of(CascadeYOLO(Cascade(experts, Policy((0.3,)))), pictures)
    old_file(experts, Policy((0.3,)), tmp_path / "old.pt", monkeypatch)
    assert "orxe_plugins.thresholds.Policy" in globals_in((tmp_path / "old.pt").read_bytes())
    old = load(tmp_path / "old.pt")
    assert type(old) is CascadeYOLO
    assert_equal(boxes_of(old, pictures), expected)
    old.save(tmp_path / "new.pt")
    assert "orxe_plugins.thresholds.Policy" not in globals_in((tmp_path / "new.pt").read_bytes())
    assert_equal(boxes_of(load(tmp_path / "new.pt"), pictures), expected)
