"""The view that a timm model was trained for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from timm.data import resolve_model_data_config
from torch import nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError


def model_view(module: nn.Module, overrides: Mapping[str, Any], use_test_size: bool = False) -> ImageView:
    """What timm's evaluation transform would show to a model.

    Args:
        module: a timm model; its ``pretrained_cfg`` is read.
        overrides: any of input_size, in_chans, mean, std, interpolation, crop_pct, crop_mode, as
            ``timm.data.resolve_data_config`` takes them.
        use_test_size: take the size that the weights were tested at where it differs, as timm's
            ``validate.py`` does by default.

    Raises:
        OrxeError: the view is of a kind that is not supported (not square, or with borders).
    """
    args = {key: value for key, value in overrides.items() if value is not None}
    _check_lengths(args)
    config = resolve_model_data_config(module, args=args, use_test_size=use_test_size)
    channels, height, width = config["input_size"]
    # timm reads in_chans only where no input_size is known, which the pretrained configuration always has.
    channels = args.get("in_chans", channels)
    mode = config["crop_mode"]
    if mode not in ("center", "squash"):
        raise OrxeError(f"crop_mode is {mode!r}: expected center or squash")
    if height != width:
        raise OrxeError(f"input_size is {height} x {width}: expected a square")
    return ImageView(
        size=(height, width),
        resize=math.floor(height / config["crop_pct"]),
        mean=_per_channel(config["mean"], channels),
        std=_per_channel(config["std"], channels),
        interpolation=config["interpolation"],
        squash=mode == "squash",
    )


def _check_lengths(args: Mapping[str, Any]) -> None:
    """timm only asserts that a given mean and std have as many values as the input has channels."""
    channels = args["input_size"][0] if "input_size" in args else args.get("in_chans", 3)
    for name in ("mean", "std"):
        if name in args and len(args[name]) not in (1, channels):
            raise OrxeError(f"{name} is {tuple(args[name])}: expected one value, or {channels}, one for each channel")


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """One value per channel: those of a model with another number of channels are averaged, as timm's scripts do."""
    if len(values) != channels:
        return (sum(values) / len(values),) * channels
    return tuple(float(value) for value in values)
