"""mmdet experts as plain values and tensors: what a saved cascade holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from orxe_mmdet.blueprint import Blueprint
from orxe_mmdet.experts import MMDetExpert
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.packing import load_state, state_of


def pack_expert(expert: MMDetExpert) -> dict[str, Any]:
    """What :func:`unpack_expert` needs, see :func:`orxe_plugins.experts.packing.pack_expert`.

    The code of an mmdetection project that the config imports is not part of it: its module names are, and the place
    of the checkout.

    Raises:
        OrxeError: the expert was made by hand, without a config.
    """
    if expert.blueprint is None:
        raise OrxeError(
            f"expert {expert.name!r} was made without a config: load it from an address mmdet:CONFIG@CHECKPOINT"
        )
    return {
        "blueprint": expert.blueprint.to_dict(),
        "names": expert.names,
        "score_thr": expert.score_thr,
        "state": state_of(expert.module),
    }


def unpack_expert(name: str, options: Mapping[str, Any], packed: Mapping[str, Any]) -> MMDetExpert:
    """The inverse of :func:`pack_expert`.

    Args:
        name: the expert's name in its address, for errors.
        options: options of its address; all that matters of them is in ``packed``.
        packed: what :func:`pack_expert` gave.

    Raises:
        OrxeError: the code that the config imports is not there, or mmdet cannot build the model.
    """
    blueprint = Blueprint(**packed["blueprint"])
    blueprint.import_projects()
    # A caller's random numbers stay what they would have been: the first weights are random, and replaced.
    with torch.random.fork_rng(devices=()):
        module, pipeline = blueprint.build(name)
    load_state(module, packed["state"], f"mmdet:{name}")
    expert = MMDetExpert(
        f"mmdet:{name}", module, pipeline=pipeline, names=packed["names"], score_thr=packed["score_thr"]
    )
    expert.blueprint = blueprint
    return expert
