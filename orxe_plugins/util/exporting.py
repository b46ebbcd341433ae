"""Whether torch is turning a model into a fixed graph right now."""

from __future__ import annotations

import torch


def is_exporting() -> bool:
    """Whether a model is being traced or exported (ONNX, TorchScript or ``torch.export``)."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
