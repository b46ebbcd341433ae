"""Benchmarks run, in a small form, and write the pages that they promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("timm")


def _run(root: Path, script: str, *arguments: str, data: str = "nowhere") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (root, root / "adapters")))
    command = [sys.executable, str(root / "benchmarks" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": path, "ORXE_DATA": data}
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
    assert "of the ideal" in page and "Not measured: real detectors" in page


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


def _made_up_logits(folder: Path, samples: int = 160) -> None:
    """What three experts say of some images of four classes, as the benchmark expects it."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, samples)
    skill = np.array([1.0, 2.0, 0.1, 4.0])
    logits = rng.normal(size=(4, samples, 4)) + skill[:, None, None] * np.eye(4)[label]
    folder.mkdir(parents=True)
    names = np.array(["small", "middle", "vit_p4_d128", "large"])
    np.savez(folder / "logits.npz", names=names, mmacs=[1.0, 9.0, 50.0, 100.0], logits=logits, label=label)


def test_the_benchmark_of_quality_measures_what_is_there_and_goes_on_where_it_was(root: Path, tmp_path: Path) -> None:
    _made_up_logits(tmp_path / "data" / "cifar10_experts")
    parts = tmp_path / "parts"
    parts.mkdir()
    kinds = {"raw": {"seconds": 10.0, "bytes": 2**30}, "auto": {"seconds": 11.0, "bytes": 2**30}}
    size = {"experts": 20, "samples": 1000, "preferences": 3, "kinds": kinds, "ratios": {"seconds": 1.1, "bytes": 1.0}}
    (parts / "size.json").write_text(json.dumps(size))
    arguments = (
        "--sizes", "50", "--splits", "2", "--preferences", "3", "--parts", str(parts), "--out", str(tmp_path),
        "--records", str(tmp_path / "no records"), "--detection", str(tmp_path / "no run"),
    )  # fmt: skip
    done = _run(root, "bench_quality.py", *arguments, data=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "quality.json").read_text())
    assert list(result["data"]) == ["cifar10_experts"], result["left_out"]
    found = {row["method"]: row for row in result["data"]["cifar10_experts"]["rows"]}
    assert result["data"]["cifar10_experts"]["experts"] == ["small", "middle", "large"]
    assert {"labels, recorded scores", "labels, auto"} <= set(found)
    for row in found.values():
        assert all(0 <= score <= 1 for score in row["score_at"]) and 0 < row["cost"] <= 1
    assert {"imagenet_experts", "shift", "detection/coco_sample", "detection/digits_detection"} <= set(
        result["left_out"]
    )
    page = (tmp_path / "quality.md").read_text()
    assert "| 50 | labels, auto |" in page and "| processor time | 10 s | 11 s | 1.10 |" in page
    # All that was measured lies in the parts: written again, it is the same page.
    again = _run(root, "bench_quality.py", *arguments, "--written", data=str(tmp_path / "data"))
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "quality.json").read_text())["data"] == result["data"]
