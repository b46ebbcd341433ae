"""Making a cascade's experts fast on one device: graphs, compiled models, memory layouts; what wins is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.cascade.fast_path import Bucket, Core, FastPath, FastPaths, Pair, chunks_of
from orxe_plugins.cascade.faults import in_words
from orxe_plugins.cascade.graphs import MOST_BETWEEN, Capture, Captures, CudaCapture, repeated, wide_step
from orxe_plugins.cascade.optimize_report import OptimizedExpert, OptimizeReport
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.util.arguments import check_counts

BACKENDS = ("graphs", "compile", "eager")
#: between powers of two, so that few rows of a graph are wasted
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
#: timed calls of one size, and the milliseconds after which fewer have to do
_ROUNDS, _ENOUGH = 5, 100.0


@dataclass(frozen=True)
class OptimizeOptions:
    """How to optimize; see :meth:`orxe_plugins.Cascade.optimize`.

    Raises:
        OrxeError: a value is out of range.
    """

    device: torch.device
    dtype: torch.dtype | None = None
    batch_sizes: Sequence[int] = BATCH_SIZES
    backend: str = "eager"
    threads: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise OrxeError(f"backend is {self.backend!r}: expected {', '.join(map(repr, BACKENDS))}")
        for name in ("batch_sizes", "threads"):
            object.__setattr__(self, name, check_counts(name, getattr(self, name), 1))
        if not self.batch_sizes:
            raise OrxeError("batch_sizes is empty: expected at least one batch size")
        if self.threads and self.device.type != "cpu":
            raise OrxeError(f"threads is {list(self.threads)}: they are tried on a CPU alone, not on {self.device}")
        if self.dtype == torch.float32:
            object.__setattr__(self, "dtype", None)
        if self.dtype not in (None, torch.float16, torch.bfloat16):
            raise OrxeError(f"dtype is {self.dtype}: expected torch.float16, torch.bfloat16 or torch.float32")


class UnfitError(Exception):
    """An expert that has to run as before; the message says why."""


def optimize_expert(
    expert: Expert, setup: CascadeSetup, options: OptimizeOptions, example: Any = None, capture: Capture | None = None
) -> tuple[FastPath, OptimizedExpert]:
    """The fastest way to run one expert, which is on its device already.

    Args:
        expert: the expert; it stays as it is but for the layout of its weights.
        setup: what the cascade decided.
        options: how to optimize.
        example: samples, for an expert that knows no example of its own.
        capture: captures graphs; CUDA's own by default.

    Raises:
        UnfitError: it has to run as before.
    """
    view = _example(expert, setup, example)
    if options.backend == "graphs" and capture is None and view.device.type != "cuda":
        raise UnfitError("graphs are a thing of CUDA devices: use backend='compile' or 'eager' here")
    plain = Core(expert, expert.module, None)
    eager = {size: _ms(plain, repeated(view, size)) for size in options.batch_sizes}
    core = Core(expert, _fast_module(expert, options.dtype), options.dtype)
    copied = 0 if core.module is expert.module else sum(p.nbytes for p in core.module.parameters())
    if options.backend == "graphs":
        return _captured(expert, core, view, options, eager, capture, copied)
    if options.backend == "compile" and view.device.type == "cuda":
        return _captured(expert, _compiled(core), view, options, eager, capture, copied)
    ways: dict[str, Callable[[Tensor], Pair]] = {"channels_last": core}
    if options.dtype is None:
        ways["eager"] = plain
    if options.backend == "compile":
        ways["compiled"] = _compiled(core)
    return _measured(expert, ways, view, options, eager, copied)


def _captured(
    expert: Expert,
    core: Callable[[Tensor], Pair],
    view: Tensor,
    options: OptimizeOptions,
    eager: Mapping[int, float],
    capture: Capture | None,
    copied: int,
) -> tuple[FastPath, OptimizedExpert]:
    captures = Captures(core, _laid_out(view), max(options.batch_sizes), capture or CudaCapture())
    buckets: dict[int, Bucket] = {}
    ms: dict[int, float] = {}
    waiting = sorted(options.batch_sizes)
    while waiting:
        size = waiting.pop()
        buckets[size] = captures.bucket(size)
        ms[size] = _ms(buckets[size], repeated(view, size))
        if not waiting and len(ms) < len(options.batch_sizes) + MOST_BETWEEN:
            waiting = wide_step(ms)
    ms = dict(sorted(ms.items()))
    ways = dict.fromkeys(ms, "compiled graph" if options.backend == "compile" else "graph")
    path = FastPath(expert, view, {max(ms): core}, buckets, chunks_of(ms))
    path.copied = copied
    return path, OptimizedExpert(expert.name, ways, ms, eager)


def _measured(
    expert: Expert,
    ways: Mapping[str, Callable[[Tensor], Pair]],
    view: Tensor,
    options: OptimizeOptions,
    eager: Mapping[int, float],
    copied: int,
) -> tuple[FastPath, OptimizedExpert]:
    chosen: dict[int, str] = {}
    ms: dict[int, float] = {}
    for size in sorted(options.batch_sizes):
        batch = repeated(view, size)
        times = {name: eager[size] if name == "eager" else _ms(way, batch) for name, way in ways.items()}
        chosen[size] = min(times, key=lambda name: times[name])
        ms[size] = times[chosen[size]]
    path = FastPath(expert, view, {size: ways[name] for size, name in chosen.items()})
    path.copied = copied if set(chosen.values()) != {"eager"} else 0
    return path, OptimizedExpert(expert.name, chosen, ms, eager)


def _example(expert: Expert, setup: CascadeSetup, example: Any) -> Tensor:
    """One sample's view, if the expert is one whose model can be run apart from it."""
    kind = type(expert)
    if kind.run is not Expert.run or kind.forward is not Expert.forward:
        raise UnfitError(f"a {kind.__name__} has a way of its own to run its model")
    if kind.answers not in (Expert.answers, ClassifierExpert.answers):
        raise UnfitError(f"a {kind.__name__} has answers of its own")
    if expert.confidence.needs_features:
        raise UnfitError("its confidence looks at features inside of the model")
    if expert.name in setup.needed:
        raise UnfitError("another expert builds on its features")
    view = expert.example()
    if view is None and example is not None:
        view = expert.prepare(expert.as_if_alone(example, BatchContext.of(example, setup)))[:1]
    if not isinstance(view, Tensor):
        raise UnfitError(
            "what its model takes is not known: give example=, some samples of the kind that will be routed"
        )
    view = view.detach().clone()
    with torch.no_grad():
        outputs = expert.module(view)
    if not isinstance(outputs, Tensor):
        raise UnfitError(f"its model gives a {type(outputs).__name__}, not a tensor")
    return view


