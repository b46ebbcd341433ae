"""A forgotten normalisation of the user's own weights is doubted by check and by record, before it costs anything."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from orxe_plugins.errors import OrxeWarning
from orxe_plugins.run.check import check_experts
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run

timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images, and weights that tell dark from bright ones by ImageNet's normalisation, not by timm's for them."""
    folder = tmp_path_factory.mktemp("own")
    for i, level in enumerate(np.linspace(0.3, 0.7, 48)):
        path = folder / "images" / ("1_bright" if level > 0.5 else "0_dark") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), round(255 * level), np.uint8)).save(path)
    _weights_for(torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]), folder / "own.pth")
    experts = [{"name": "own", "address": "timm:test_resnet", "checkpoint": str(folder / "own.pth"),
                "options": {"num_classes": 2, "input_size": 32}}]  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "own", "data": {"root": str(folder / "images")}, "experts": experts}))
    return path


def _weights_for(mean: Tensor, std: Tensor, file: Path) -> None:
    """Weights of a test_resnet whose logits are linear in brightness: a line between two levels, put into its head."""
    module = timm.create_model("test_resnet", num_classes=2).eval()
    levels = torch.linspace(0.3, 0.7, 48)
    with torch.no_grad():
        images = ((levels[:, None] - mean) / std).view(-1, 3, 1, 1).expand(-1, -1, 32, 32)
        features = module.forward_head(module.forward_features(images), pre_logits=True)  # (48, F)
        truth = torch.where(levels > 0.5, 1.0, -1.0)
        centre = features.mean(dim=0)
        weight = torch.linalg.lstsq(features - centre, truth[:, None]).solution[:, 0]  # (F,)
        head = module.get_classifier()
        head.weight.copy_(torch.stack([-weight, weight]))
        head.bias.copy_(torch.stack([weight @ centre, -weight @ centre]))
    torch.save(module.state_dict(), file)


def run_of(recipe: Path, out: Path, *overrides: str) -> Run:
    return Run(load_recipe(recipe, out=out, overrides=overrides), out)


def test_check_names_the_normalisation(recipe: Path, tmp_path: Path) -> None:
    (found,) = check_experts(run_of(recipe, tmp_path), time=True)
    assert "with mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]" in found.doubt
    assert found.doubt.startswith("own answers ")


def test_record_warns_once_and_not_of_what_is_recorded(recipe: Path, tmp_path: Path) -> None:
    with pytest.warns(OrxeWarning, match=r"own answers \d+ of 48 samples right as it sees them, but 4\d with mean"):
        record_pool(run_of(recipe, tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error", OrxeWarning)
        record_pool(run_of(recipe, tmp_path))


def test_a_normalisation_that_is_given_is_not_doubted(recipe: Path, tmp_path: Path) -> None:
    run = run_of(recipe, tmp_path)
    spec = run.specs[0]
    run.specs = (replace(spec, options={**spec.options, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}),)
    (found,) = check_experts(run, time=True)
    assert found.doubt == ""
