"""Freed memory stays in a process that asks for it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Page faults of writing a block of 64 MiB again and again, after the first time.
_FAULTS = """
import resource, sys
import numpy as np
from orxe_plugins.util.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def write():
    np.empty(64 << 20, np.uint8).fill(1)
write()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    write()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str, **environment: str) -> int:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    command = [sys.executable, "-c", _FAULTS, mode]
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_blocks_are_used_again() -> None:
    assert 10 * faults("keep") < faults("leave")


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_the_users_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from orxe_plugins.util.allocator import keep_freed_memory

    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not keep_freed_memory()
