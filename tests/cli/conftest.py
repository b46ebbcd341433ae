"""What the tests of the command share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orxe_plugins import cli


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def orxe(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``orxe(*arguments)`` runs the command in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["orxe", *map(str, arguments)])
        capfd.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return Done(0 if code is None else int(str(code)), said.out, said.err)

    return run


@pytest.fixture(scope="session")
def finished(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a whole run; not to be changed."""
    out = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "orxe_plugins.cli", "run", str(tiny_recipe), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (out / "stdout.txt").write_text(done.stdout)
    (out / "stderr.txt").write_text(done.stderr)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of it for one test alone, beside it: cascade.json names checkpoints by their way from its folder."""
    return shutil.copytree(finished, finished.parent / f"{tmp_path.name}-out")
