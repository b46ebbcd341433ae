"""Reading a fitted cascade: it is what the search gave, nothing is written, and what does not fit is named."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from orxe_plugins import OrxeError
from orxe_plugins.errors import OrxeWarning
from orxe_plugins.records import Records
from orxe_plugins.run.fitted import read_fitted
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.searching import search

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]

FITTED_TEMPERATURE = "confidence={kind: max_softmax, temperature: fit}"
ENERGY = "cost={kind: energy, table: {small: 30, medium: 20, large: 90}}"
LATENCY = "cost={kind: latency, batch_size: 4, batch_sizes: [1, 4]}"


def assert_same(one: Records, other: Records) -> None:
    assert one.names == other.names and one.cost_unit == other.cost_unit and one.needs == other.needs
    for name in ("cost", "shared_cost", "confidence", "score", "sample_ids"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [FITTED_TEMPERATURE],
        [FITTED_TEMPERATURE, "select_pool.k=2"],
        ["select_pool.k=2", "data.split={fit: 0.4, choose: 0.3, seed: 1}", "promise={max_drop: 0.9}"],
        [ENERGY],
        [LATENCY, "max_experts=2"],
        ["data.split.fit=1"],
    ],
)
def test_what_is_read_is_what_the_search_gave(
    make_run: MakeRun, tiny_recipe: Path, out: Path, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all", *overrides)
    given = search(run)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*") if path.is_file()}

    def search_again(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr("orxe_plugins.run.fit.fit_policies", search_again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_fitted(make_run(tiny_recipe, out, "record.keep=all", *overrides))
    assert read.file == given.file
    assert read.splits.same == given.splits.same
    for name in ("fit", "report", "choose"):
        one, other = getattr(read.splits, name), getattr(given.splits, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert_same(one, other)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*") if path.is_file()}
    assert after == before


def test_without_a_cascade_the_step_to_run_is_named(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    with pytest.raises(OrxeError, match=r"cascade holds no cascade: run `orxe search` or `orxe run` first"):
        read_fitted(make_run(tiny_recipe, out))


def test_other_settings_of_the_search_are_pointed_out(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    given = search(make_run(tiny_recipe, out)).file
    run = make_run(tiny_recipe, out, "skip_gates=false", "max_experts=2")
    with pytest.warns(OrxeWarning, match="searched with .*skip_gates True, now skip_gates False.*run `orxe search`"):
        assert read_fitted(run).file == given
    (run.cascade_folder / "search.json").unlink()  # version 0.1 did not write it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_fitted(run).file == given


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.split.seed=7", r"was fitted with split \{'fit': 0.6, 'seed': 1\}, but here is \{.*'seed': 7\}"),
        ("data.split.fit=0.5", r"was fitted with split .*run `orxe search` with the same recipe"),
        (
            "experts=[{name: other, address: 'timm:test_resnet'}]",
            "unknown expert in the records of .* known are",
        ),
    ],
)
def test_another_split_or_pool_than_fitted_is_refused(
    make_run: MakeRun, tiny_recipe: Path, out: Path, override: str, message: str
) -> None:
    search(make_run(tiny_recipe, out))
    with pytest.raises(OrxeError, match=message):
        read_fitted(make_run(tiny_recipe, out, override))


def test_an_expert_that_the_recipe_no_longer_names_is_named(
    make_run: MakeRun, own_recipe: OwnRecipe, tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    search(make_run(tiny_recipe, out))
    experts = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())["experts"]
    fewer = own_recipe(tmp_path / "fewer", experts=experts[1:])
    with pytest.raises(OrxeError, match="has an expert 'small' that the recipe does not name"):
        read_fitted(make_run(fewer, out))


def test_records_of_other_weights_than_fitted_are_refused(
    make_run: MakeRun, own_recipe: OwnRecipe, tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    search(make_run(tiny_recipe, out))
    other = own_recipe(tmp_path / "other")
    weights = torch.load(other / "small.pth", weights_only=True)
    weights["classifier.weight"] += 1
    torch.save(weights, other / "small.pth")
    run = make_run(other, out, "record.keep=all", f"data.root={tiny_recipe / 'images'}", fresh=True)
    record_pool(run)
    with pytest.raises(OrxeError, match="was fitted with an expert 'small' of fingerprint '.*', but here is '.*'"):
        read_fitted(run)


def test_another_confidence_than_fitted_is_refused(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    search(run)
    path = run.cascade_folder / "cascade.json"
    raw = json.loads(path.read_text())
    raw["experts"][1]["confidence"] = {"kind": "margin"}
    path.write_text(json.dumps(raw))
    with pytest.raises(OrxeError, match="with confidence {'kind': 'margin'} of expert 'medium', but the records"):
        read_fitted(run)


def test_another_number_of_samples_than_fitted_is_refused(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    search(run)
    path = run.cascade_folder / "cascade.json"
    raw = json.loads(path.read_text())
    raw["table"]["n_samples"] += 1
    path.write_text(json.dumps(raw))
    with pytest.raises(OrxeError, match="was fitted on 28 samples, but the fitting split has 27 now"):
        read_fitted(run)


def test_a_cascade_for_another_task_is_refused(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    search(run)
    path = run.cascade_folder / "cascade.json"
    path.write_text(path.read_text().replace('"task": "classification"', '"task": "regression"', 1))
    with pytest.raises(OrxeError, match="is a cascade for regression, but the recipe is for classification"):
        read_fitted(run)


def test_a_run_that_was_moved_is_still_read(make_run: MakeRun, tiny_recipe: Path, out: Path, tmp_path: Path) -> None:
    given = search(make_run(tiny_recipe, out))
    moved = shutil.copytree(out, tmp_path / "somewhere" / "else")
    read = read_fitted(make_run(tiny_recipe, moved))
    # The weights lie beside the recipe, and stayed there.
    assert [spec.checkpoint for spec in read.file.specs] == [spec.checkpoint for spec in given.file.specs]
    assert read.file.table == given.file.table
    assert_same(read.splits.report, given.splits.report)
