"""Confidences: fitted temperatures and other kinds, from the records to the cascade."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from orxe_plugins import OrxeError
from orxe_plugins.cascade.file import cascade_of, load_cascade
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.records import load_records
from orxe_plugins.records.signals import Signal, _fit, summary_of
from orxe_plugins.run.fitted import read_fitted
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.searching import search
from orxe_plugins.run.splits import splits_of

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]


def test_a_temperature_is_fitted_on_the_fitting_split_and_goes_into_the_cascade(
    make_run: MakeRun, tiny_recipe: Path, out: Path
) -> None:
    run = make_run(tiny_recipe, out, "confidence={kind: max_softmax, temperature: fit}")
    plain = load_records(out / "records")
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    temperatures = [spec.confidence["temperature"] for spec in file.specs if spec.confidence]
    assert len(temperatures) == 3 and max(temperatures) > 1.5, "experts with sharp random weights are far too sure"
    logits = torch.from_numpy(plain.predictions["log_probs"])
    place = [plain.sample_ids.tolist().index(name) for name in splits.report.sample_ids]
    for i, temperature in enumerate(temperatures):
        expected = (logits[i] / temperature).softmax(dim=1).amax(dim=1)[place]
        np.testing.assert_allclose(splits.report.confidence[i], expected, rtol=1e-4)
    row = file.table.at(0.75)
    routed = run_routed(load_cascade(run.cascade_folder, 0.75), samples_of(run, splits.report), run.task)
    assert disagreements(routed, splits.report, row.policy) == []


def test_a_temperature_needs_all_classes(make_run: MakeRun, tiny_recipe: Path, tmp_path: Path) -> None:
    record_pool(make_run(tiny_recipe, tmp_path, "data.limit=6"))
    with pytest.raises(OrxeError, match="was recorded with keep 'top5', now keep 'all'"):
        record_pool(make_run(tiny_recipe, tmp_path, "data.limit=6", "confidence={kind: max_softmax, temperature: fit}"))


@pytest.mark.parametrize("kind", ["margin", "negative_entropy"])
def test_another_confidence_is_recorded_and_loaded_with_the_cascade(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path, kind: str
) -> None:
    run = make_run(tiny_recipe, tmp_path, f"confidence={{kind: {kind}}}", "data.limit=12")
    record_pool(run)
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert all(spec.confidence == {"kind": kind} for spec in file.specs)
    routed = run_routed(load_cascade(run.cascade_folder, 0.5), samples_of(run, splits.report), run.task)
    assert disagreements(routed, splits.report, file.table.at(0.5).policy) == []


def test_confidences_are_chosen_saved_and_read_again(
    make_run: Callable[..., Run], tiny_recipe: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all", "confidence=auto")
    records = splits_of(run).fit
    line = _fit("top", summary_of(records, 0), np.arange(float(len(records)))).to_dict()
    chosen = {"small": Signal(line, {}, {}), "medium": Signal({"kind": "margin"}, {}, {})}
    monkeypatch.setattr("orxe_plugins.run.confidences.fit_signals", lambda records: chosen)
    fitted = search(run)
    kinds = {str(spec.name): dict(spec.confidence or {})["kind"] for spec in fitted.file.specs}
    assert kinds == {"small": "advantage", "medium": "margin", "large": "max_softmax"}
    again = read_fitted(make_run(tiny_recipe, out, "record.keep=all", "confidence=auto"))
    assert (again.splits.report.confidence == fitted.splits.report.confidence).all()
    assert again.splits.report.cost == pytest.approx(fitted.splits.report.cost)
    cascade = cascade_of(fitted.file, 0.5)
    dataset = samples_of(run, fitted.splits.report)
    routed = run_routed(cascade, dataset, run.task, batch_size=4)
    assert not len(disagreements(routed, fitted.splits.report, fitted.file.table.at(0.5).policy))
