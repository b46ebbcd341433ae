"""Capturing a function on a CUDA device as graphs, one for each batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.cascade.fast_path import Bucket, Pair, Replay, Turns

#: runs a function on an input, and gives what replays it and the outputs that a replay writes
Capture = Callable[[Callable[[Tensor], Pair], Tensor], tuple[Replay, Pair]]

_WARM_UPS = 3


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


def capture_buckets(
    work: Callable[[Tensor], Pair], example: Tensor, sizes: Sequence[int], capture: Capture
) -> dict[int, Bucket]:
    """A graph for each size, the largest first, so that smaller ones find their memory in its.

    Args:
        work: what to capture.
        example: one sample's view, (1, ...).
        sizes: the batch sizes.
        capture: captures one of them.
    """
    buckets, turns = {}, Turns(example.device)
    largest = repeated(example, max(sizes))
    for size in sorted(sizes, reverse=True):
        view = largest[:size]  # they take turns
        replay, outputs = capture(work, view)
        buckets[size] = Bucket(view, outputs, replay, turns)
    return buckets


def repeated(example: Tensor, size: int) -> Tensor:
    """One sample so many times, (size, ...), in its own layout."""
    view = example.repeat(size, *[1] * (example.ndim - 1))
    if example.ndim == 4 and example.is_contiguous(memory_format=torch.channels_last):
        return view.contiguous(memory_format=torch.channels_last)
    return view
