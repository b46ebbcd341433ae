"""Time of cascades on a CPU: detectors beside their single models, choices by time, and where GMACs mislead.

Writes speed.json and speed.md beside this file. What is compared runs in turn within one run, so that a machine that
changes its speed changes both.

    python benchmarks/bench_speed.py

Real weights and images are looked for in ORXE_DATA, or in ../shared/data beside the repository; what is not there is
left out, and said. The records of the ImageNet experts are made first, which takes a few minutes, if --records does not
hold them yet.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import speed_chosen
import speed_detectors
import speed_pools
import torch
from paired import CLOCKS, about
from recorded_data import DATA
from speed_markdown import to_markdown

ROOT = Path(__file__).resolve().parent
PARTS = ("detectors", "chosen", "pools")


def main() -> None:
    """Measure, print the page, and write it."""
    options = _options()
    torch.set_num_threads(options.threads)
    clock = CLOCKS[options.clock]
    path = options.out / "speed.json"
    facts = about("cpu", options.clock)
    result: dict[str, Any] = {"about": facts, "left_out": {}, **_earlier(path, facts)}
    for part in options.parts:
        print(f"{part}: measuring", file=sys.stderr)
        if part == "detectors":
            if not speed_detectors.available():
                result["left_out"][part] = f"no weights of detectors in {DATA.name}"
                continue
            result[part] = speed_detectors.measure(options.images, options.batch, options.rounds, clock)
        elif part == "chosen":
            if not (DATA / "imagenet_sample").is_dir():
                result["left_out"][part] = f"no images of ImageNet in {DATA.name}"
                continue
            records = speed_chosen.records_of(options.records)
            result[part] = speed_chosen.measure(records, speed_chosen.times_of(options.rounds, clock), options.halves)
        else:
            result[part] = speed_pools.measure(options.pool_batch, options.rounds, clock)
        _write(result, options.out)
    print(to_markdown(result))


def _earlier(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Parts that were measured before on the same machine in the same way."""
    if not path.is_file():
        return {}
    known = json.loads(path.read_text(encoding="utf-8"))
    return {part: known[part] for part in PARTS if part in known} if known["about"] == facts else {}


def _write(result: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "speed.md").write_text(to_markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example: python benchmarks/bench_speed.py --rounds 5 --parts detectors",
    )
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=list(PARTS), help="what to measure")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each measurement")
    parser.add_argument("--images", type=int, default=32, help="images of the detectors")
    parser.add_argument("--batch", type=int, default=16, help="batch size of the detectors")
    parser.add_argument("--pool-batch", type=int, default=64, help="batch size of the pool with made-up records")
    parser.add_argument("--halves", type=int, default=20, help="random halves")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: with one thread, on a busy machine")
    parser.add_argument("--records", type=Path, default=ROOT.parent / "runs" / "imagenet_records", help="their folder")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the results")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu adds the threads up: give --threads 1 with it")
    return options


if __name__ == "__main__":
    main()