def _fast_module(expert: Expert, dtype: torch.dtype | None) -> nn.Module:
    """The model in the layout that convolutions are fastest in; under autocast a copy whose weights are cast already.

    On a GPU the model itself changes its layout, so that it is there once; elsewhere a copy does.
    """
    if dtype is None and expert.device.type == "cuda":
        return expert.module.to(memory_format=torch.channels_last)
    copy = deepcopy(expert.module).to(memory_format=torch.channels_last)
    if dtype is not None:
        for part in copy.modules():
            # What autocast casts before each use; other layers keep their precision under it.
            if type(part) in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear):
                part.to(dtype)
    return copy.requires_grad_(False)


def _compiled(core: Callable[[Tensor], Pair]) -> Callable[[Tensor], Pair]:
    compiled = torch.compile(core)

    def run(view: Tensor) -> Pair:
        if len(view) > 1:
            # One program for all sizes; where a model does not allow it, one for each.
            torch._dynamo.maybe_mark_dynamic(view, 0)
        return compiled(view)

    return run


def _laid_out(view: Tensor) -> Tensor:
    return view.contiguous(memory_format=torch.channels_last) if view.ndim == 4 else view


def _ms(work: Callable[[Tensor], Any], view: Tensor) -> float:
    """Median milliseconds of one call, after one that is not counted; of few calls where one takes long."""
    times: list[float] = []
    with torch.no_grad():
        for i in range(_ROUNDS + 1):
            _wait(view)
            start = time.perf_counter()
            work(view)
            _wait(view)
            times.append(1000 * (time.perf_counter() - start))
            if i > 0 and sum(times[1:]) > _ENOUGH:
                break
    return median(times[1:])


def _wait(view: Tensor) -> None:
    if view.is_cuda:
        torch.cuda.synchronize(view.device)


def optimize_experts(
    experts: Sequence[Expert],
    used: Sequence[int],
    setup: CascadeSetup,
    options: OptimizeOptions,
    example: Any = None,
    capture: Capture | None = None,
) -> tuple[FastPaths, OptimizeReport]:
    """Move the experts that are used to a device and find the fastest way to run each of them.

    Args:
        experts: N experts.
        used: indices of those that a policy uses.
        setup: what the cascade decided.
        options: how to optimize.
        example: samples, for experts that know no example of their own.
        capture: see :func:`optimize_expert`.
    """
    start, before = time.perf_counter(), _memory(options.device)
    paths, told = FastPaths(), []
    with torch.inference_mode(False), torch.no_grad():
        threads = _choose_threads([experts[i] for i in used], setup, options, example)
        for i in used:
            expert = experts[i].to(options.device)
            try:
                paths[expert], one = optimize_expert(expert, setup, options, example, capture)
            # Whatever a compiler or a capture raises: the expert runs as before, and the report says why.
            except Exception as error:
                reason = str(error) if isinstance(error, UnfitError) else in_words(error)
                one = OptimizedExpert(expert.name, {}, {}, {}, reason)
            told.append(one)
    on_host = tuple(expert.name for i, expert in enumerate(experts) if i not in used)
    report = OptimizeReport(
        str(options.device),
        options.backend,
        tuple(told),
        on_host,
        time.perf_counter() - start,
        max(_memory(options.device) - before, 0),
        sum(path.copied for path in paths.values()),
        threads,
    )
    return paths, report


def _choose_threads(
    experts: Sequence[Expert], setup: CascadeSetup, options: OptimizeOptions, example: Any
) -> dict[int, float]:
    """Set the number of torch's threads that takes all experts the least time; milliseconds of each that was tried."""
    if not options.threads:
        return {}
    works: list[tuple[Core, Tensor]] = []
    for expert in experts:
        try:
            core = Core(expert.to(options.device), expert.module, None)
            works.append((core, _example(expert, setup, example)))
        # What cannot be optimized runs as before, on as many threads as the others are fastest on.
        except Exception:
            continue
    if not works:
        return {}
    took = {}
    for count in options.threads:
        torch.set_num_threads(count)
        took[count] = sum(_ms(core, repeated(view, size)) for core, view in works for size in options.batch_sizes)
    torch.set_num_threads(min(took, key=lambda count: took[count]))
    return took


def _memory(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info(device)
    return total - free
