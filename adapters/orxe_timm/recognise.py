"""Which timm model a file of weights belongs to, and with which options."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models import is_model, list_models

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.checkpoints import StateDict, misfit, part_for, read_checkpoint, read_state_dict
from orxe_timm.experts import load_untrained

#: options that timm's training scripts keep beside the weights, with their names here
_ARGUMENTS = ("img_size", "input_size", "mean", "std", "interpolation", "crop_pct")
_FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")
#: so many names that a file's name holds are tried
_TRIED = 8


def recognise(
    checkpoint: Path, name: str | None = None, given: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]] | None:
    """The name and the options of the model whose weights a file holds.

    The name is the one given, or what the file says: timm's training scripts write ``arch`` and their arguments,
    ``save_for_hf`` a ``config.json`` beside it; else a model's name in that of the file or of its folder.

    Args:
        checkpoint: the file.
        name: the model's name, where it is known.
        given: options of :func:`orxe_timm.experts.load_expert` that are known.

    Returns:
        ``num_classes`` and ``in_chans`` are read from the weights' shapes, what images look like from the arguments of
        the training; those that are given are left out. None if the file says no name that its weights fit.

    Raises:
        OrxeError: the file cannot be read, its weights do not fit the model that is named, or a given option does not.
    """
    given = dict(given or {})
    weights = read_state_dict(checkpoint)
    said, view = _said(checkpoint)
    view = {key: value for key, value in view.items() if key not in given}
    if name is not None or said is not None:
        named = str(name or said)
        options, differences = _fitted(named, weights, given)
        if differences:
            raise OrxeError(
                f"the weights in {str(checkpoint)!r} are not those of timm:{named}: {differences}. Where the model has "
                f"options, say them, as in timm:{named}?img_size=96@{checkpoint.name}"
            )
        return named, {**options, **view}
    for candidate in _names_in(checkpoint)[:_TRIED]:
        try:
            options, differences = _fitted(candidate, weights, given)
        except OrxeError:
            continue  # an option that is another model's
        if not differences:
            return candidate, {**options, **view}
    return None


def _said(checkpoint: Path) -> tuple[str | None, dict[str, Any]]:
    """The model's name and the view's options that lie in a file or beside it."""
    config = checkpoint.parent / "config.json"
    if checkpoint.suffix == ".safetensors" and config.is_file():
        try:
            said = json.loads(config.read_text(encoding="utf-8"))
        except ValueError:
            return None, {}
        return said.get("architecture"), _view_of(said.get("pretrained_cfg") or said)
    content = read_checkpoint(checkpoint) if checkpoint.suffix != ".safetensors" else {}
    if not isinstance(content, Mapping):
        return None, {}
    arguments = content.get("args")
    arguments = dict(arguments) if isinstance(arguments, Mapping) else vars(arguments) if arguments is not None else {}
    name = content.get("arch") or arguments.get("model")
    return (str(name) if isinstance(name, str) and is_model(name.partition(".")[0]) else None), _view_of(arguments)


def _view_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a view among arguments; what is not given there is left to the model's configuration."""
    view = {key: said[key] for key in _ARGUMENTS if said.get(key)}
    if view.get("interpolation") not in _FILTERS:
        view.pop("interpolation", None)
    for key in ("mean", "std", "input_size"):
        if key in view:
            view[key] = list(view[key])
    return view


def _names_in(checkpoint: Path) -> list[str]:
    """Names of timm models inside of a file's name, or of its folder's, the longest first."""
    found: list[str] = []
    models = [*list_models(), *list_models(pretrained=True)]
    for text in (checkpoint.name, checkpoint.parent.name):
        written = text.lower().replace("-", "_")
        here = [name for name in models if _stands_in(name.lower(), written)]
        found += sorted(set(here) - set(found), key=lambda name: (-len(name), name))
    return found


def _stands_in(name: str, text: str) -> bool:
    return name in text and re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text) is not None


def _fitted(name: str, weights: StateDict, given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The options with which a model has weights of just these names and shapes; and where it has not, why."""
    try:
        model = load_untrained(name, **given).module
        weights = part_for(weights, model.state_dict())
        options = {key: value for key, value in _changed(model, weights).items() if key not in given}
        if options:
            model = load_untrained(name, **given, **options).module
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        return {}, f"the model cannot be built ({error})"
    return options, misfit(weights, model.state_dict())


def _changed(model: torch.nn.Module, weights: StateDict) -> dict[str, Any]:
    """The number of classes and of channels in the weights, where they are not the model's own."""
    config: Mapping[str, Any] = getattr(model, "pretrained_cfg", {}) or {}
    own = model.state_dict()
    options: dict[str, Any] = {}
    for option, key, axis in (("num_classes", "classifier", 0), ("in_chans", "first_conv", 1)):
        part = config.get(key)
        part = part[0] if isinstance(part, (tuple, list)) and part else part
        weight = f"{part}.weight"
        if weight in own and weight in weights and own[weight].ndim == weights[weight].ndim:
            count = weights[weight].shape[axis]
            if count != own[weight].shape[axis]:
                options[option] = count
    return options
