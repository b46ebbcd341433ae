"""What the host has to know of an expert's answers before it can say where their samples go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.cascade.faults import not_finite
from orxe_plugins.experts.expert import Answers, Expert

#: waits for the confidences, 0 where they are NaN, float32 (K,), and which outputs are not finite, bool (K,)
Told = Callable[[], tuple[np.ndarray, np.ndarray]]


def told_by(expert: Expert, answers: Answers) -> Told:
    """Set off for the host with what it has to know of K answers, in one transfer; the device is not waited for."""
    confidence = answers.confidence.detach().to(torch.float32)
    unsound = not_finite(expert, answers.outputs)
    parts = [confidence] if unsound is None else [confidence, unsound.to(confidence.device, torch.float32)]
    arrive = _sent(torch.stack(parts))  # (1 or 2, K)

    def read() -> tuple[np.ndarray, np.ndarray]:
        host = torch.nan_to_num(arrive(), nan=0.0).numpy()
        return host[0], host[1] > 0 if len(host) > 1 else np.zeros(host.shape[1], dtype=bool)

    return read


def _sent(values: Tensor) -> Callable[[], Tensor]:
    """Bring values to the host; what is returned waits until they are there."""
    if values.device.type != "cuda":
        return values.cpu
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    with torch.cuda.device(values.device):
        host.copy_(values, non_blocking=True)
        there = torch.cuda.Event()
        there.record()

    def wait() -> Tensor:
        there.synchronize()
        return host

    return wait
