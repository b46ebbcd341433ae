"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A slow or busy machine is no failure. CI draws the same examples every time; elsewhere each run draws new ones.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images and weights to measure with; the test is skipped where they are absent."""
    folder = Path(os.environ.get("ORXE_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder}: set ORXE_DATA")
    return folder


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)
