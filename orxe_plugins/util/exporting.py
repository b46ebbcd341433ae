"""Whether torch is turning a model into a fixed graph right now."""

from __future__ import annotations

from typing import Any

import torch
import torch.fx

from orxe_plugins.errors import OrxeError


def is_exporting() -> bool:
    """Whether a model is being traced or exported (ONNX, TorchScript or ``torch.export``)."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


def refuse_symbolic(batch: Any) -> None:
    """Raise where torch.fx traces with a stand-in, which cannot say how many samples need the next expert."""
    if isinstance(batch, torch.fx.Proxy):
        raise OrxeError(
            "torch.fx cannot trace a cascade, whose path depends on the data: trace or extract features of one expert "
            "(cascade.members[-1].module)"
        )
