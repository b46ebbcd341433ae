"""Experts with random weights on a device, and a cascade of them whose thresholds are quantiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, Policy
from orxe_plugins.experts.measure import DTYPES

#: models, and the share of the images that reach each
LARGE = {
    "mobilenetv3_large_100": 1.0,
    "efficientnet_b3": 0.49,
    "convnextv2_base": 0.22,
    "beitv2_large_patch16_224": 0.05,
}
SMALL = {"test_efficientnet": 1.0, "test_resnet": 0.5, "test_convnext": 0.25}
#: images on which thresholds are set
_CALIBRATION = 512


@dataclass
class Pool:
    """A cascade on a device, and images for it.

    Attributes:
        cascade: on the device, eager.
        images: (M, 3, h, w) on the device: noise.
        reach: share of the images that is meant to come to each expert.
        device, dtype: where and in which precision it runs.
    """

    cascade: Cascade
    images: Tensor
    reach: tuple[float, ...]
    device: torch.device
    dtype: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experts."""
        return tuple(expert.name for expert in self.cascade.members)

    @contextmanager
    def running(self) -> Iterator[None]:
        """No gradients, and the precision asked for."""
        cast: Any = nullcontext() if self.dtype == "fp32" else torch.autocast(self.device.type, DTYPES[self.dtype])
        with torch.inference_mode(), cast:
            yield

    def alone(self, expert: int) -> Cascade:
        """One of the experts as a cascade of its own, to be measured in the same way."""
        return Cascade([self.cascade.members[expert]], Policy(()))

    def on_cpu(self) -> Cascade:
        """A copy on the CPU, in full precision."""
        return deepcopy(self.cascade).float().cpu()

    def batch(self, size: int, number: int = 0) -> Tensor:
        """Some of the images; the same ones for the same number."""
        start = (number * size) % max(len(self.images) - size, 1)
        return self.images[start : start + size]


def make_pool(device: torch.device, dtype: str, small: bool, seed: int) -> Pool:
    """The models with random weights, and thresholds by quantiles of their own confidences on the device."""
    wanted = SMALL if small else LARGE
    size, count = (64, 64) if small else (224, _CALIBRATION)
    torch.manual_seed(seed)
    images = _images(count, size, seed).to(device)
    with device:  # drawing the weights of large models takes a CPU long
        modules = {name: _spread(timm.create_model(name, num_classes=100), images[:64]) for name in wanted}
    experts = [Expert(name, module, cost=float(i + 1)) for i, (name, module) in enumerate(modules.items())]
    if device.type == "cuda":
        images = images.to(memory_format=torch.channels_last)
        experts = [expert.to(memory_format=torch.channels_last) for expert in experts]
    pool = Pool(Cascade(experts, Policy.never(len(experts))), images, tuple(wanted.values()), device, dtype)
    with pool.running():
        pool.cascade.policy = _policy(pool, tuple(wanted.values()))
    return pool


def _policy(pool: Pool, reach: Sequence[float]) -> Policy:
    """Thresholds by which those shares of the images go on."""
    left = torch.arange(len(pool.images), device=pool.device)
    thresholds = []
    for i, expert in enumerate(pool.cascade.members[:-1]):
        parts = [expert.run(pool.images[rows]).confidence for rows in left.split(64)]
        confidence = torch.cat(parts)
        going = round(reach[i + 1] * len(pool.images))
        order = confidence.argsort()
        # Between two confidences, so that rounding seldom decides.
        cut = float((confidence[order[going - 1]] + confidence[order[going]]).double() / 2)
        thresholds.append(cut)
        left = left[confidence < cut]
    return Policy(tuple(thresholds))


def _images(count: int, size: int, seed: int) -> Tensor:
    """Noise of different contrast and colour, so that confidences differ."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, size // 16, size // 16, generator=draw)
    images = nn.functional.interpolate(coarse, (size, size), mode="nearest")
    images += torch.randn(count, 3, size, size, generator=draw) * 0.3
    return images * torch.rand(count, 1, 1, 1, generator=draw) * 2 + torch.randn(count, 3, 1, 1, generator=draw)


@torch.no_grad()
def _spread(model: Any, images: Tensor) -> nn.Module:
    """The model with statistics of these images, and a head by which its answers to them differ.

    As they come, random weights answer nearly alike everywhere, and rounding would decide who exits.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in norms:
        part.momentum = 1.0
    model.train(bool(norms))
    model(images)
    model.eval()
    model.get_classifier().weight.mul_(3 / model(images).std().clamp(min=1e-6))
    return model
