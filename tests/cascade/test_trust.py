"""What a file names runs no code and fetches nothing unless the caller says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from orxe_plugins import OrxeError, load_cascade, load_expert, trusting
from orxe_plugins.cascade.build import build_cascade
from orxe_plugins.cascade.file import CascadeFile, cascade_of, read_cascade, write_cascade
from orxe_plugins.cascade.save import save_cascade
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.run.experts_file import read_experts_file


class _Payload:
    """Makes a folder when it is unpickled: what an attacker's code would do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(autouse=True)
def _nothing_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORXE_TRUSTED", str(tmp_path / "trusted"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "code-was-run"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def describe(folder: Path, *experts: dict[str, Any], task: str = "classification") -> Path:
    """A folder with a cascade.json, as a stranger would write it."""
    row = PolicyRow(0.5, Policy((0.5,) * (len(experts) - 1)), cost=1.0, score=0.5)
    content = {
        "schema_version": 1,
        "task": task,
        "path": "originals",
        "experts": list(experts),
        "input_view": None,
        "table": PolicyTable((row,)).to_dict(),
    }
    (folder / "cascade.json").write_text(json.dumps(content))
    return folder


def evil_pickle(path: Path, marker: Path) -> Path:
    torch.save({"model": _Payload(marker), "state_dict": _Payload(marker)}, path)
    return path


TIMM = {"address": "timm:test_resnet", "options": {"pretrained": False, "num_classes": 3}}


def refused(folder: Path, match: str, marker: Path) -> None:
    """Every way in refuses the folder, names what it would do and how to allow it, and runs nothing."""
    for load in (load_cascade, lambda each: build_cascade(cascade=each, adapter="timm")):
        with pytest.raises(OrxeError, match=match) as error:
            load(folder)
        assert "--trust" in str(error.value) and "trust=True" in str(error.value)
        assert not marker.exists()


# --- each way of running code ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["https://example.com/x.pt", "HTTP://example.com/x.pt", "ul://a/b/c", "gs://a/b.pt"]
)
def test_an_address_to_fetch_a_model_from(shared: Path, marker: Path, address: str) -> None:
    pytest.importorskip("ultralytics")
    describe(shared, {"address": f"ultralytics:{address}"}, task="detection")
    refused(shared, f"is not trusted.*fetches '{address}'", marker)


@pytest.mark.parametrize("as_checkpoint", [True, False])
def test_a_pickled_model_in_the_folder(shared: Path, marker: Path, as_checkpoint: bool) -> None:
    pytest.importorskip("ultralytics")
    file = evil_pickle(shared / "best.pt", marker)
    expert = {"address": f"ultralytics:{file}"}
    if as_checkpoint:
        expert = {"address": "ultralytics:yolov8n.pt", "checkpoint": "best.pt"}
    describe(shared, expert, task="detection")
    refused(shared, "unpickles .*best.pt', which can run any code in it", marker)


