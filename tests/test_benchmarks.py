"""Benchmarks of time run, in a small form, and write the pages that they promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("timm")


def _run(root: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (root, root / "adapters")))
    command = [sys.executable, str(root / "benchmarks" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": path, "ORXE_DATA": "nowhere"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.long
def test_the_gpus_benchmark_runs_on_a_cpu(root: Path, tmp_path: Path) -> None:
    done = _run(
        root, "bench_gpu.py", "--device", "cpu", "--small", "--rounds", "1", "--rows", "16", "--backends", "eager",
        "--out", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    (pool,) = result["pools"]
    # On one and the same device nothing may differ but by the size of a batch.
    assert pool["dtype"] == "fp32" and pool["routes"]["differing"] == 0 and pool["routes"]["band"] < 1e-4
    rows = pool["backends"]["eager"]["rows"]
    assert [row["batch"] for row in rows] == [1, 8]
    for row in rows:
        assert set(row["images_per_second"]) == {*pool["experts"], "cascade", "ideal"}
        assert row["reach"] == pytest.approx(pool["reach"], abs=0.3)
    page = (tmp_path / "gpu.md").read_text()
    assert "of the ideal" in page and "Not measured: detectors" in page


@pytest.mark.long
def test_the_benchmark_of_time_says_what_it_could_not_measure(root: Path, tmp_path: Path) -> None:
    done = _run(
        root, "bench_speed.py", "--rounds", "2", "--pool-batch", "4", "--out", str(tmp_path), "--records",
        str(tmp_path / "records"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "speed.json").read_text())
    assert set(result["left_out"]) == {"detectors", "chosen"} and result["pools"]["rows"]
    assert "searched in time" in (tmp_path / "speed.md").read_text()
