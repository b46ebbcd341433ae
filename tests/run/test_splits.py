"""Splits: no sample is in two of them, and all are in one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.data.reading import BadSampleError
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import metric_of, samples_of
from orxe_plugins.run.searching import search
from orxe_plugins.run.splits import splits_of

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]


def test_the_splits_share_no_sample_and_hold_all(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    splits = splits_of(make_run(tiny_recipe, out))
    fit, report = set(splits.fit.sample_ids), set(splits.report.sample_ids)
    assert (len(fit), len(report), splits.same) == (27, 18, False)
    assert not fit & report and len(fit | report) == 45
    assert set(splits_of(make_run(tiny_recipe, out)).fit.sample_ids) == fit
    assert set(splits_of(make_run(tiny_recipe, out, "data.split.seed=2")).fit.sample_ids) != fit


def test_the_choosing_split_leaves_the_others_samples_apart(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    two = splits_of(make_run(tiny_recipe, out, "data.split.fit=0.4"))
    three = splits_of(make_run(tiny_recipe, out, "data.split.fit=0.4", "data.split.choose=0.2"))
    assert three.choose is not None
    assert three.fit.sample_ids.tolist() == two.fit.sample_ids.tolist()
    rest = {*three.choose.sample_ids.tolist(), *three.report.sample_ids.tolist()}
    assert rest == set(two.report.sample_ids.tolist())


def test_a_split_that_leaves_nobody_is_refused(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    with pytest.raises(OrxeError, match="0 samples to fit on and 45 to report on"):
        splits_of(make_run(tiny_recipe, out, "data.split.fit=0.001"))


def test_a_second_folder_is_reported_on_and_not_fitted_on(make_run: MakeRun, tiny_recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "ant"
    other.mkdir(parents=True)
    for name in ("bee", "cat"):  # without them, ant alone would not say which class it is
        (other.parent / name).mkdir()
    for i in range(3):
        shutil.copy(tiny_recipe / "images" / "ant" / f"{i:02d}.jpg", other / f"new{i}.jpg")
    run = make_run(tiny_recipe, tmp_path / "out", f"data.report_root={other.parent}")
    record_pool(run)
    splits = splits_of(run)
    assert len(splits.fit) == 45
    assert splits.report.sample_ids.tolist() == ["ant/new0.jpg", "ant/new1.jpg", "ant/new2.jpg"]
    splits = search(run).splits
    assert samples_of(run, splits.report).sample_ids == splits.report.sample_ids.tolist()


def test_samples_that_are_gone_are_named_or_leave_a_gap(
    make_run: MakeRun, own_recipe: OwnRecipe, tmp_path: Path
) -> None:
    folder = own_recipe(tmp_path / "recipe")
    record_pool(make_run(folder, tmp_path / "out"))
    for path in sorted((folder / "images").glob("*/*.jpg"))[::4]:
        path.unlink()
    run = make_run(folder, tmp_path / "out")
    records = splits_of(run).report
    kept = [(folder / "images" / str(sample)).is_file() for sample in records.sample_ids]
    assert 0 < sum(kept) < len(kept)
    with pytest.raises(
        OrxeError,
        match=rf"{kept.count(False)} of the 18 samples .* no longer in images, or no longer images, such as .*jpg",
    ):
        samples_of(run, records)
    found = samples_of(run, records, gaps=True)
    assert found.sample_ids == records.sample_ids.tolist()
    assert found.class_names == ("ant", "bee", "cat")  # type: ignore[attr-defined]
    for dataset in (found, found.select(range(len(found)))):
        for i, there in enumerate(kept):
            assert (dataset.targets[i] is None) is not there
            if there:
                assert dataset.load(i).mode == "RGB"
            else:
                with pytest.raises(BadSampleError, match="no longer in the data set"):
                    dataset.load(i)
    # A mean of recorded scores needs none of them.
    assert metric_of(run, records).name == "top1"
