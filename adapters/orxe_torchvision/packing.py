"""torchvision experts as plain values and tensors: what a saved cascade holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torchvision.ops.misc import FrozenBatchNorm2d

from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.packing import load_state, state_of
from orxe_torchvision.detection import freeze
from orxe_torchvision.experts import load_untrained


def pack_expert(expert: Expert) -> dict[str, Any]:
    """What :func:`unpack_expert` needs, see :func:`orxe_plugins.experts.packing.pack_expert`."""
    norms = {path: part.eps for path, part in expert.module.named_modules() if isinstance(part, FrozenBatchNorm2d)}
    return {"frozen": norms, "state": state_of(expert.module)}


def unpack_expert(name: str, options: Mapping[str, Any], packed: Mapping[str, Any]) -> Expert:
    """The inverse of :func:`pack_expert`.

    Args:
        name: the expert's name at torchvision.
        options: options of its address.
        packed: what :func:`pack_expert` gave.

    Raises:
        OrxeError: the model is another one in this version of torchvision.
    """
    # A caller's random numbers stay what they would have been: the first weights are random, and replaced.
    with torch.random.fork_rng(devices=()):
        expert = load_untrained(name, **options)
    # torchvision freezes batch norms for pretrained weights alone.
    freeze(expert.module, packed["frozen"])
    load_state(expert.module, packed["state"], f"torchvision:{name}")
    return expert
