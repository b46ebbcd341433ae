"""`orxe predict` on images of which some are faulty in each of five ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty_adapter
import pytest
from faulty_adapter import HANGS, SOUND, UNREADABLE


@pytest.mark.parametrize("total", [600, pytest.param(10_000, marks=pytest.mark.long)])
def test_every_image_has_one_line_and_only_faulty_ones_are_touched(
    total: int, tmp_path: Path, orxe: Callable[..., Any]
) -> None:
    kinds = faulty_adapter.kinds_of(total)
    faulty_adapter.write_cascade(tmp_path / "cascade")
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, kind in enumerate(kinds):
        (photos / f"{i:05d}.png").write_bytes(faulty_adapter.file_of(i, kind))
    faulty_adapter.RELEASED.clear()
    try:
        done = orxe("predict", tmp_path / "cascade", photos, "--json", "--on-error", "best_available", "--timeout", "3")
    finally:
        faulty_adapter.RELEASED.set()
    assert done.code == 1
    lines = [json.loads(line) for line in done.out.splitlines()]
    classes, experts, confidences = faulty_adapter.right_answers(kinds)
    readable = [i for i, kind in enumerate(kinds) if kind != UNREADABLE]
    assert [int(Path(line["image"]).stem) for line in lines] == readable
    for i, line in zip(readable, lines, strict=True):
        assert (line["class"], line["expert"]) == (classes[i], experts[i])
        assert line["confidence"] == pytest.approx(confidences[i], abs=1e-3)
        assert ("faults" in line) == (kinds[i] != SOUND)
        if kinds[i] == HANGS:
            assert "gave no answer within" in line["faults"][0]
    skipped = [line for line in done.err.splitlines() if line.startswith("skipped ")]
    assert len(skipped) == kinds.count(UNREADABLE) == total - len(lines)
