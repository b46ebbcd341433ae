"""`data.unlabelled` from a recipe to a report: few labels beside many images without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orxe_plugins.evaluation import prediction_powered
from orxe_plugins.records import load_records
from orxe_plugins.records.temperature import fit_temperatures, with_temperatures
from orxe_plugins.search.expected.model import ExpectedScores


@pytest.fixture
def few_labels(tiny_recipe: Path, tmp_path: Path) -> Path:
    """The tiny recipe with a third of its images in class folders, and the others in one folder."""
    folder = shutil.copytree(tiny_recipe, tmp_path / "recipe")
    (folder / "others").mkdir()
    for image in sorted(folder.glob("images/*/*.jpg")):
        if int(image.stem) >= 6:
            image.rename(folder / "others" / f"{image.parent.name}-{image.name}")
    raw = yaml.safe_load((folder / "recipe.yaml").read_text())
    raw["data"] |= {"unlabelled": "{recipe}/others", "split": {"fit": 0.4, "choose": 0.2, "seed": 1}}
    raw |= {
        "promise": {"max_drop": 0.5, "confidence": 0.6},
        "confidence": {"kind": "max_softmax", "temperature": "fit"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw))
    return folder


def test_images_without_labels_make_the_estimates(orxe: Callable[..., Any], few_labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    checked = orxe("check", few_labels)
    assert checked.code == 0, checked.err
    done = orxe("run", few_labels, "--out", out)
    assert done.code == 0, done.err
    others = load_records(out / "records-unlabelled")
    assert len(others) == 27 and "ant-06.jpg" in others.sample_ids
    report = json.loads((out / "report" / "report.json").read_text())
    fit, rest = load_records(out / "records").split(0.4, seed=1)
    rest = rest.split(0.2 / 0.6, seed=3)[1]
    said = f"Scores rest on {len(rest)} labelled samples and 27 without labels"
    assert said in " ".join(done.out.split()) and said in (out / "report" / "report.md").read_text()
    temperatures = fit_temperatures(fit)
    fit, rest, others = (with_temperatures(records, temperatures) for records in (fit, rest, others))
    model = ExpectedScores.fit(fit)
    for expert, score, expected, elsewhere in zip(
        report["experts"], rest.score, model(rest.confidence), model(others.confidence), strict=True
    ):
        if score.std():
            powered = prediction_powered(score.astype(float), expected, elsewhere)
            assert expert["score"]["value"] == pytest.approx(powered.value)
    # Evaluated again out of the folder, it is the same.
    again = orxe("eval", few_labels, "--out", out)
    assert again.code == 0, again.err
    assert json.loads((out / "report" / "report.json").read_text())["experts"] == report["experts"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("labels=none", "data.unlabelled helps labelled ones"),
        ("task=detection", "data.unlabelled is for classification"),
        ("record.keep=none", "data.unlabelled needs answers that are kept"),
        ("data.unlabelled={recipe}/images/ant", "one lies in the other"),
        ("data.unlabelled={recipe}/nowhere", "is no folder"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    orxe: Callable[..., Any], few_labels: Path, change: str, said: str, tmp_path: Path
) -> None:
    change = change.replace("{recipe}", str(few_labels))
    done = orxe("run", few_labels, "--out", tmp_path / "out", change, "confidence=max_softmax")
    assert done.code != 0 and said in " ".join(done.err.split())
