"""Time, peak memory and objective of the threshold search beside three baselines, on synthetic records.

Every job runs in a process of its own, one after the other.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from search_baselines import BASELINES
from search_markdown import to_markdown
from synthetic import synthetic_records

from orxe_plugins import PolicyRow, PolicyTable, Records, fit_policies, replay
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import cpu_count

SEARCH = "this search"
#: the default of fit_policies, beside the search on recorded scores
AUTO = "this search, scores=auto"


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        group: the table that it belongs to.
        method: :data:`SEARCH`, :data:`AUTO` or a baseline.
        experts, samples: size of the records.
        preferences: how many, evenly spread over [0, 1]; one is 0.7.
        timed: a baseline only searches for every n-th of them, where n is this number.
    """

    group: str
    method: str
    experts: int
    samples: int
    preferences: int
    timed: int = 1

    @property
    def values(self) -> list[float]:
        """The preferences."""
        if self.preferences == 1:
            return [0.7]
        return [float(p) for p in np.linspace(0, 1, self.preferences).round(6)]


def jobs(quick: bool) -> list[Job]:
    """All measurements; the quick ones take about a minute."""
    m = 5000 if quick else 50_000
    methods = [SEARCH, *BASELINES]
    found = [Job("beside baselines", method, 8, m, 21, 5 if quick else 1) for method in methods]
    for n in () if quick else (4, 20):
        found += [Job("more or fewer experts", method, n, m, 21, 5) for method in methods]
    sizes = (10_000, 20_000, 40_000) if quick else (160_146, 320_292, 640_584, 1_281_167)
    found += [Job("time against M", SEARCH, 20, size, 11) for size in sizes]
    full = 40_000 if quick else 1_281_167
    whole = [(SEARCH, 1), (SEARCH, 101), (AUTO, 101)]
    return [*found, *(Job("the whole job", method, 20, full, count) for method, count in whole)]


def main() -> None:
    """Run all jobs, print a table, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: python benchmarks/bench_search.py --quick --out /tmp"
    )
    parser.add_argument("--quick", action="store_true", help="small records only, to see that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    parser.add_argument("--only", help="only the jobs of this table, such as 'the whole job'; nothing is written")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(measure(Job(**json.loads(options.job)))))
        return
    wanted = [job for job in jobs(options.quick) if options.only in (None, job.group)]
    rows = []
    for number, job in enumerate(wanted, 1):
        print(f"{number}/{len(wanted)} {job.method}: {job.experts} x {job.samples} x {job.preferences}", flush=True)
        rows.append(run(job))
        print(f"    {rows[-1]['seconds']:.1f} s, {rows[-1]['cpu_seconds']:.1f} s of CPU time", flush=True)
    result = {"about": about(), "rows": rows}
    print(to_markdown(result))
    if options.only is None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "search.json").write_text(json.dumps(result, indent=2) + "\n")
        (options.out / "search.md").write_text(to_markdown(result))


def run(job: Job) -> dict[str, Any]:
    """One job in a process of its own."""
    command = [sys.executable, __file__, "--job", json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job} failed:\n{done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(job: Job) -> dict[str, Any]:
    """Make the records, run the method once, and replay its policies."""
    # Compiled code is loaded, or compiled and kept for good, before the clock runs.
    start = time.perf_counter()
    fit_policies(synthetic_records(4, 100), [0.5])
    loaded = time.perf_counter() - start
    records = synthetic_records(job.experts, job.samples)
    made = _peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    table = _search(job, records)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = _peak_mb()
    objective = Objective.of(records)
    outcomes = {row.preference: replay(records, row.policy) for row in table}
    reached = {str(p): objective(p, o.cost, o.score) for p, o in outcomes.items()}
    bounds = table.details.get("search", {}).get("lower_bound")
    return {
        **asdict(job),
        "searched": len(table),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak,
        "peak_before_mb": made,
        "loading_seconds": loaded,
        "objective": reached,
        "lower_bound": bounds and dict(zip(reached, bounds, strict=True)),
    }


def _search(job: Job, records: Records) -> PolicyTable:
    if job.method in (SEARCH, AUTO):
        return fit_policies(records, job.values, scores="auto" if job.method == AUTO else "raw")
    rows = []
    for preference in job.values[:: job.timed]:
        policy = BASELINES[job.method](records, preference, True)
        rows.append(PolicyRow(preference, policy, 0.0, 0.0))
        print(f"    {job.method}: preference {preference}", file=sys.stderr, flush=True)
    return PolicyTable(tuple(rows))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def about() -> dict[str, Any]:
    """What the figures were measured with."""
    return {"cores": cpu_count(), "machine": platform.machine(), "numpy": np.__version__}


if __name__ == "__main__":
    main()
