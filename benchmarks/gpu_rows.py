"""Times of a cascade and of each of its experts under one backend, and what is ideal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gpu_pool import Pool

from orxe_plugins import Cascade
from orxe_plugins.cascade.optimize import OptimizeOptions, optimize_expert
from orxe_plugins.experts.measure import DTYPES

#: images of a row, at least
_LEAST = 32
#: sizes of the cascade's graphs: in a convolutional network, each of them takes seconds to capture
_BUCKETS = (1, 4, 8, 16, 32, 64, 128, 256)
#: how often a stream goes through the images: at its end, batches are not full
_REPEATS = 4
#: seconds after which a row has rounds enough, if it has three
_SECONDS = 4.0


def measure(pool: Pool, backend: str, batches: Sequence[int], rounds: int) -> dict[str, Any]:
    """Images/s of each expert alone, of the cascade batch by batch and as a stream, and how near that is to the ideal.

    The ideal of a batch is the time of its experts at exactly the sub-batches that they get; that of a stream, the time
    of full batches. All runs of a round take turns.
    """
    with pool.running():
        plan = {size: [_sub_batches(pool, pool.cascade, batch) for batch in _batches(pool, size)] for size in batches}
    singles = [_alone(pool, i, backend, {*batches, *_counts(plan, i)}) for i in range(len(pool.names))]
    cascade = _ready(pool.cascade, backend, pool, batches)
    rows = []
    with pool.running():
        for size in batches:
            rows.append(_row(pool, cascade, singles, size, rounds))
        stream = _stream(pool, cascade, singles, max(batches), rounds)
    return {"rows": rows, "stream": stream, "experts": list(pool.names)}


def _batches(pool: Pool, size: int) -> list[Any]:
    """The batches of a row."""
    count = max(1, min(_LEAST, len(pool.images)) // size)
    return [pool.batch(size, k) for k in range(count)]


def _counts(plan: dict[int, list[np.ndarray]], expert: int) -> set[int]:
    """How many samples an expert is handed at once in any of the batches."""
    return {int(counts[expert]) for rows in plan.values() for counts in rows if counts[expert]}


def _alone(pool: Pool, expert: int, backend: str, sizes: set[int]) -> Callable[[Any], Any]:
    """One expert by itself under the backend, without any routing; graphs are of exactly these sizes."""
    member = pool.cascade.members[expert]
    if backend == "eager":
        return member.run
    alone = pool.alone(expert)
    options = OptimizeOptions(pool.device, _dtype(pool), tuple(sorted(sizes)), backend)
    path, _ = optimize_expert(member, alone.setup, options, pool.batch(1))
    return lambda batch: path.run(batch, alone.context(batch))


def _ready(cascade: Cascade, backend: str, pool: Pool, batches: Sequence[int]) -> Cascade:
    """The cascade as it runs under the backend."""
    cascade.setup = replace(cascade.setup, fast={})
    if backend != "eager":
        sizes = tuple(sorted({*batches, *(size for size in _BUCKETS if size <= max(batches))}))
        report = cascade.optimize(
            pool.device, dtype=_dtype(pool), batch_sizes=sizes, backend=backend, example=pool.batch(1)
        )
        print(report, file=sys.stderr)
    return cascade


def _dtype(pool: Pool) -> torch.dtype | None:
    return None if pool.dtype == "fp32" else DTYPES[pool.dtype]


def _row(pool: Pool, cascade: Any, singles: Sequence[Any], size: int, rounds: int) -> dict[str, Any]:
    """One batch size: every expert alone, the cascade, and its experts at the sub-batches that they get."""
    batches = _batches(pool, size)
    parts = [_sub_batches(pool, cascade, batch) for batch in batches]

    def ideal() -> None:
        for batch, counts in zip(batches, parts, strict=True):
            for single, count in zip(singles, counts, strict=True):
                if count:
                    single(batch[:count])

    runs: dict[str, Callable[[], Any]] = {"cascade": lambda: _all(cascade, batches), "ideal": ideal}
    for name, single in zip(pool.names, singles, strict=True):
        runs[name] = lambda single=single: _all(single, batches)
    seconds = in_turn(runs, rounds, pool.device)
    images = size * len(batches)
    last = seconds[pool.names[-1]]
    return {
        "batch": size,
        "images_per_second": {name: images / float(np.median(times)) for name, times in seconds.items()},
        "of_ideal": spread(seconds["ideal"] / seconds["cascade"]),
        "against_last": spread(last / seconds["cascade"]),
        "reach": (np.sum(parts, axis=0) / images).tolist(),
    }


def _stream(pool: Pool, cascade: Any, singles: Sequence[Any], size: int, rounds: int) -> dict[str, Any]:
    """All images as a stream, beside full batches of each expert."""
    images = list(pool.images) * _REPEATS
    batch = pool.batch(size)
    reach = np.sum([_sub_batches(pool, cascade, part) for part in pool.images.split(size)], axis=0) / len(pool.images)
    runs: dict[str, Callable[[], Any]] = {"cascade": lambda: list(cascade.stream(images, batch_size=size))}
    for name, single in zip(pool.names, singles, strict=True):
        runs[name] = lambda single=single: single(batch)
    seconds = in_turn(runs, rounds, pool.device)
    per_image = [seconds[name] / len(batch) for name in pool.names]
    ideal = sum(share * each for share, each in zip(reach, per_image, strict=True))
    ours = seconds["cascade"] / len(images)
    return {
        "batch": size,
        "images": len(images),
        "images_per_second": float(np.median(1 / ours)),
        "of_ideal": spread(ideal / ours),
        "against_last": spread(per_image[-1] / ours),
        "reach": reach.tolist(),
    }


def _all(answer: Callable[[Any], Any], batches: Sequence[Any]) -> None:
    for batch in batches:
        answer(batch)


def _sub_batches(pool: Pool, cascade: Any, batch: Any) -> np.ndarray:
    _, route = cascade.route(batch)
    return route.ran.sum(dim=0).cpu().numpy()


def in_turn(runs: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, np.ndarray]:
    """Seconds of each run in each round, after two that are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for i in range(rounds + 2):
        if i >= 5 and time.perf_counter() - began > _SECONDS:
            break
        order = list(runs) if i % 2 else list(reversed(runs))
        for name in order:
            _wait(device)
            start = time.perf_counter()
            runs[name]()
            _wait(device)
            if i >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}


def spread(values: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(values, (10, 90))
    return {"value": float(np.median(values)), "low": float(low), "high": float(high)}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
