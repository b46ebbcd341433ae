"""What the tests of records share: see recording.py beside this file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def recording() -> ModuleType:
    """A small recording on real JPEG files, as a module."""
    spec = importlib.util.spec_from_file_location("orxe_test_recording", Path(__file__).with_name("recording.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def images(recording: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 small JPEG files in three class folders; not to be changed."""
    return recording.make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def own_images(recording: ModuleType, tmp_path: Path) -> Path:
    """The same images for one test alone, which may break them."""
    return recording.make_images(tmp_path / "own images")
