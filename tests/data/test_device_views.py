"""Views made on a device: those of the host but for rounding, of pixels that are brought there once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from orxe_plugins import Cascade, ClassifierExpert, OrxeError, Policy
from orxe_plugins.data.views import ImageView


def picture(height: int, width: int, seed: int, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(height // 4, 1), max(width // 4, 1), 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@settings(max_examples=40)
@given(
    st.tuples(st.integers(9, 90), st.integers(9, 90)),
    st.integers(8, 48),
    st.sampled_from(["bilinear", "bicubic"]),
    st.booleans(),
    st.sampled_from(["RGB", "L"]),
)
def test_a_view_on_the_device_is_the_hosts_but_for_rounding(
    shape: tuple[int, int], resize: int, interpolation: str, squash: bool, mode: str
) -> None:
    channels = len(mode) if mode == "RGB" else 1
    view = ImageView((8, 8), resize, (0.0,) * channels, (1.0,) * channels, interpolation, squash)
    images = [picture(*shape, seed=0), picture(*shape[::-1], seed=1, mode="RGBA"), picture(30, 20, seed=2, mode=mode)]
    host = view.from_images(images)
    device = view.from_pixels([view.pixels_of(image) for image in images])
    assert device.shape == host.shape and device.dtype == host.dtype
    difference = (device - host).abs() * 255
    assert float(difference.max()) < 5.01
    assert float(difference.mean()) < 0.6


def test_what_torch_cannot_resize_is_told() -> None:
    view = ImageView((8, 8), 8, interpolation="lanczos")
    with pytest.raises(OrxeError, match="not by 'lanczos'"):
        view.from_pixels([torch.zeros(3, 8, 8, dtype=torch.uint8)])


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def expert(name: str, size: int, **changes: Any) -> ClassifierExpert:
    made = ClassifierExpert(name, Mean(), view=ImageView((size, size), size), num_classes=3, cost=1.0)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def test_pixels_are_brought_to_the_device_once_for_all_experts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(20, 30, seed) for seed in range(5)]
    brought: list[int] = []
    original = ImageView.pixels_of
    monkeypatch.setattr(ImageView, "pixels_of", lambda view, image: (brought.append(1), original(view, image))[1])
    policy = Policy((0.4,))
    host = Cascade([expert("a", 8), expert("b", 12)], policy)
    device = Cascade([expert("a", 8, device_views=True), expert("b", 12, device_views=True)], policy)
    outputs, route = device.route(images)
    wanted, same_route = host.route(images)
    assert len(brought) == len(images) and int((route.expert == 1).sum()) > 0
    assert torch.equal(route.expert, same_route.expert)
    torch.testing.assert_close(outputs, wanted, atol=0.04, rtol=0)


def test_pixels_go_along_with_the_samples_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(20 + seed % 3, 30, seed) for seed in range(23)]
    brought: list[int] = []
    original = ImageView.pixels_of
    monkeypatch.setattr(ImageView, "pixels_of", lambda view, image: (brought.append(1), original(view, image))[1])
    experts = [expert(name, size, device_views=True) for name, size in (("a", 8), ("b", 12), ("c", 16))]
    confidence = experts[0].run(images).confidence
    cascade = Cascade(experts, Policy((float(confidence.median()), float(confidence.quantile(0.7)))))
    wanted, route = cascade.route(images)
    brought.clear()
    answers = list(cascade.stream(images, batch_size=4))
    assert len(brought) == len(images) and len({answer.expert for answer in answers}) > 1
    assert [answer.expert for answer in answers] == route.expert.tolist()
    torch.testing.assert_close(torch.stack([answer.output for answer in answers]), wanted)


def test_the_exact_view_of_the_host_is_the_default() -> None:
    images = [picture(20, 30, 1)]
    made = expert("a", 8)
    assert torch.equal(made.prepare(images), made.view.from_images(images))
    lanczos = ClassifierExpert("c", Mean(), view=ImageView((8, 8), 8, interpolation="lanczos"), num_classes=3)
    lanczos.device_views = True
    assert torch.equal(lanczos.prepare(images), lanczos.view.from_images(images)), "torch has no such filter"
