"""Fingerprints: whether an expert is still the one whose answers were recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.spec import ExpertSpec


def expert_parts(expert: Expert) -> dict[str, Any]:
    """What an expert's answers depend on, as JSON values; any difference makes it another expert.

    Args:
        expert: its weights are those of ``state_dict()``. A model without tensors (an exported
            file) can name its contents through ``get_extra_state()``, as any torch module.

    Returns:
        ``address`` and ``options`` of its spec (None for a module made by hand), ``view``,
        ``confidence`` and ``weights``, a sha256; of a detector also ``labels`` and ``calibration``.
    """
    spec = expert.spec if isinstance(expert.spec, ExpertSpec) else None
    view: Any = getattr(expert, "view", None)
    to_dict = getattr(expert.confidence, "to_dict", None)
    parts = {
        "address": spec.address if spec else None,
        "options": dict(spec.options) if spec else {},
        "view": view.to_dict() if hasattr(view, "to_dict") else None,
        "confidence": to_dict() if to_dict else {"kind": type(expert.confidence).__qualname__},
        "weights": weights_fingerprint(expert.state_dict()),
    }
    if isinstance(expert, ClassifierExpert) and expert.columns is not None:
        parts["labels"] = {"names": expert.names, "columns": expert.columns.tolist()}
    if isinstance(expert, DetectorExpert):
        parts["labels"] = {"names": expert.answer_names, "remap": expert.remap}
        parts["calibration"] = expert.calibration.to_dict() if expert.calibration else None
    return json.loads(json.dumps(parts, default=str))


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """One sha256 over JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def expert_weights(expert: Expert) -> str:
    """Fingerprint of an expert's weights, those of its confidence aside: what ``cascade.json`` is checked by."""
    state = expert.state_dict()
    return weights_fingerprint({key: value for key, value in state.items() if not key.startswith("confidence.")})


def weights_fingerprint(state: Mapping[str, Any]) -> str:
    """sha256 over names, types, shapes and bytes of a state dict; the order of its keys does not matter."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key]
        digest.update(f"{key}\0".encode())
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}\0".encode())
            digest.update(_bytes(value))
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _bytes(value: Tensor) -> memoryview:
    if value.is_quantized:
        value = value.int_repr()
    flat = value.detach().to_dense().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