def test_a_file_in_the_working_folder_is_not_ultralytics_own_model(
    shared: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ultralytics")
    monkeypatch.chdir(shared)
    evil_pickle(shared / "yolo11n.pt", marker)
    for name in ("yolo11n.pt", "yolo11n"):
        describe(shared, {"address": f"ultralytics:{name}"}, task="detection")
        refused(shared, "unpickles 'yolo11n.pt'", marker)


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolov8.yaml", "mine.yaml"])
def test_a_yaml_whose_activation_is_evaluated(
    shared: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("ultralytics")
    monkeypatch.chdir(shared)
    activation = f"__import__('os').mkdir({str(marker)!r})"
    text = f'nc: 2\nactivation: "{activation}"\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[[0], 1, Detect, [nc]]]\n'
    (shared / name).write_text(text)
    asked = "yolov8n.yaml" if name == "yolov8.yaml" else name
    describe(shared, {"address": f"ultralytics:{asked}"}, task="detection")
    refused(shared, f"runs the model in .*{name}'", marker)


def test_a_python_config_and_what_sets_functions_in_one(
    shared: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mmdet")
    config = shared / "config.py"
    config.write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    describe(shared, {"address": f"mmdet:{config}", "options": {"random_weights": True}}, task="detection")
    refused(shared, "runs the config .*config.py'", marker)
    monkeypatch.chdir(shared)
    own = "rtmdet_tiny_8xb32-300e_coco"
    (shared / own).write_text(config.read_text())  # in the working folder, under the name of one that mmdet ships
    describe(shared, {"address": f"mmdet:{own}", "options": {"random_weights": True}}, task="detection")
    refused(shared, "runs the config", marker)
    (shared / own).unlink()
    for changed in ({"model.type": "os.system"}, {"model.backbone": {"type": "os.mkdir", "path": str(marker)}}):
        options = {"random_weights": True, "cfg_options": changed}
        describe(shared, {"address": f"mmdet:{own}", "options": options}, task="detection")
        refused(shared, "can name any function", marker)
    describe(shared, {"address": f"mmdet:{own}", "options": {"random_weights": True, "repo": str(shared)}})
    refused(shared, "runs code of the checkout", marker)


def test_a_file_must_not_trust_itself(shared: Path, marker: Path) -> None:
    pytest.importorskip("mmdet")
    evil_pickle(shared / "weights.pth", marker)
    expert = {"address": "mmdet:rtmdet_tiny_8xb32-300e_coco", "checkpoint": "weights.pth"}
    describe(shared, {**expert, "options": {"trust_checkpoint": True}}, task="detection")
    refused(shared, r"unpickles .*weights.pth' \(trust_checkpoint\)", marker)
    describe(shared, {**expert, "checkpoint": "https://example.com/weights.pth"}, task="detection")
    refused(shared, "fetches 'https://example.com/weights.pth'", marker)


def test_a_pickle_of_weights_is_read_without_its_code(shared: Path, marker: Path) -> None:
    pytest.importorskip("timm")
    evil_pickle(shared / "weights.pth", marker)
    describe(shared, {**TIMM, "checkpoint": "weights.pth"})
    with pytest.raises(OrxeError, match="may run code"):
        load_cascade(shared)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("expert", "match"),
    [
        ({"address": "timm:hf-hub:somebody/model"}, "fetches 'hf-hub:somebody/model'"),
        ({"address": "timm:HF_HUB:somebody/model"}, "fetches"),
        ({"address": "timm:local-dir:elsewhere"}, "builds what the folder 'elsewhere' says"),
        ({"address": "timm:x", "options": {"builder": "timm.models._hub:load_custom_from_hf"}}, "calls the function"),
        ({"address": "timm:test_resnet", "options": {"checkpoint_path": "evil.pt"}}, "takes 'evil.pt'"),
        ({"address": "timm:test_resnet", "options": {"pretrained_cfg": {"url": "https://a.b/c"}}}, "pretrained_cfg"),
        ({"address": "timm:test_resnet?pretrained_cfg_overlay={file: x.pt}"}, "pretrained_cfg_overlay"),
        ({"address": "timm:test_resnet", "checkpoint": "https://example.com/x.pth"}, "fetches"),
        ({"address": "timm:orxe_metamodel", "options": {"experts": ["ultralytics:best.pt"]}}, "builds a cascade"),
        ({"address": "timm:test_resnet?exit=1", "options": {"saver": "timm:hf-hub:some/body"}}, "fetches 'hf-hub:some"),
        (
            {
                "address": "timm:test_resnet?exit=1",
                "options": {"saver": {"address": "timm:x", "checkpoint": "../s.pth"}},
            },
            "reads '.*s.pth', which is outside of the folder",
        ),
    ],
)
def test_names_and_options_of_timm(shared: Path, marker: Path, expert: dict[str, Any], match: str) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("ultralytics")
    (shared.parent / "s.pth").write_bytes(b"")
    describe(shared, expert)
    refused(shared, match, marker)


def test_an_adapter_that_does_not_say_what_it_runs(shared: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from orxe_plugins.experts import adapters

    made = SimpleNamespace(load_expert=lambda name, **options: marker.mkdir())
    monkeypatch.setitem(adapters._REGISTERED, "other", "other_module")
    monkeypatch.setitem(__import__("sys").modules, "other_module", made)
    describe(shared, {"address": "other:thing"})
    refused(shared, "adapter 'other', which does not say what it runs", marker)


# --- paths -------------------------------------------------------------------------------------------


def test_files_of_a_shared_cascade_lie_in_its_folder(shared: Path, marker: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    outside = shared.parent / "weights.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), outside)
    (shared / "link.safetensors").symlink_to(outside)
    for name in ("../weights.safetensors", str(outside), "link.safetensors"):
        describe(shared, {**TIMM, "checkpoint": name})
        refused(shared, "which is outside of the folder", marker)
    inside = shared / "weights.safetensors"
    inside.write_bytes(outside.read_bytes())
    describe(shared, {**TIMM, "checkpoint": "weights.safetensors"})
    assert load_cascade(shared).experts[0].name == "timm:test_resnet"
    gate = {"kind": "ranking_gate", "file": "../gate.safetensors"}
    describe(shared, {**TIMM, "checkpoint": "weights.safetensors", "confidence": gate})
    refused(shared, "gate.safetensors', which is outside of the folder", marker)


OUTSIDE = ("sub/../../../beside/w.pth", "BESIDE/w.pth", "linked/w.pth", "~/w.pth")


@pytest.mark.parametrize("place", OUTSIDE)
@pytest.mark.parametrize(
    "expert",
    [
        {**TIMM, "checkpoint": "PLACE"},
        {**TIMM, "confidence": {"kind": "ranking_gate", "file": "PLACE"}},
        {"address": "timm:local-dir:PLACE"},
        {"address": "timm:test_resnet?exit=1", "options": {"esn": "PLACE", "saver": "timm:x"}},
        {"address": "timm:test_resnet?exit=1", "options": {"saver": {"address": "timm:x", "checkpoint": "PLACE"}}},
        {"address": "timm:orxe_metamodel", "options": {"experts": ["ultralytics:PLACE"]}},
        {"address": "ultralytics:PLACE"},
        {"address": "ultralytics:yolov8n.pt", "checkpoint": "PLACE"},
        {"address": "mmdet:PLACE"},
        {"address": "mmdet:rtmdet_tiny_8xb32-300e_coco@PLACE"},
        {"address": "mmdet:rtmdet_tiny_8xb32-300e_coco", "options": {"repo": "PLACE"}},
        {"address": "mmdet:rtmdet_tiny_8xb32-300e_coco?repo=PLACE"},
    ],
)
def test_nobody_looks_outside_of_the_folder_before_it_is_refused(
    shared: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, expert: dict[str, Any], place: str
) -> None:
    for framework in ("timm", "ultralytics", "mmdet"):
        pytest.importorskip(framework)
    beside = shared.parent / "beside"
    beside.mkdir()
    (beside / "w.pth").write_bytes(b"")
    (shared / "linked").symlink_to(beside)
    (shared / "work").mkdir()
    monkeypatch.chdir(shared / "work")
    text, named = json.dumps(expert), place.replace("BESIDE", str(beside))
    if place == "~/w.pth" and "ranking_gate" in text:
        pytest.skip("a gate is always a file of the folder")
    if place == "linked/w.pth" and not any(key in text for key in ('"checkpoint"', '"file"', '"esn"')):
        named = str(shared / place)  # names and other options start at the working folder
    describe(shared, json.loads(text.replace("PLACE", named)))
    load_adapters()
    looked: list[str] = []
    for name in ("stat", "lstat", "readlink", "open", "scandir", "listdir"):
        monkeypatch.setattr(os, name, spied(getattr(os, name), looked))
    monkeypatch.setattr("builtins.open", spied(open, looked))
    refused(shared, "outside of the folder", marker)
    outside = (f"{beside}/", f"{shared}/linked/", os.path.expanduser("~/w.pth"))  # noqa: PTH111
    assert not [path for path in looked if path == str(beside) or path.startswith(outside)]


def load_adapters() -> None:
    """What importing them opens is not to be noted."""
    from orxe_plugins.experts.adapters import load_adapter

    for name in ("timm", "ultralytics", "mmdet"):
        assert hasattr(load_adapter(name), "risks")


def spied(function: Any, looked: list[str]) -> Any:
    def call(path: Any = ".", *more: Any, **options: Any) -> Any:
        if isinstance(path, (str, os.PathLike)):
            looked.append(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
        return function(path, *more, **options)

    return call


def test_the_folder_of_a_run_holds_its_experts(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    run = tmp_path / "run"
    (run / "cascade").mkdir(parents=True)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), run / "weights.pth")
    describe(run / "cascade", {**TIMM, "checkpoint": "../weights.pth"})
    with pytest.raises(OrxeError, match="outside of the folder"):
        load_cascade(run / "cascade")
    (run / "records").mkdir()
    assert len(load_cascade(run).experts) == 1


# --- how it is allowed -------------------------------------------------------------------------------


def test_the_caller_says_so_and_it_is_not_remembered(shared: Path, marker: Path) -> None:
    pytest.importorskip("timm")
    describe(shared, {"address": "timm:x", "options": {"builder": "timm.models.resnet:resnet10t", "pretrained": False,
                                                       "variant": "resnet10t"}})  # fmt: skip
    refused(shared, "calls the function", marker)
    with pytest.raises((OrxeError, TypeError, RuntimeError)) as error:
        load_cascade(shared, trust=True)  # the function is called, with arguments that it does not take
    assert "not trusted" not in str(error.value)
    with trusting(), pytest.raises((OrxeError, TypeError, RuntimeError)) as error:
        load_cascade(shared)
    assert "not trusted" not in str(error.value)
    refused(shared, "calls the function", marker)
    file = read_cascade(shared)
    with pytest.raises(OrxeError, match="not trusted"):
        load_expert(file.specs[0])  # what came from a file stays untrusted wherever it goes
    with pytest.raises(OrxeError, match="not trusted"):
        cascade_of(file)


def test_what_one_wrote_oneself_is_trusted_by_its_content(shared: Path, marker: Path) -> None:
    timm = pytest.importorskip("timm")
    weights = shared.parent / "weights.pth"
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), weights)
    spec = ExpertSpec(TIMM["address"], checkpoint=str(weights), options=TIMM["options"])
    save_cascade(build_cascade([spec], adapter="timm"), shared)
    load_cascade(shared)
    weights.rename(shared.parent / "moved.pth")
    content = (shared / "cascade.json").read_text().replace("weights.pth", "moved.pth")
    (shared / "cascade.json").write_text(content)
    load_cascade(shared)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), shared.parent / "moved.pth")
    refused(shared, "outside of the folder", marker)


