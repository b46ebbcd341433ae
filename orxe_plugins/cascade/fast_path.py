"""One expert's model as it runs fastest on a device: prepared for some batch sizes, chosen by measured times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from orxe_plugins.cascade.watch import Watch, numbers_of
from orxe_plugins.data.batch import joined
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Answers, Expert

#: a view (B, ...) to outputs (B, ...) and confidence, float32 (B,)
Pair = tuple[Tensor, Tensor]


class Core(nn.Module):
    """What of an expert runs on a device without the host: the model, and the confidence of what it gives.

    Args:
        expert: the expert.
        module: its model, or a copy of that.
        dtype: run the model under autocast to it; None: as it is.
    """

    def __init__(self, expert: Expert, module: nn.Module, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.module = module
        self.confidence = expert.confidence
        self._kind = expert.device.type
        self._dtype = dtype
        columns = expert.columns if isinstance(expert, ClassifierExpert) else None
        self._columns = None if columns is None else columns.to(expert.device)

    def forward(self, view: Tensor) -> Pair:
        if self._dtype is None:
            outputs = self.module(view)
        else:
            with torch.autocast(self._kind, self._dtype, cache_enabled=False):
                outputs = self.module(view)
        if self._columns is not None:
            outputs = outputs.index_select(1, self._columns)
        return outputs, self.confidence(outputs).to(torch.float32)


class Replay(Protocol):
    """A captured graph: runs on the input that it was captured with, and writes the outputs that it gave then."""

    def __call__(self) -> None: ...


class Turns:
    """Lets one thread at a time use the graphs of an expert, which share their memory.

    Args:
        device: where they run.
    """

    def __init__(self, device: torch.device) -> None:
        self._lock = threading.Lock()
        self._device = device
        self._stream: torch.cuda.Stream | None = None

    def begin(self) -> bool:
        """Whether it is this thread's turn now."""
        if not self._lock.acquire(blocking=False):
            return False
        if self._device.type == "cuda":
            stream = torch.cuda.current_stream(self._device)
            if self._stream is not None and self._stream != stream:
                stream.wait_stream(self._stream)  # which may still be reading
            self._stream = stream
        return True

    def end(self) -> None:
        """It is another thread's turn."""
        self._lock.release()


class Bucket:
    """A captured graph for batches of up to one size.

    Args:
        view: the input that the graph reads, (size, ...).
        outputs: what the graph writes.
        replay: runs it.
        turns: shared by the graphs of one expert.
    """

    def __init__(self, view: Tensor, outputs: Pair, replay: Replay, turns: Turns) -> None:
        self._view = view
        self._outputs = outputs
        self._replay = replay
        self._turns = turns

    def __call__(self, view: Tensor) -> Pair | None:
        """What the model gives for K samples, at most its size; None where another thread is using the graphs."""
        if not self._turns.begin():
            return None
        count, (outputs, confidence) = view.shape[0], self._outputs
        try:
            self._view[:count].copy_(view)
            self._replay()
            return outputs[:count].clone(), confidence[:count].clone()
        finally:
            self._turns.end()


class FastPath:
    """Runs an expert's model in the way that was measured to be the fastest for each batch size.

    Args:
        expert: the expert.
        example: one sample's view, (1, ...).
        cores: a function on views of any size, for each of the rising sizes up to which it was the fastest.
        buckets: captured graphs by their size.
        chunks: for every number of samples, the sizes of the graphs that answer it in the least time; empty where
            there are no graphs.

    Attributes:
        copied: bytes of copied weights that it holds.
    """

    def __init__(
        self,
        expert: Expert,
        example: Tensor,
        cores: Mapping[int, Callable[[Tensor], Pair]],
        buckets: Mapping[int, Bucket] | None = None,
        chunks: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.copied = 0
        self._expert = expert
        self._like = (example.shape[1:], example.dtype, example.device)
        self._cores = dict(sorted(cores.items()))
        self._buckets = dict(buckets or {})
        self._chunks = list(chunks)
        # Graphs read the weights where they lay: whatever lies elsewhere or changed since is not answered from here.
        self._watch = Watch([expert.module, expert.confidence])
        weights = list(expert.module.parameters())
        self._ends = weights[:1] + weights[-1:]
        self._made_of = self._state()
        self._is_out_of_date = False

    def run(self, batch: Any, context: BatchContext) -> Answers | None:
        """The expert's answers; None where this way does not serve and the expert has to run as ever."""
        expert = self._expert
        if expert.training or self._is_out_of_date or self._state() != self._made_of:
            return None
        view = expert.prepare(expert.as_if_alone(batch, context))
        if not isinstance(view, Tensor) or (view.shape[1:], view.dtype, view.device) != self._like or not view.shape[0]:
            return None
        with torch.no_grad():
            answers = Answers(*self._answer(view))
        # Every part is looked at only now, while the device works.
        self._is_out_of_date = not self._watch.holds()
        return None if self._is_out_of_date else answers

    def _answer(self, view: Tensor) -> Pair:
        count = view.shape[0]
        if not self._chunks:
            return self._core(count)(view)
        sizes = self._sizes(count)
        if len(sizes) == 1:
            return self._buckets[sizes[0]](view) or self._core(count)(view)
        parts, start = [], 0
        for size in sizes:
            rows = view[start : start + size]
            start += size
            parts.append(self._buckets[size](rows) or self._core(len(rows))(rows))
        return joined([part[0] for part in parts]), joined([part[1] for part in parts])

    def _sizes(self, count: int) -> list[int]:
        """Sizes of the graphs that so many samples go through."""
        largest = len(self._chunks) - 1
        return [max(self._buckets)] * ((count - 1) // largest) + list(self._chunks[(count - 1) % largest + 1])

    def _core(self, size: int) -> Callable[[Tensor], Pair]:
        return next((core for most, core in self._cores.items() if size <= most), list(self._cores.values())[-1])

    def _state(self) -> tuple[Any, ...]:
        """What tells another model or other answers from those that this was made of, at a glance."""
        expert = self._expert
        found: list[Any] = [id(expert.module), id(expert.confidence), numbers_of(expert.confidence)]
        found.append(expert.num_classes if isinstance(expert, ClassifierExpert) else None)
        for weight in self._ends:
            found += (weight.data_ptr(), None if weight.is_inference() else weight._version)
        return tuple(found)


class FastPaths(dict[nn.Module, FastPath]):
    """Fast ways by expert; copies of a cascade have none, since graphs belong to one set of weights."""

    def __deepcopy__(self, memo: dict[int, Any]) -> FastPaths:
        return FastPaths()

    def __reduce__(self) -> tuple[Any, ...]:
        return FastPaths, ()


def chunks_of(ms: Mapping[int, float]) -> list[tuple[int, ...]]:
    """How batches of 0, 1, 2, ... up to the largest size are best cut, given the time of a graph of each size.

    A batch may leave a graph partly unused: 125 samples are 128, or 64 and 64, whatever takes less.

    >>> chunks_of({1: 1.0, 4: 1.5})[3], chunks_of({1: 1.0, 4: 4.5})[3]
    ((4,), (1, 1, 1))
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for count in range(1, max(ms) + 1):
        ways = ((time + best[max(count - size, 0)][0], size) for size, time in ms.items())
        time, size = min(ways)
        best.append((time, (size, *best[max(count - size, 0)][1])))
    return [tuple(sorted(sizes, reverse=True)) for _, sizes in best]
