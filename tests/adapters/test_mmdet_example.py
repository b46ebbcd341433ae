"""The example of MMDetection runs, on small detectors with random weights."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("mmdet")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.long
def test_two_detectors_answer_as_one(
    root: Path, mmdets: list[str], picture_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(root / "examples" / "mmdet_detect.py"))["main"]
    main([*(address.removeprefix("mmdet:") for address in mmdets), *map(str, picture_files[:2])])
    assert capsys.readouterr().out.count(" GMACs") == 2
