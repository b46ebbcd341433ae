"""What benchmarks of time have in common: two things timed in turn, ratios with an interval, and the machine's name."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from orxe_plugins.experts.measure import machine

#: processor time adds threads up and leaves out what other programs take: for one thread on a busy machine
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PACKAGES = ("orxe_plugins", "torch", "timm", "ultralytics", "numpy")


def ratios(
    ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """How much faster ``ours`` is than ``theirs``: both run in turn, and in each round one goes first.

    Returns:
        The median of theirs / ours with its interval, and the seconds that both took, as medians.
    """
    ours(), theirs()
    pairs = []
    for i in range(rounds):
        both = [(0, ours), (1, theirs)] if i % 2 else [(1, theirs), (0, ours)]
        seconds = [0.0, 0.0]
        for place, run in both:
            start = clock()
            run()
            _wait()
            seconds[place] = clock() - start
        pairs.append(seconds)
    times = np.array(pairs)  # (rounds, 2)
    return {
        "ratio": interval(times[:, 1] / times[:, 0]),
        "seconds": float(np.median(times[:, 0])),
        "other_seconds": float(np.median(times[:, 1])),
        "rounds": rounds,
    }


def interval(values: Sequence[float] | np.ndarray, of: Callable[..., Any] = np.median) -> dict[str, float]:
    """A figure of some values, and the 95 % interval of it, by drawing the values anew."""
    known = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0).choice(known, (2000, len(known)))
    low, high = np.percentile(of(draws, axis=1), (2.5, 97.5))
    return {"value": float(of(known)), "low": float(low), "high": float(high)}


def about(device: str, clock: str) -> dict[str, Any]:
    """Where a benchmark ran."""
    place = torch.device(device)
    known = {}
    for name in PACKAGES:
        try:
            known[name] = version(name)
        except ImportError:
            continue
    return {
        "machine": machine(place),
        "device": place.type,
        "threads": torch.get_num_threads(),
        "clock": clock,
        "python": platform.python_version(),
        "versions": known,
    }


def machine_line(facts: dict[str, Any]) -> str:
    """The same in a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    cores = "1 thread" if facts["threads"] == 1 else f"{facts['threads']} threads"
    on = cores if facts["device"] == "cpu" else "one of it"
    clock = (
        "wall time" if facts["clock"] == "wall" else "processor time of the process, which other programs do not add to"
    )
    return f"{facts['machine']}, {on}; {clock}; Python {facts['python']}, {versions}."


def shown(estimate: dict[str, float], digits: int = 3) -> str:
    """A figure with its interval: 1.020 (0.990 to 1.040)."""
    return f"{estimate['value']:.{digits}f} ({estimate['low']:.{digits}f} to {estimate['high']:.{digits}f})"


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
