"""How long a recording will take, by a few samples that are timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from orxe_plugins.data.datasets import BadSampleError, Dataset
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert

#: samples that are timed, as many as are there
SAMPLES = 8
#: no second batch is timed of an expert that took longer for the first
_ENOUGH_SECONDS = 2.0


def few_samples(dataset: Dataset, count: int = SAMPLES) -> tuple[list[Any], list[str], float]:
    """Some samples, spread evenly over a data set.

    Returns:
        Their images, what could not be read as "SAMPLE: REASON", and the seconds that reading one took.
    """
    number = min(count, len(dataset))
    places = [i * len(dataset) // number for i in range(number)]
    images, problems = [], []
    start = time.perf_counter()
    for place in places:
        try:
            images.append(dataset.load(place))
        except BadSampleError as error:
            problems.append(f"{dataset.sample_ids[place]}: {error}")
    return images, problems, (time.perf_counter() - start) / max(number, 1)


def seconds_per_sample(
    expert: Expert, images: list[Any], clock: Callable[[], float] = time.perf_counter
) -> float | None:
    """How long an expert takes for one sample, its own preprocessing included; None if it cannot be said.

    An expert on the meta device, which has no weights, is given zeros: dense arithmetic takes as long.
    """
    if not images:
        return None
    try:
        _with_some_weights(expert)
        with torch.inference_mode():
            first = _timed(expert, images[:1], clock)
            if first > _ENOUGH_SECONDS:
                return first
            return _timed(expert, images, clock) / len(images)
    # Zeros in place of weights and of constants may be more than a model can bear.
    except (RuntimeError, ValueError, IndexError, NotImplementedError):
        return None


def reading_seconds(seconds: float) -> float:
    """What reading a sample adds to a recording that reads in threads."""
    return seconds / min(os.cpu_count() or 1, 8)


def _timed(expert: Expert, images: list[Any], clock: Callable[[], float]) -> float:
    start = clock()
    expert.run(images, BatchContext.of(images))
    return clock() - start


def _with_some_weights(expert: Expert) -> None:
    tensors = [*expert.parameters(), *expert.buffers()]
    if not any(tensor.is_meta for tensor in tensors):
        return
    expert.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in [*expert.parameters(), *expert.buffers()]:
            tensor.zero_()
