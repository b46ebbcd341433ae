"""Ultralytics experts as plain values and tensors: what a saved cascade holds of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.packing import load_state, plain, state_of
from orxe_ultralytics.exported import ExportedModel
from orxe_ultralytics.suppression import DetectSettings
from orxe_ultralytics.yolo import YoloExpert

#: models that are all that their yaml and their weights say
_FROM_YAML: dict[str, type[nn.Module]] = {
    "DetectionModel": DetectionModel,
    "RTDETRDetectionModel": RTDETRDetectionModel,
}


def pack_expert(expert: YoloExpert) -> dict[str, Any]:
    """What :func:`unpack_expert` needs, see :func:`orxe_plugins.experts.packing.pack_expert`.

    A model's yaml, label names and weights are kept where a model that is built of them answers the same to the bit.
    Another one, such as a pruned model, is kept as Ultralytics' own ``.pt`` files keep theirs, as a pickled module.
    Of an exported model its place is kept.
    """
    module = expert.module
    common = {"names": expert.names, "imgsz": expert.imgsz, "settings": asdict(expert.settings)}
    if isinstance(module, ExportedModel):
        return {**common, "exported": {"path": module.path, "dnn": module.dnn, "sha256": module.get_extra_state()}}
    described = _describe(module, expert.imgsz)
    return {**common, **({"module": _pickled(module)} if described is None else {"model": described})}


def unpack_expert(name: str, options: Mapping[str, Any], packed: Mapping[str, Any]) -> YoloExpert:
    """The inverse of :func:`pack_expert`.

    Args:
        name: the expert's name at Ultralytics, for errors.
        options: options of its address; all that matters of them is in ``packed``.
        packed: what :func:`pack_expert` gave.

    Raises:
        OrxeError: an exported model is not where it was, or is another one now.
    """
    label = f"ultralytics:{name}"
    if "exported" in packed:
        module: nn.Module = _exported(label, packed["exported"])
    elif "model" in packed:
        module = _build(packed["model"], label)
    else:
        module = torch.load(io.BytesIO(packed["module"]), map_location="cpu", weights_only=False)
    settings = DetectSettings(**packed["settings"])
    return YoloExpert(label, module.eval(), names=packed["names"], imgsz=packed["imgsz"], settings=settings)


def _describe(module: nn.Module, imgsz: int) -> dict[str, Any] | None:
    """A model's class, yaml, names and weights; None unless :func:`_build` makes the same model of them."""
    kind = type(module).__name__
    if type(module) is not _FROM_YAML.get(kind):
        return None
    torch_module: Any = module
    try:
        described = {
            "class": kind,
            "yaml": plain(torch_module.yaml, "the model's yaml"),
            "names": dict(torch_module.names),
            "end2end": bool(getattr(module, "end2end", False)),
            "fused": bool(torch_module.is_fused()),
            "state": state_of(module),
        }
        built = _build(described, kind)
        return described if _answers(built, imgsz) == _answers(module, imgsz) else None
    except Exception:  # Ultralytics raises errors of many kinds for a yaml that it does not build: the module is kept
        return None


def _build(described: Mapping[str, Any], label: str) -> nn.Module:
    # A caller's random numbers stay what they would have been: the first weights are random, and replaced.
    with torch.random.fork_rng(devices=()):
        model: Any = _FROM_YAML[described["class"]](deepcopy(described["yaml"]), verbose=False)
    if described["end2end"] and not getattr(model, "end2end", False):
        model.end2end = True  # a yaml gives a model both heads; which one answers is chosen afterwards
    if described["fused"]:
        model.fuse(verbose=False)
    load_state(model, described["state"], label)
    model.names = dict(described["names"])
    model.task = "detect"
    return model.eval()


@torch.no_grad()
def _answers(module: nn.Module, imgsz: int) -> bytes:
    """What a copy of a model answers to an image of noise, as bytes: models that differ anywhere differ here."""
    image = torch.rand((1, 3, imgsz, imgsz), generator=torch.Generator().manual_seed(0))
    answer = deepcopy(module).cpu().float().eval()(image)
    first: Tensor = answer[0] if isinstance(answer, (list, tuple)) else answer
    return first.contiguous().numpy().tobytes()


def _pickled(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(deepcopy(module).cpu(), buffer)
    return buffer.getvalue()


def _exported(label: str, packed: Mapping[str, Any]) -> ExportedModel:
    module = ExportedModel(Path(packed["path"]), packed["dnn"])
    if module.get_extra_state() != packed["sha256"]:
        raise OrxeError(
            f"the exported model {packed['path']!r} of expert {label!r} has changed since the cascade was saved: put "
            "the former one there, or build the cascade anew"
        )
    return module
