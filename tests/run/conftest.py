"""What the tests of a run's steps share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run


def _run(recipe: Path, out: Path, *overrides: str, fresh: bool = False) -> Run:
    return Run(load_recipe(recipe, out=out, overrides=overrides), out, fresh=fresh)


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """``make_run(recipe, out, *overrides, fresh=False)``."""
    return _run


@pytest.fixture(scope="session")
def recorded_folder(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a recording that keeps all classes; not to be changed."""
    out = tmp_path_factory.mktemp("recorded")
    record_pool(_run(tiny_recipe, out, "record.keep=all"))
    return out


@pytest.fixture
def out(recorded_folder: Path, tmp_path: Path) -> Path:
    """A copy of that recording for one test alone."""
    return shutil.copytree(recorded_folder, tmp_path / "out")


@pytest.fixture
def own_recipe(tiny_recipe: Path) -> Callable[..., Path]:
    """``own_recipe(folder, **changes)``: a copy of the tiny recipe with other keys."""

    def copy(folder: Path, **changes: Any) -> Path:
        shutil.copytree(tiny_recipe, folder)
        raw = yaml.safe_load((folder / "recipe.yaml").read_text())
        (folder / "recipe.yaml").write_text(yaml.safe_dump({**raw, **changes}))
        return folder

    return copy
