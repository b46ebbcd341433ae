"""Recording by several processes, started as users start them: ``torchrun``, and ``--engine ray``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.long

#: samples are slow to load, so that there is a time halfway
SLOW = """
import time
from orxe_plugins.data import datasets

_load = datasets.ImageFolder.load

def load(self, index):
    time.sleep(0.15)
    return _load(self, index)

datasets.ImageFolder.load = load
"""


@pytest.fixture
def recipe(tiny_recipe: Path, tmp_path: Path) -> Path:
    """The tiny recipe with samples that are slow to load."""
    folder = shutil.copytree(tiny_recipe, tmp_path / "recipe")
    (folder / "slow.py").write_text(SLOW)
    file = folder / "recipe.yaml"
    file.write_text(file.read_text() + "plugin: slow.py\n")
    return file


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


def record(recipe: Path, out: Path, *more: str, ranks: int = 1) -> subprocess.Popen[str]:
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    command = [sys.executable, *start, "-m", "orxe_plugins", "record", str(recipe), "--out", str(out), *more]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def finished(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-4000:]
    return output


def content(folder: Path) -> dict[str, pa.Table]:
    return {str(path.relative_to(folder)): pq.read_table(path) for path in sorted(folder.rglob("shard-*.parquet"))}


def check_same(first: Path, second: Path) -> None:
    one, other = content(first), content(second)
    assert len(one) == 21 and one.keys() == other.keys()
    assert all(one[key].equals(other[key], check_metadata=True) for key in one)
    for path in [first / "records" / "dataset.json", *first.rglob("expert.json")]:
        assert path.read_text() == (second / path.relative_to(first)).read_text()
    assert not list(second.rglob("*.tmp*"))


def processes_below(pid: int) -> dict[int, str]:
    """All processes that a process started, with their command lines."""
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                try:
                    found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                except OSError:
                    continue
                todo.append(child)
    return found


def wait_for_shards(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 200
    while len(list(out.rglob("shard-*.parquet"))) < count:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_ranks_record_what_one_process_does_also_after_a_kill(recipe: Path, tmp_path: Path) -> None:
    alone, ranks, killed = tmp_path / "alone", tmp_path / "ranks", tmp_path / "killed"
    finished(record(recipe, alone))
    output = finished(record(recipe, ranks, ranks=2))
    assert output.count("3 experts recorded") == 1  # one of them tells
    check_same(alone, ranks)

    process = record(recipe, killed, ranks=2)
    wait_for_shards(killed, 5, process)
    members = [pid for pid, line in processes_below(process.pid).items() if "orxe_plugins record" in line]
    assert len(members) >= 2
    os.kill(max(members), signal.SIGKILL)
    process.communicate(timeout=200)
    assert process.returncode != 0
    assert 5 <= len(content(killed)) < 21
    finished(record(recipe, killed, ranks=2))
    check_same(alone, killed)


def test_a_ray_cluster_records_what_one_process_does_also_after_a_kill(recipe: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip('ray is not installed: pip install "orxe-plugins[ray]"')
    alone, cluster, stopped = tmp_path / "alone", tmp_path / "cluster", tmp_path / "stopped"
    finished(record(recipe, alone))

    process = record(recipe, cluster, "--engine", "ray")
    wait_for_shards(cluster, 2, process)
    workers = [pid for pid, line in processes_below(process.pid).items() if "ray::_make_shard" in line]
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    finished(process)  # its shard was made again
    check_same(alone, cluster)

    process = record(recipe, stopped, "--engine", "ray")
    wait_for_shards(stopped, 3, process)
    below = processes_below(process.pid)
    process.kill()
    process.wait()
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert 3 <= len(content(stopped)) < 21
    finished(record(recipe, stopped, "--engine", "ray"))
    check_same(alone, stopped)


def test_an_unknown_engine_is_named(recipe: Path, tmp_path: Path) -> None:
    process = record(recipe, tmp_path / "out", "--engine", "rey")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1 and "unknown engine 'rey': did you mean 'ray'?" in output