def test_writing_a_strangers_cascade_again_does_not_trust_it(shared: Path, marker: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    describe(shared, {"address": "timm:hf-hub:somebody/model"})
    file = read_cascade(shared)
    write_cascade(tmp_path / "copy", file)
    refused(tmp_path / "copy", "fetches 'hf-hub:somebody/model'", marker)
    write_cascade(tmp_path / "copy", CascadeFile(tuple(file.trusted().specs), file.table))
    with pytest.raises(OrxeError) as error:
        load_expert(read_cascade(shared).specs[0])
    assert "not trusted" not in str(error.value)


def test_an_experts_file_is_trusted_as_a_cascade_is(shared: Path, marker: Path) -> None:
    pytest.importorskip("timm")
    file = shared / "experts.yaml"
    file.write_text("experts: [{address: 'timm:hf-hub:somebody/model'}]\n")
    with pytest.raises(OrxeError, match=r"experts file '.*' is not trusted.*fetches"):
        load_expert(read_experts_file(file)[0])
    assert read_experts_file(file, trust=True)[0].origin is None


def test_a_file_cannot_say_where_it_came_from(shared: Path) -> None:
    with pytest.raises(OrxeError, match="unknown key 'origin'"):
        ExpertSpec.from_dict({"address": "timm:x", "origin": None})
    describe(shared, {"address": "timm:x", "origin": None})
    assert read_cascade(shared).specs[0].origin is not None


def test_weights_under_a_name_of_the_framework_ask_for_nothing(shared: Path) -> None:
    pytest.importorskip("ultralytics")
    pytest.importorskip("mmdet")
    from orxe_plugins.experts.risks import risks_of
    from orxe_plugins.util.trust import Origin

    names = ("timm:resnet18.a1_in1k", "torchvision:resnet18?weights=IMAGENET1K_V1", "ultralytics:yolov8n.pt?imgsz=320",
             "ultralytics:yolov8n.yaml", "mmdet:rtmdet_tiny_8xb32-300e_coco@pretrained")  # fmt: skip
    for name in names:
        assert risks_of(ExpertSpec(name), Origin("", shared)) == [], name
