"""Making an expert: a checkpoint that a recipe trains where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import ExpertSpec, load_expert
from orxe_plugins.util.files import write_atomically


def make_expert(spec: ExpertSpec, fit: Callable[[Expert], object]) -> None:
    """Make the checkpoint that ``spec`` names, unless it is there already.

    Args:
        spec: an expert with a checkpoint; it is built with random weights.
        fit: trains ``expert.module`` in place.
    """
    if spec.checkpoint is None:
        raise OrxeError(f"expert {spec.address!r} has no checkpoint: name the file that its weights go to")
    path = Path(spec.checkpoint)
    if path.exists():
        return
    torch.manual_seed(0)
    expert = load_expert(replace(spec, checkpoint=None, options={**spec.options, "pretrained": False}))
    fit(expert)
    weights = {name: value.contiguous() for name, value in expert.module.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(weights, temporary))
