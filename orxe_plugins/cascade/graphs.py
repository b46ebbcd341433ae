"""Capturing a function on a CUDA device as graphs, one for each batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.cascade.fast_path import Bucket, Pair, Replay, Turns

#: runs a function on an input, and gives what replays it and the outputs that a replay writes
Capture = Callable[[Callable[[Tensor], Pair], Tensor], tuple[Replay, Pair]]

_WARM_UPS = 3
#: a step between two sizes is wide if it takes so many milliseconds, and such a share of the larger one's time
_STEP_MS, _STEP = 0.5, 0.25
#: rows of the smallest step that is looked at, and how many sizes are added at most
_LEAST_STEP, MOST_BETWEEN = 4, 12


class CudaCapture:
    """Captures CUDA graphs that share their memory: they never run at the same time as their own expert's others."""

    def __init__(self) -> None:
        self._pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[Tensor], Pair], view: Tensor) -> tuple[Replay, Pair]:
        """What replays ``work(view)``, and the outputs that a replay writes."""
        with torch.cuda.device(view.device), torch.no_grad():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                # Libraries choose their kernels, and set up what may not be set up while a graph is captured.
                for _ in range(_WARM_UPS):
                    work(view)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                outputs = work(view)
        return graph.replay, outputs


class Captures:
    """Captures of one function for several batch sizes, which share their memory and their input.

    Args:
        work: what to capture.
        example: one sample's view, (1, ...).
        largest: the largest batch size. Capture it first: smaller ones then find their memory in its.
        capture: captures one of them.
    """

    def __init__(self, work: Callable[[Tensor], Pair], example: Tensor, largest: int, capture: Capture) -> None:
        self._work, self._capture = work, capture
        self._view, self._turns = repeated(example, largest), Turns(example.device)

    def bucket(self, size: int) -> Bucket:
        """A graph for batches of up to so many samples."""
        view = self._view[:size]
        replay, outputs = self._capture(self._work, view)
        return Bucket(view, outputs, replay, self._turns)


def wide_step(ms: Mapping[int, float]) -> list[int]:
    """The size in the middle of two neighbours of which the larger takes much longer, if there are any.

    What lies between them runs as the larger one, or cut into smaller ones: in an expert that keeps the device busy,
    rows that nobody asked for take their time too.

    Args:
        ms: milliseconds of batches by their size.

    >>> wide_step({16: 9.4, 32: 17.2}), wide_step({16: 1.2, 32: 1.6})
    ([24], [])
    """
    sizes = sorted(ms)
    for small, large in pairwise(sizes):
        if large - small >= _LEAST_STEP and ms[large] - ms[small] > max(_STEP_MS, _STEP * ms[large]):
            return [(small + large) // 2]
    return []


def repeated(example: Tensor, size: int) -> Tensor:
    """One sample so many times, (size, ...), in its own layout."""
    view = example.repeat(size, *[1] * (example.ndim - 1))
    if example.ndim == 4 and example.is_contiguous(memory_format=torch.channels_last):
        return view.contiguous(memory_format=torch.channels_last)
    return view
