"""What timm reads of a model beside its methods: the pretrained configuration, and widths of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from orxe_plugins.data.views import ImageView


def model_config(view: ImageView, num_classes: int, modules: Sequence[nn.Module]) -> dict[str, Any]:
    """timm's model configuration for the one tensor that all experts share.

    Args:
        view: how that tensor is made.
        num_classes: number of classes C.
        modules: the experts' models. First layers and classifiers are named of all of them, as timm does for a model
            that has several; features have the size of the last one's.
    """
    configs = [getattr(module, "pretrained_cfg", None) or {} for module in modules]
    return {
        "url": "",
        "num_classes": num_classes,
        "input_size": (view.channels, *view.size),
        "crop_pct": _crop_share(view),
        "crop_mode": "squash" if view.squash else "center",
        "interpolation": view.interpolation,
        "mean": view.mean,
        "std": view.std,
        "architecture": "orxe_metamodel",
        "pool_size": configs[-1].get("pool_size"),
        "first_conv": _in_cascade([config.get("first_conv") for config in configs]),
        "classifier": _in_cascade([config.get("classifier") for config in configs]),
    }


def prefix_of(expert: int) -> str:
    """What stands before the names of an expert's own layers in the state dict of the cascade."""
    return f"cascade.experts.{expert}.module."


def feature_width(module: nn.Module, name: str) -> int:
    """Width of the features that timm calls ``name``; a foreign classifier's is the input of its last layer."""
    width = getattr(module, name, None)
    if width is None:
        linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
        return int(linear[-1].in_features) if linear else 0
    return int(width)


def _in_cascade(layers: Sequence[Any]) -> tuple[str, ...] | None:
    """Names of layers of each expert, none, one or several, as the cascade's state dict has them."""
    names: list[str] = []
    for i, own in enumerate(layers):
        names += [prefix_of(i) + name for name in ((own,) if isinstance(own, str) else own or ())]
    return tuple(names) or None


def _crop_share(view: ImageView) -> float:
    """The share that leads timm, which rounds ``size / share`` down, to the view's own resize."""
    share = min(view.size) / view.resize
    while math.floor(min(view.size) / share) < view.resize:
        share = math.nextafter(share, 0.0)
    return share
