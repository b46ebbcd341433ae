"""The recipes that come with the project: names, published costs, and the small one from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import yaml
from timm.models import is_model_pretrained

import orxe_timm
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.run.recipe_folders import recipe_names

TABLES = {"imagenet_orxe": "table_b1.yaml", "imagenet_tinysaver": "table_1.yaml"}


def entries(recipe: str) -> list[dict[str, object]]:
    path = recipe_names()[recipe].parent / TABLES[recipe]
    return yaml.safe_load(path.read_text())["experts"]


@pytest.mark.parametrize("recipe", TABLES)
def test_every_name_of_the_papers_is_a_model_with_weights(recipe: str) -> None:
    for entry in entries(recipe):
        name = str(entry["address"]).removeprefix("timm:")
        assert is_model_pretrained(name), name


# Building all models of both tables, the largest ones among them, takes minutes.
@pytest.mark.long
@pytest.mark.parametrize("recipe", TABLES)
def test_counted_gmacs_agree_with_the_papers(recipe: str) -> None:
    """Within rounding for convolutions; the papers' counter adds other work, up to a third for attention models."""
    path = recipe_names()[recipe].parent / TABLES[recipe]
    published = {str(entry["name"]): entry["published"] for entry in entries(recipe)}
    counted = {}
    for spec in read_experts_file(path):
        with torch.device("meta"):
            expert = load_expert(f"{spec.address}?pretrained=false&input_size=224")
            expert.cost_key = None
            counted[str(spec.name)] = expert.measure_cost()
    assert set(counted) == set(published)
    rounding = 0.005 if recipe == "imagenet_tinysaver" else 0.05
    for name, gmacs in counted.items():
        paper = float(published[name]["gmacs"])  # type: ignore[index]
        assert 0.73 * paper - rounding <= gmacs <= 1.05 * paper + rounding, (name, gmacs, paper)
    convolutional = ("resnet", "efficientnet_", "mobilenetv3", "convnextv2", "hgnetv2")
    for name, gmacs in counted.items():
        if name.startswith(convolutional):
            paper = float(published[name]["gmacs"])  # type: ignore[index]
            assert gmacs == pytest.approx(paper, rel=0.03, abs=rounding), name


def test_digits_ends_with_a_table_and_a_picture(digits: Path) -> None:
    text = (digits / "stdout.txt").read_text()
    assert "Policies (digits, reporting split, 200 samples)" in text
    assert "picture: " in text
    assert (digits / "report" / "frontier.png").stat().st_size > 10_000
    assert "…" not in text
    report = json.loads((digits / "report" / "report.json").read_text())
    # The verdict comes first, whatever it is.
    assert text.startswith(report["verdict"]["sentence"])


def test_a_rerun_trains_and_records_nothing_again(digits: Path) -> None:
    made = [*digits.glob("experts/*"), *digits.glob("records/**/*.parquet")]
    before = {path: path.stat().st_mtime_ns for path in made}
    assert len(before) > 3
    command = [sys.executable, "-m", "orxe_plugins.cli", "run", "digits", "--out", str(digits), "data.limit=400"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (digits / "stdout.txt").read_text()
    assert {path: path.stat().st_mtime_ns for path in made} == before


def test_timm_loads_the_cascade_of_the_run(digits: Path) -> None:
    model = timm.create_model("orxe_metamodel", cascade=digits / "cascade", preference=1.0)
    assert isinstance(model, orxe_timm.CascadeClassifier)
    assert model.table is not None
    assert len(model.table) == 21
    assert model(torch.randn(2, *model.pretrained_cfg["input_size"])).shape == (2, 10)


def test_routed_inference_of_the_run_equals_its_replay(digits: Path) -> None:
    command = [sys.executable, "-m", "orxe_plugins.cli", "eval", "digits", "--out", str(digits), "--routed",
               "--preference", "0.5", "data.limit=400"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [
        line.split() for line in done.stdout.splitlines() if line.strip().startswith("routed inference, originals")
    ]
    assert len(lines) == 1
    assert lines[0][-1] == "0"
