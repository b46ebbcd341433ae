"""Weights that are not those which were recorded are refused, by whoever loads or searches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orxe_plugins import OrxeError, load_cascade, load_expert
from orxe_plugins.cascade.file import read_cascade
from orxe_plugins.experts.fingerprint import expert_weights
from orxe_plugins.experts.sources import changed_sources, source_fingerprints
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.run.fitted import read_fitted
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.searching import search


def test_files_are_known_by_what_they_hold(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"one")
    spec = ExpertSpec(f"mdet:{weights}@{weights}", checkpoint=str(weights), options={"esn": "gone.safetensors"})
    before = source_fingerprints(spec)
    assert sorted(before) == ["address", "checkpoint", "weights"]
    assert changed_sources(spec, before) == []
    weights.write_bytes(b"two")
    assert changed_sources(spec, before) == [str(weights)] * 3
    assert source_fingerprints(ExpertSpec("timm:resnet18", checkpoint="package:some_weights")) == {}


def test_replaced_weights_are_refused_by_search_eval_and_load(tiny_recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    import shutil

    folder = tmp_path / "tiny"
    shutil.copytree(tiny_recipe, folder)
    recipe = load_recipe(folder, out=tmp_path / "out", overrides=["preferences.step=0.5"])
    run = Run(recipe, tmp_path / "out")
    record_pool(run)
    fitted = search(run)
    assert all(spec.fingerprint for spec in fitted.file.specs)
    load_cascade(tmp_path / "out")
    torch.manual_seed(7)
    state = torch.load(folder / "large.pth", weights_only=True)
    torch.save({key: torch.rand_like(value) if value.is_floating_point() else value for key, value in state.items()},
               folder / "large.pth")  # fmt: skip
    again = Run(recipe, tmp_path / "out")
    for step in (search, read_fitted):
        with pytest.raises(OrxeError, match=r"expert 'large' has changed since.*large.pth.*--trust-changed"):
            step(again)
    with pytest.raises(OrxeError, match="expert 'large' has other weights than when it was recorded"):
        load_cascade(tmp_path / "out", trust=True)
    load_cascade(tmp_path / "out", trust=True, trust_changed=True)
    read_fitted(Run(recipe, tmp_path / "out", trust_changed=True))
    with pytest.raises(OrxeError, match="other weights"):
        record_pool(again)
    record_pool(Run(recipe, tmp_path / "out", fresh_names=["large"]))
    with pytest.raises(OrxeError, match="unknown expert to record --fresh 'larg': did you mean 'large'"):
        record_pool(Run(recipe, tmp_path / "out", fresh_names=["larg"]))
    search(Run(recipe, tmp_path / "out"))
    assert len(load_cascade(tmp_path / "out").experts) == len(read_cascade(tmp_path / "out").specs)


def test_a_fingerprint_is_of_the_weights_and_not_of_the_confidence(tiny_recipe: Path) -> None:
    pytest.importorskip("timm")
    spec = load_recipe(tiny_recipe, out=Path("out")).experts[0]
    known = expert_weights(load_expert(spec))
    pinned = replace(spec, fingerprint=known, confidence={"kind": "margin"})
    assert load_expert(pinned).name == spec.name
    with pytest.raises(OrxeError, match="has other weights"):
        load_expert(replace(pinned, fingerprint="0" * 64))
