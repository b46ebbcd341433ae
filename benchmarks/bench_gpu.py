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
from collections.abc import Iterator
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
PARTS = ("pools", "classifiers", "detectors")


def main() -> None:
    """Measure, check, print the page, and write it."""
    options = _options()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(options.device)
    started = time.perf_counter()
    result: dict[str, Any] = {"about": about(options.device, "wall"), "pools": [], "left_out": {}}
    for dtype in options.dtypes if "pools" in options.parts else ():
        pool = make_pool(device, dtype, options.small, options.seed)
        result["pools"].append({"dtype": dtype})
        for found in _measured(pool, options, started, result["left_out"]):
            result["pools"][-1] = found
            _write(result, options.out)
    for name, section in (("classifiers", _classifiers), ("detectors", _detectors)):
        if name not in options.parts:
            continue
        if _late(options, started):
            result["left_out"][f"real {name}"] = "the time was up"
        else:
            _say(f"real {name}: measuring", started)
            found, why = section(options)
            result.update({name: found} if found else {})
            result["left_out"].update({f"real {name}": why} if why else {})
        _write(result, options.out)
    result["seconds"] = time.perf_counter() - started
    _write(result, options.out)
    print(to_markdown(result))


def _measured(
    pool: Pool, options: argparse.Namespace, started: float, left_out: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Routes first, for figures of wrong answers are worth nothing; then, growing, times of each backend."""
    _say(f"{pool.dtype}: checking routes", started)
    found: dict[str, Any] = {
        "dtype": pool.dtype,
        "experts": list(pool.names),
        "reach": list(pool.reach),
        "routes": gpu_routes.check(pool, options.rows),
        "backends": {},
    }
    yield found
    for backend in options.backends:
        name = f"{backend}, {pool.dtype}"
        if _late(options, started):
            left_out[name] = "the time was up"
        else:
            _say(f"{name}: measuring", started)
            batches = SMALL_BATCHES if options.small else BATCHES
            found["backends"][backend] = gpu_rows.measure(pool, backend, batches, options.rounds)
        yield found


def _say(what: str, started: float) -> None:
    print(f"{time.perf_counter() - started:.0f} s, {what}", file=sys.stderr)


def _classifiers(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Two real classifiers, or why they were not measured."""
    import gpu_real

    if options.small or not gpu_real.available():
        return {}, _why(options)
    return gpu_real.measure(torch.device(options.device), options.dtypes[-1], options.rounds), ""


def _detectors(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """CascadeYOLO beside YOLO, or why it was not measured."""
    import speed_detectors

    if options.small or not speed_detectors.available():
        return {}, _why(options)
    return speed_detectors.measure(64, 16, options.rounds, time.perf_counter, options.device), ""


def _why(options: argparse.Namespace) -> str:
    return "it runs in its full form alone" if options.small else f"no weights in {DATA.name}"


def _late(options: argparse.Namespace, started: float) -> bool:
    return time.perf_counter() - started > options.seconds


def _write(result: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "gpu.md").write_text(to_markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="where to measure")
    parser.add_argument("--dtypes", nargs="+", choices=("fp32", "fp16", "bf16"), default=["fp16", "fp32"])
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
