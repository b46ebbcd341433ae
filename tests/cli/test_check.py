"""`orxe check` as it is printed: the data, what each expert sees, and what is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orxe_plugins.run.timing import seconds_per_sample

Orxe = Callable[..., Any]


def test_data_views_classes_costs_and_time_are_shown(tiny_recipe: Path, orxe: Orxe) -> None:
    done = orxe("check", tiny_recipe)
    assert done.code == 0
    assert f"data {tiny_recipe}/images: 45 samples" in done.out
    assert "3 classes of 15 images, numbered in the order of the folders' names" in done.out
    assert "0 ant, 1 bee, 2 cat" in done.out
    row = next(line.split() for line in done.out.splitlines() if line.split()[:1] == ["large"])
    assert row[1:3] == ["found", "yes"] and float(row[3]) > 0 and row[4] == "3" and row[5] == "about"
    assert re.search(r"^  small.*: 32 of \d+ px, \w+, mean [\d. ]+, std [\d. ]+$", done.out, re.MULTILINE)
    assert "Recording will take about" in done.out
    assert done.out.splitlines()[-1] == "nothing is missing"
    assert "about" not in orxe("check", tiny_recipe, "--no-time").out


def test_without_data_it_is_not_green(tiny_recipe: Path, tmp_path: Path, orxe: Orxe) -> None:
    gone = orxe("check", tiny_recipe, f"data.root={tmp_path / 'gone'}")
    assert gone.code == 1 and "does not exist" in gone.out
    assert gone.out.splitlines()[-1] == "1 thing is missing: see above"
    asked = orxe("check", "imagenet_lite", "--no-cost")
    assert asked.code == 1 and "the recipe needs your data: add --data FOLDER" in asked.out
    both = orxe("check", tiny_recipe, f"data.root={tmp_path / 'gone'}", "experts.small.checkpoint=gone.pth")
    assert both.out.splitlines()[-1] == "2 things are missing: see above"


def test_what_prepare_makes_is_not_missing(tmp_path: Path, orxe: Orxe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = orxe("check", "digits")
    assert done.code == 0 and "to be made by prepare" in done.out
    # It makes data in its own folder, not in the user's.
    assert orxe("check", "digits", f"data.root={tmp_path / 'mine'}").code == 1
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


def test_files_that_are_no_images_and_broken_ones_are_said(tiny_recipe: Path, tmp_path: Path, orxe: Orxe) -> None:
    images = shutil.copytree(tiny_recipe / "images", tmp_path / "images")
    (images / "ant" / "notes.txt").write_text("x")
    (images / "ant" / "00.jpg").write_bytes(b"")
    done = orxe("check", tiny_recipe, f"data.root={images}", "--no-cost")
    assert "1 of 46 files is left out (no image): ant/notes.txt" in done.out
    assert "cannot be read: ant/00.jpg: the file is empty" in done.out


def test_an_expert_that_fails_on_zeros_has_no_estimate() -> None:
    class Broken:
        def parameters(self) -> list[Any]:
            return []

        buffers = parameters

        def run(self, images: Any, context: Any) -> None:
            raise RuntimeError("no weights")

    assert seconds_per_sample(Broken(), [object()]) is None  # type: ignore[arg-type]
