"""Every way of running code that a file can name, through every entrance that reads such a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from test_trust import describe, evil_pickle

from orxe_plugins import OrxeError, load_cascade, load_expert
from orxe_plugins.cascade.build import build_cascade
from orxe_plugins.cascade.file import cascade_of, read_cascade
from orxe_plugins.cli.app import main
from orxe_plugins.run.draft_experts import draft_experts
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.serving import ServeOptions
from orxe_plugins.serving.loading import check_served, load_served

MMDET = "mmdet:rtmdet_tiny_8xb32-300e_coco"


def _pickled(folder: Path, marker: Path) -> dict[str, Any]:
    return {"address": f"ultralytics:{evil_pickle(folder / 'best.pt', marker)}"}


def _config(folder: Path, marker: Path) -> dict[str, Any]:
    (folder / "config.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    return {"address": f"mmdet:{folder / 'config.py'}", "options": {"random_weights": True}}


def _model_yaml(folder: Path, marker: Path) -> dict[str, Any]:
    activation = f"__import__('os').mkdir({str(marker)!r})"
    (folder / "mine.yaml").write_text(f'nc: 2\nactivation: "{activation}"\nbackbone: []\nhead: []\n')
    return {"address": f"ultralytics:{folder / 'mine.yaml'}"}


def _checkpoint(folder: Path, marker: Path) -> dict[str, Any]:
    evil_pickle(folder / "weights.pth", marker)
    return {"address": MMDET, "checkpoint": str(folder / "weights.pth"), "options": {"trust_checkpoint": True}}


def _timm_folder(folder: Path, marker: Path) -> dict[str, Any]:
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"architecture": "test_resnet"}')
    return {"address": f"timm:local-dir:{folder / 'model'}"}


def _saver(folder: Path, marker: Path) -> dict[str, Any]:
    inner = {"address": f"ultralytics:{evil_pickle(folder / 'saver.pt', marker)}"}
    return {"address": "timm:test_resnet?exit=1", "options": {"saver": inner}}


def _plain(**expert: Any) -> Callable[[Path, Path], dict[str, Any]]:
    return lambda folder, marker: expert


#: way -> an expert of a file, what the error calls it, and the framework that it needs
WAYS: dict[str, tuple[Callable[[Path, Path], dict[str, Any]], str, str]] = {
    "address of a model": (_plain(address="ultralytics:https://example.com/x.pt"), "fetches", "ultralytics"),
    "pickled model": (_pickled, "unpickles .*best.pt", "ultralytics"),
    "model file of ultralytics": (_model_yaml, "runs the model in .*mine.yaml", "ultralytics"),
    "python config": (_config, "runs the config .*config.py", "mmdet"),
    "functions in a config": (
        _plain(address=MMDET, options={"cfg_options": {"model.type": "os.system"}}), "can name any function", "mmdet"),
    "checkout": (_plain(address=MMDET, options={"repo": "."}), "runs code of the checkout|outside", "mmdet"),
    "file that trusts itself": (_checkpoint, "unpickles .*weights.pth", "mmdet"),
    "hub": (_plain(address="timm:hf-hub:somebody/model"), "fetches 'hf-hub:somebody/model'", "timm"),
    "folder of timm": (_timm_folder, "builds what the folder", "timm"),
    "builder": (_plain(address="timm:x", options={"builder": "os:mkdir"}), "calls the function", "timm"),
    "address of weights": (_plain(address="timm:test_resnet", checkpoint="https://a.b/x.pth"), "fetches", "timm"),
    "pretrained_cfg": (
        _plain(address="timm:test_resnet", options={"pretrained_cfg": {"url": "https://a.b"}}), "pretrained_cfg",
        "timm"),
    "expert inside of an option": (_saver, "unpickles .*saver.pt", "ultralytics"),
    "server": (_plain(address="http://example.com/predict?names=[a]"), "fetches|sends|http", "timm"),
    "adapter of somebody": (_plain(address="other:thing"), "does not say what it runs", "timm"),
}  # fmt: skip

#: those of the default suite: one of each kind
FEW = ("pickled model", "python config", "hub", "address of weights", "adapter of somebody")


def _command(*arguments: object) -> None:
    """The command in this process; its error as an exception."""
    sys.argv = ["orxe", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (1, 2)


def _recipe(folder: Path) -> Path:
    """A recipe of one's own that names an experts file from elsewhere."""
    own = folder.parent / "own"
    for name in "ab":
        (own / "images" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(own / "images" / name / "0.png")
    content = {"name": "own", "data": {"root": "{recipe}/images"}, "experts": str(folder / "experts.yaml")}
    (own / "recipe.yaml").write_text(yaml.safe_dump(content))
    return own / "recipe.yaml"


def _fronts() -> dict[str, Callable[[Path], object]]:
    def timm(folder: Path) -> object:
        return pytest.importorskip("timm").create_model("orxe_metamodel", cascade=str(folder))

    def ultralytics(folder: Path) -> object:
        pytest.importorskip("ultralytics")
        from orxe_ultralytics import CascadeYOLO

        return CascadeYOLO(folder)

    def torchvision(folder: Path) -> object:
        pytest.importorskip("torchvision")
        from orxe_torchvision import orxe_metamodel_detection

        return orxe_metamodel_detection(cascade=str(folder))

    def mmdet(folder: Path) -> object:
        pytest.importorskip("mmdet")
        from orxe_mmdet import CascadeDetector

        return CascadeDetector(cascade=str(folder))

    return {"timm": timm, "ultralytics": ultralytics, "torchvision": torchvision, "mmdet": mmdet}


#: entrance -> reads a folder with a cascade.json and an experts.yaml of the same expert
ENTRANCES: dict[str, Callable[[Path], object]] = {
    "load_cascade": load_cascade,
    "load_cascade that leaves out experts": lambda folder: load_cascade(folder, on_error="best_available"),
    "build_cascade": lambda folder: build_cascade(cascade=folder, adapter="timm"),
    "read_cascade": lambda folder: cascade_of(read_cascade(folder)),
    "server": lambda folder: check_served(folder, ServeOptions()),
    "worker of a server": lambda folder: load_served(folder, ServeOptions()),
    "experts file": lambda folder: load_expert(read_experts_file(folder / "experts.yaml")[0]),
    "init": lambda folder: draft_experts([str(folder / "experts.yaml")]),
    "command predict": lambda folder: _command("predict", folder, _recipe(folder).parent / "images"),
    "command serve": lambda folder: _command("serve", folder, "--device", "cpu"),
    "command init": lambda folder: _command(
        "init", "--data", _recipe(folder).parent / "images", "--experts", folder / "experts.yaml", "--out",
        folder / "r.yaml"),
    "command check": lambda folder: _command("check", _recipe(folder)),
    "command record": lambda folder: _command("record", _recipe(folder), "--out", folder / "out"),
    "command run": lambda folder: _command("run", _recipe(folder), "--out", folder / "out"),
    **{f"front of {name}": front for name, front in _fronts().items()},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORXE_TRUSTED", str(tmp_path / "trusted"))
    monkeypatch.setattr(sys, "argv", ["orxe"])


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What would be made by code of a file, or by the adapter that does not say what it runs."""
    from types import SimpleNamespace

    from orxe_plugins.experts import adapters

    marker = tmp_path / "code-was-run"
    made: Any = SimpleNamespace(load_expert=lambda name, **options: marker.mkdir())
    monkeypatch.setitem(adapters._REGISTERED, "other", "other_module")
    monkeypatch.setitem(sys.modules, "other_module", made)
    return marker


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("way", [way if way in FEW else pytest.param(way, marks=pytest.mark.long) for way in WAYS])
def test_what_a_file_names_is_refused_by_name(
    tmp_path: Path, marker: Path, capfd: pytest.CaptureFixture[str], way: str, entrance: str
) -> None:
    make, named, framework = WAYS[way]
    pytest.importorskip(framework)
    task = "detection" if framework in ("mmdet", "ultralytics") else "classification"
    if entrance.startswith("front of") and (entrance == "front of timm") != (task == "classification"):
        pytest.skip("a front of another task")
    shared = tmp_path / "shared"
    shared.mkdir()
    expert = make(shared, marker)
    describe(shared, expert, task=task)
    (shared / "experts.yaml").write_text(json.dumps({"experts": [expert]}))
    fetched: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.create_connection", lambda *a, **k: fetched.append(a))
        patch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: fetched.append(a))
        try:
            ENTRANCES[entrance](shared)
            said = "".join(capfd.readouterr())  # a command
        except OrxeError as error:
            said = str(error)
    assert re.search(named, said), said[-500:]
    assert "is not trusted" in said and "--trust" in said
    assert not marker.exists() and not fetched
