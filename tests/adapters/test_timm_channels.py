"""Images of another number of channels than the three that weights were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import adapt_input_conv

import orxe_timm
from orxe_plugins import OrxeError, Policy, load_expert
from orxe_plugins.experts.registry import view_of
from orxe_plugins.experts.spec import ExpertSpec
from orxe_timm import models

EXPERTS = ["test_resnet.r160_in1k", "test_efficientnet.r160_in1k"]
POOLS = {
    "orxe_metamodel_tiny": models.TINY_POOL,
    "orxe_metamodel": models.POOL,
    "orxe_metamodel_large": models.LARGE_POOL,
}


def build(**options: Any) -> orxe_timm.CascadeClassifier:
    sizes = [{"input_size": 48}, {"input_size": 64}]
    options = {"experts": EXPERTS, "expert_kwargs": sizes, "exit_thresholds": [0.5], "num_classes": 5, **options}
    return timm.create_model("orxe_metamodel", **options)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", POOLS)
def test_every_expert_of_every_pool_sees_that_many_channels(name: str, channels: int) -> None:
    for expert in POOLS[name]:
        view = view_of(ExpertSpec(f"timm:{expert}", options={"in_chans": channels}))
        assert view is not None
        assert view.channels == channels


@pytest.mark.parametrize("channels", [1, 7])
def test_a_registered_pool_runs_on_any_number_of_channels(channels: int) -> None:
    model = timm.create_model("orxe_metamodel_tiny", in_chans=channels, num_classes=3, exit_thresholds=[0.4, None])
    size = model.pretrained_cfg["input_size"]
    assert (model.in_chans, size[0]) == (channels, channels)
    assert model(torch.randn(2, *size)).shape == (2, 3)


@pytest.mark.parametrize("channels", [1, 4])
def test_the_mean_over_colours_normalises_other_channels_as_in_timms_scripts(channels: int) -> None:
    model = build(in_chans=channels)
    assert model.pretrained_cfg["mean"] == pytest.approx((0.449,) * channels)
    assert model.pretrained_cfg["std"] == pytest.approx((0.226,) * channels)


def test_weights_trained_on_colours_are_adapted_as_timm_does(tmp_path: Path) -> None:
    three = build()
    torch.save(three.state_dict(), tmp_path / "cascade.pth")
    overlay = {"file": str(tmp_path / "cascade.pth")}
    model = build(in_chans=1, pretrained=True, pretrained_cfg_overlay=overlay)
    for layer in model.pretrained_cfg["first_conv"]:
        weight = three.get_submodule(layer).weight
        torch.testing.assert_close(model.get_submodule(layer).weight, adapt_input_conv(1, weight))
    for layer in model.pretrained_cfg["classifier"]:
        torch.testing.assert_close(model.get_submodule(layer).weight, three.get_submodule(layer).weight)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_originals_are_seen_as_by_timms_own_transform(channels: int, mode: str) -> None:
    model = build(in_chans=channels)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (70, 90, 4), np.uint8), "RGBA").convert(mode) for _ in range(3)]
    for i, expert in enumerate(model.cascade.members):
        config = resolve_data_config({"input_size": (channels, *expert.view.size)}, model=expert.module)
        config |= {"mean": expert.view.mean, "std": expert.view.std}
        views = torch.stack([create_transform(**config)(image) for image in images])
        model.policy = Policy(((0.0, None)[i],))
        with torch.no_grad():
            torch.testing.assert_close(model(images), expert.module(views), rtol=1e-4, atol=1e-5)


def test_channels_that_do_not_fit_are_named() -> None:
    model = build(in_chans=4)
    with pytest.raises(OrxeError, match=r"a batch has shape \(2, 3, 64, 64\): expected \(B, 4, H, W\)"):
        model(torch.randn(2, 3, 64, 64))
    with pytest.raises(OrxeError, match="mode 'RGB' and no alpha channel, but the model takes 4"):
        model([Image.new("RGB", (70, 70))])
    with pytest.raises(OrxeError, match="an original image has no 7 channels: hand the model float tensors"):
        build(in_chans=7)([Image.new("RGB", (70, 70))])
    with pytest.raises(OrxeError, match=r"input_size is \[3, 64, 64\] and in_chans is 1"):
        load_expert("timm:test_resnet?pretrained=false&in_chans=1&input_size=[3,64,64]")
    with pytest.raises(OrxeError, match=r"mean is \(0\.5, 0\.5\): expected one value, or 4"):
        load_expert("timm:test_resnet?pretrained=false&in_chans=4&mean=[0.5,0.5]")
