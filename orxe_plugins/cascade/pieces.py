"""What an expert made of parts of a parcel, and what the host has to know of it to say where samples go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.cascade.faults import not_finite
from orxe_plugins.cascade.parcel import Parcel
from orxe_plugins.data.batch import take_rows
from orxe_plugins.experts.expert import Answers, Expert

#: places within a parcel, and what an expert made of these samples
Piece = tuple[np.ndarray, Answers | Exception]
#: waits for the confidences, 0 where they are NaN, float32 (K,), and which outputs are not finite, bool (K,)
Told = Callable[[], tuple[np.ndarray, np.ndarray]]


class Started(NamedTuple):
    """An expert that was handed a parcel.

    Attributes:
        expert: its index.
        parcel: the samples.
        pieces: what it made of parts of them; None: there is no such expert.
        told: what the host has to know of each part, on its way; None where the expert failed.
    """

    expert: int
    parcel: Parcel
    pieces: Sequence[Piece] | None
    told: Sequence[Told | None] = ()


def of_rows(pieces: Sequence[Piece], rows: np.ndarray) -> list[Piece]:
    """What was made of some of the samples, by their places among these; ``rows`` rise."""
    found: list[Piece] = []
    for index, made in pieces:
        kept = np.flatnonzero(np.isin(index, rows))
        if len(kept) and not isinstance(made, Exception):
            chosen = torch.from_numpy(kept)
            confidence = made.confidence[chosen.to(made.confidence.device)]
            made = replace(made, outputs=take_rows(made.outputs, chosen), confidence=confidence)
        if len(kept):
            found.append((np.searchsorted(rows, index[kept]), made))
    return found


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
