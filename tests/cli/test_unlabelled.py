"""`labels: none` from a recipe to a report: no label is looked at, and the report says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orxe_plugins.records import load_records


@pytest.fixture
def unlabelled(tiny_recipe: Path, tmp_path: Path) -> Path:
    """The tiny recipe on the same images, all in one folder."""
    folder = shutil.copytree(tiny_recipe, tmp_path / "recipe", ignore=shutil.ignore_patterns("images"))
    (folder / "images").mkdir()
    for image in sorted(tiny_recipe.glob("images/*/*.jpg")):
        shutil.copy(image, folder / "images" / f"{image.parent.name}-{image.name}")
    raw = yaml.safe_load((folder / "recipe.yaml").read_text())
    raw |= {"labels": "none", "promise": {"max_drop": 0.5, "confidence": 0.6}}
    raw["data"]["split"] = {"fit": 0.4, "choose": 0.3, "seed": 1}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw))
    return folder


def test_a_cascade_is_made_and_reported_without_labels(
    orxe: Callable[..., Any], unlabelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    checked = orxe("check", unlabelled)
    assert checked.code == 0, checked.err
    done = orxe("run", unlabelled, "--out", out)
    assert done.code == 0, done.err
    records = load_records(out / "records")
    assert records.details["relative_to"] == records.names[-1] == "large" and records.mean_score[-1] == 1
    assert "No label was used: scores are relative to large" in done.out
    assert "agreement, relative to large, changes by" in done.out or "No cascade pays" in done.out
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["metric"] == "agreement" and report["experts"][-1]["score"]["value"] == 1
    assert report["promises"][0]["relative_to"] == "large"
    page = (out / "report" / "report.md").read_text()
    assert "Promised disagreement" in page and "disagreement with large" in page
    routed = orxe("eval", unlabelled, "--out", out, "--routed")
    assert routed.code == 0, routed.err
    rows = [line for line in routed.out.splitlines() if line.strip().startswith("large alone  ")]
    assert rows and "100.00" in rows[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("classes=data", "classes: data looks for classes in the data"),
        ("record.keep=none", "record.keep: none keeps no answers"),
        ("confidence={kind: max_softmax, temperature: fit}", "confidence.temperature: fit is fitted to labels"),
        ("data.class_map=names.txt", "labels: none looks at no class folder"),
        ("task=regression", "task 'regression' cannot do without labels"),
    ],
)
def test_what_needs_labels_is_refused(orxe: Callable[..., Any], unlabelled: Path, change: str, said: str) -> None:
    done = orxe("run", unlabelled, "--out", unlabelled / "out", change)
    assert done.code != 0 and said in " ".join(done.err.split())
