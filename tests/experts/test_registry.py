from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts import adapters
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import (
    adapter_names,
    import_framework,
    load_expert,
    register_adapter,
    view_of,
)
from orxe_plugins.experts.spec import ExpertSpec, parse_address


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("timm:resnet18", ("timm", "resnet18", {})),
        ("ultralytics:yolov8n.pt?imgsz=320", ("ultralytics", "yolov8n.pt", {"imgsz": 320})),
        ("mmdet:a/b.py@c.pth?trust_checkpoint=true", ("mmdet", "a/b.py@c.pth", {"trust_checkpoint": True})),
        ("timm:hf-hub:timm/resnet18.a1_in1k", ("timm", "hf-hub:timm/resnet18.a1_in1k", {})),
        ("timm:x?input_size=[3, 32, 32]&mean=[0.5]", ("timm", "x", {"input_size": [3, 32, 32], "mean": [0.5]})),
    ],
)
def test_addresses_are_taken_apart(address: str, parsed: tuple) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize("address", ["resnet18", ":resnet18", "timm:", "timm:resnet18?imgsz", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(OrxeError, match="expert address"):
        parse_address(address)


def test_the_four_adapters_are_found() -> None:
    assert {"timm", "torchvision", "ultralytics", "mmdet"} <= set(adapter_names())


def test_an_unknown_adapter_is_named_with_the_nearest() -> None:
    with pytest.raises(OrxeError, match="unknown adapter 'tim': did you mean 'timm'"):
        load_expert("tim:resnet18")


def test_a_missing_framework_says_what_to_install() -> None:
    with pytest.raises(ImportError) as caught:
        import_framework("no_such_framework", "mmdet")
    assert str(caught.value).splitlines()[-1] == 'pip install "orxe-plugins[mmdet]"'


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(OrxeError, match=r"checkpoint 'nowhere\.safetensors' .*does not exist"):
        load_expert(ExpertSpec("timm:resnet18", checkpoint="nowhere.safetensors"))


FROM_A_CHECKOUT = """
import importlib.metadata
importlib.metadata.entry_points = lambda **_: importlib.metadata.EntryPoints(())
from orxe_plugins.experts.registry import adapter_names
assert adapter_names() == ("http", "https")
import timm
import orxe_timm
assert adapter_names() == ("http", "https", "timm")
options = dict(num_classes=3, pretrained=False, exit_thresholds=[0.5])
model = timm.create_model("orxe_metamodel", experts=["test_resnet", "timm:test_vit"], **options)
print([expert.name for expert in model.cascade.members])
"""


def test_an_adapter_that_is_not_installed_is_known_once_it_is_imported(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "adapters")])}
    command = [sys.executable, "-W", "ignore", "-c", FROM_A_CHECKOUT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['timm:test_resnet', 'timm:test_vit']\n"


class Plain(ModuleType):
    """An adapter as a third party could write it: it offers load_expert and nothing else."""

    loaded = 0

    def load_expert(self, name: str, **options: object) -> Expert:
        self.loaded += 1
        if name == "classifier":
            return ClassifierExpert(name, nn.Flatten(), view=ImageView((8, 8), 8), num_classes=192)
        return Expert(name, nn.Identity())


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Plain:
    module = Plain("somebody_elses")
    monkeypatch.setattr(adapters, "_REGISTERED", {})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    register_adapter("plain", module.__name__)
    return module


def test_a_registered_adapter_is_found_by_its_name(plain: Plain) -> None:
    assert "plain" in adapter_names()
    assert load_expert("plain:thing").run(torch.rand(2, 3)).confidence.shape == (2,)
    register_adapter("plain", plain.__name__)  # a module that is imported again is still the same
    with pytest.raises(ValueError, match="adapter 'plain' is registered twice: by somebody_elses and another"):
        register_adapter("plain", "another")


def test_the_view_is_asked_of_the_adapter_and_else_of_the_expert(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    assert view_of(ExpertSpec("plain:classifier")) == ImageView((8, 8), 8)
    assert view_of(ExpertSpec("plain:thing")) is None
    assert plain.loaded == 2
    asked = []

    def own_view(name: str, **options: object) -> ImageView:
        asked.append((name, options))
        return ImageView((4, 4), 4)

    monkeypatch.setattr(plain, "view_of", own_view, raising=False)
    assert view_of(ExpertSpec("plain:classifier?a=1", checkpoint="nowhere.pth", options={"b": 2})) == ImageView(
        (4, 4), 4
    )
    assert asked == [("classifier", {"a": 1, "b": 2})] and plain.loaded == 2


@pytest.mark.parametrize(
    "address",
    [
        "timm:test_resnet?num_classes=3&input_size=48&crop_pct=0.9",
        "timm:test_vit",
        "timm:test_efficientnet?in_chans=1&mean=[0.5]&std=[0.2]&interpolation=bilinear",
        "torchvision:shufflenet_v2_x0_5?weights=none",
        "torchvision:shufflenet_v2_x0_5?weights=none&input_size=64&resize_size=80&interpolation=bicubic",
        "torchvision:ssdlite320_mobilenet_v3_large?weights=none",
    ],
)
def test_an_adapter_says_the_view_that_its_expert_has(address: str) -> None:
    spec = ExpertSpec(address, options={"pretrained": False})
    assert view_of(spec) == getattr(load_expert(spec), "view", None)


def test_the_view_of_named_weights_is_known_without_a_download() -> None:
    old, new = (view_of(ExpertSpec(f"torchvision:resnet50?weights=IMAGENET1K_V{i}")) for i in (1, 2))
    assert old is not None and new is not None and (old.resize, new.resize) == (256, 232)
    with pytest.raises(OrxeError, match="unknown expert 'torchvision:resnet51'"):
        view_of(ExpertSpec("torchvision:resnet51"))
