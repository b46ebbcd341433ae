"""What goes wrong with samples at experts, and what becomes of them then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from orxe_plugins.confidence.softmax import SoftmaxConfidence
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Answers, Expert
from orxe_plugins.util.texts import printable

ON_ERROR = ("raise", "best_available")
NOT_FINITE = "its output is not finite"

#: characters of a message that are kept: torch may list all that an operation takes, for each sample anew
_LONGEST = 500


class Fault(NamedTuple):
    """What went wrong with one sample at one expert.

    Attributes:
        row: the sample's place in the batch, or in the stream.
        expert: index of the expert that failed on it.
        message: what happened.
    """

    row: int
    expert: int
    message: str


class ExpertTimeoutError(OrxeError, TimeoutError):
    """An expert took longer than it may."""


def check_on_error(value: str) -> str:
    """What is to be done about faults, if it is one of ``ON_ERROR``.

    Raises:
        OrxeError: it is something else.
    """
    if value not in ON_ERROR:
        raise OrxeError(f"on_error is {value!r}: expected {' or '.join(map(repr, ON_ERROR))}")
    return value


def in_words(error: BaseException) -> str:
    """An error's kind and its message, on one line; the beginning of a long message."""
    text = printable(" ".join(str(error).split()))
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def checked(expert: Expert, answers: Answers, size: int) -> Answers:
    """An expert's answers, if they are as many as the samples that it was handed.

    Raises:
        OrxeError: it gave others.
    """
    outputs, confidence = answers.outputs, answers.confidence
    if isinstance(outputs, Tensor) and outputs.ndim and outputs.shape[0] == size and confidence.shape == (size,):
        return answers  # as a rule
    parts = outputs.values() if isinstance(outputs, Mapping) else (outputs,)
    given = next((len(part) for part in parts if len(part) != size), size)
    if given != size:
        raise OrxeError(f"expert {expert.name!r} gave {given} answers to {size} samples: expected one for each")
    if tuple(confidence.shape) != (size,):
        raise OrxeError(
            f"expert {expert.name!r} gave confidences of shape {tuple(confidence.shape)} to {size} samples: "
            f"expected ({size},)"
        )
    return answers


def not_finite(expert: Expert, outputs: Any) -> Tensor | None:
    """Which of B outputs hold NaN or an infinite value, bool (B,) on their device; None: they hold no numbers.

    A log-probability of minus infinity is a class that the expert rules out, as long as there are others.
    """
    classifies = isinstance(expert, ClassifierExpert) or isinstance(expert.confidence, SoftmaxConfidence)
    return _not_finite(outputs, classifies)


def _not_finite(outputs: Any, rules_out: bool) -> Tensor | None:
    if isinstance(outputs, Tensor):
        return _of_tensor(outputs, rules_out)
    if isinstance(outputs, Mapping):
        found = [part for part in (_not_finite(value, rules_out) for value in outputs.values()) if part is not None]
        return torch.stack([part.to(found[0].device) for part in found]).any(dim=0) if found else None
    if not isinstance(outputs, (list, tuple)) or not outputs:
        return None
    if all(isinstance(one, Detections) for one in outputs):
        return _of_detections(outputs)
    if all(isinstance(one, Tensor) for one in outputs):
        parts = [_of_tensor(one[None], rules_out) for one in outputs]
        sound = [part for part in parts if part is not None]
        return torch.cat(sound) if len(sound) == len(parts) else None
    return None


def _of_tensor(values: Tensor, rules_out: bool) -> Tensor | None:
    if not values.is_floating_point() or values.numel() == 0 or values.ndim == 0:
        return None
    each = values.detach().reshape(len(values), -1)  # (B, ...) -> (B, D)
    # The extremes carry NaN along; a mask of every value would take more memory than the values.
    if rules_out:
        return ~each.amax(dim=1).isfinite()
    least, most = each.aminmax(dim=1)
    return ~(least.isfinite() & most.isfinite())


def _of_detections(found: Sequence[Detections]) -> Tensor:
    device = found[0].scores.device
    rows = torch.cat([torch.cat([one.boxes.detach(), one.scores.detach()[:, None]], dim=1) for one in found])
    lengths = torch.tensor([len(one) for one in found])
    image = torch.repeat_interleave(torch.arange(len(found)), lengths, output_size=len(rows))
    bad = ~rows.isfinite().all(dim=1)  # (sum of K,)
    count = torch.zeros(len(found), device=device)
    return count.index_add_(0, image.to(device, non_blocking=True), bad.float()) > 0
