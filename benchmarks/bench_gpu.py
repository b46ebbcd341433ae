"""Time of cascades on an accelerator, beside every single expert under the same backend, in one run of a few minutes.

Nothing is downloaded: weights are random, and thresholds are set by quantiles of the experts' own confidences, so that
given shares of the images reach the experts. With ORXE_DATA, real experts and detectors follow. Writes gpu.json and
gpu.md beside this file.

    python benchmarks/bench_gpu.py                       # the first GPU, at most four minutes
    python benchmarks/bench_gpu.py --device cpu --small  # tiny models: that the script itself runs

It raises unless routes are those of a replay of the device's own confidences, and those of the CPU but for rows whose
confidence lies within a measured band around a threshold. TF32 is off.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gpu_routes
import gpu_rows
import torch
from gpu_markdown import to_markdown
from gpu_pool import Pool, make_pool
from paired import about
from recorded_data import DATA

ROOT = Path(__file__).resolve().parent
BATCHES = (1, 16, 64, 256)
SMALL_BATCHES = (1, 8)
Step = Callable[[dict[str, Any]], None]
PARTS = ("pools", "classifiers", "detectors")


def main() -> None:
    """Measure, check, print the page, and write it."""
    options = _options()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    started = time.perf_counter()
    result: dict[str, Any] = {"about": about(options.device, "wall"), "pools": [], "left_out": {}}
    steps = [*_section("detectors", _detectors, options), *_pools(options)]
    # Real classifiers come before further backends: the time may be up then.
    at = next((i + 1 for i, (name, _) in enumerate(steps) if name.startswith(options.backends[0])), len(steps))
    steps[at:at] = _section("classifiers", _classifiers, options)
    for name, step in steps:
        if time.perf_counter() - started > options.seconds:
            result["left_out"][name] = "the time was up"
            continue
        print(f"{time.perf_counter() - started:.0f} s, {name}", file=sys.stderr)
        step(result)
        _write(result, options.out)
    result["seconds"] = time.perf_counter() - started
    _write(result, options.out)
    print(to_markdown(result))


def _pools(options: argparse.Namespace) -> Iterator[tuple[str, Step]]:
    """Routes first, for figures of wrong answers are worth nothing; then times of each backend."""
    if "pools" not in options.parts:
        return
    pools: dict[str, Pool] = {}
    batches = SMALL_BATCHES if options.small else BATCHES

    def routes(result: dict[str, Any], dtype: str) -> None:
        pool = pools[dtype] = make_pool(torch.device(options.device), dtype, options.small, options.seed)
        facts = {"dtype": dtype, "experts": list(pool.names), "reach": list(pool.reach)}
        result["pools"].append({**facts, "routes": gpu_routes.check(pool, options.rows), "backends": {}})

    def times(result: dict[str, Any], dtype: str, backend: str) -> None:
        found = next(one for one in result["pools"] if one["dtype"] == dtype)
        found["backends"][backend] = gpu_rows.measure(pools[dtype], backend, batches, options.rounds)

    for dtype in options.dtypes:
        yield f"routes, {dtype}", partial(routes, dtype=dtype)
    for backend in options.backends:
        for dtype in options.dtypes[: options.timed]:
            yield f"{backend}, {dtype}", partial(times, dtype=dtype, backend=backend)


def _section(name: str, measure: Any, options: argparse.Namespace) -> Iterator[tuple[str, Step]]:
    """A part with real weights, or why it was not measured."""

    def step(result: dict[str, Any]) -> None:
        found, why = measure(options)
        result.update({name: found} if found else {})
        result["left_out"].update({f"real {name}": why} if why else {})

    if name in options.parts:
        yield f"real {name}", step


def _classifiers(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Two real classifiers, or why they were not measured."""
    import gpu_real

    if options.small or not gpu_real.available():
        return {}, _why(options)
    return gpu_real.measure(torch.device(options.device), options.dtypes[0], options.rounds), ""


def _detectors(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """CascadeYOLO beside YOLO, or why it was not measured."""
    import speed_detectors

    if options.small or not speed_detectors.available():
        return {}, _why(options)
    return speed_detectors.measure(64, 16, options.rounds, time.perf_counter, options.device), ""


def _why(options: argparse.Namespace) -> str:
    return "it runs in its full form alone" if options.small else f"no weights in {DATA.name}"


def _write(result: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "gpu.md").write_text(to_markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="where to measure")
    parser.add_argument("--dtypes", nargs="+", choices=("fp32", "fp16", "bf16"), default=["fp16", "fp32"])
    parser.add_argument("--timed", type=int, default=1, help="so many of them are timed; of all, routes are checked")
    parser.add_argument("--backends", nargs="+", choices=("eager", "compile", "graphs"), default=["graphs", "eager"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--small", action="store_true", help="tiny models and batches")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each measurement")
    parser.add_argument("--rows", type=int, default=32, help="images whose routes are compared with the CPU's")
    parser.add_argument("--seconds", type=float, default=200, help="nothing new is begun after so long")
    parser.add_argument("--seed", type=int, default=0, help="of weights and images")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the results")
    options = parser.parse_args()
    if options.device == "cpu" and "fp16" in options.dtypes:
        options.dtypes = [dtype for dtype in options.dtypes if dtype != "fp16"]
    return options


if __name__ == "__main__":
    main()
