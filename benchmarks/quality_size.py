"""Part of bench_quality.py: what expected scores cost where there is much to search on.

python benchmarks/quality_size.py raw 20 1281167 101   # one search alone, as the benchmark calls it
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import synthetic_records

from orxe_plugins import fit_policies

KINDS = ("raw", "auto")


def size(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and greatest memory of a search on recorded and on expected scores, in a process each."""
    experts, samples, preferences = options.size
    found = {}
    for kind in KINDS:
        command = [sys.executable, str(Path(__file__)), kind, *map(str, options.size)]
        found[kind] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ratios = {key: found["auto"][key] / found["raw"][key] for key in ("seconds", "bytes")}
    return {"experts": experts, "samples": samples, "preferences": preferences, "kinds": found, "ratios": ratios}


def _searched(kind: str, experts: int, samples: int, preferences: int) -> dict[str, float]:
    """Processor time of one search, and the most memory that its process has had, records included."""
    wanted = np.linspace(0, 1, preferences).round(6).tolist()
    fit_policies(synthetic_records(4, 100), wanted[:1], scores=kind)  # type: ignore[arg-type]  # compiles
    records = synthetic_records(experts, samples)
    start = time.process_time()
    fit_policies(records, wanted, scores=kind)  # type: ignore[arg-type]
    seconds = time.process_time() - start
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "bytes": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


if __name__ == "__main__":
    print(json.dumps(_searched(sys.argv[1], *map(int, sys.argv[2:]))))
