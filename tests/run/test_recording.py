"""The recording step: which samples and experts, where, and what does not fit."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import load_records
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.run.recording import load_augmentation, record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import metric_of
from orxe_plugins.run.searching import search
from orxe_plugins.tasks import task_named

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]


def test_a_limit_takes_samples_of_every_class_evenly(make_run: MakeRun, tiny_recipe: Path, tmp_path: Path) -> None:
    run = make_run(tiny_recipe, tmp_path, "data.limit=9")
    record_pool(run)
    records = load_records(tmp_path / "records")
    assert sorted(name.split("/")[0] for name in records.sample_ids) == ["ant"] * 3 + ["bee"] * 3 + ["cat"] * 3


def test_a_class_map_numbers_the_folders(make_run: MakeRun, tiny_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("cat\nbee\nant\n")
    changes = ("data.limit=9", f"data.class_map={tmp_path / 'map.txt'}")
    record_pool(make_run(tiny_recipe, tmp_path, *changes))
    records = load_records(tmp_path / "records")
    assert records.labels is not None
    assert records.labels.tolist() == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    (tmp_path / "map.txt").write_text("cat\nbee\n")
    with pytest.raises(OrxeError, match="class folder 'ant' is not in class map"):
        record_pool(make_run(tiny_recipe, tmp_path, *changes))


def test_augmentations_are_timms_by_default(tiny_recipe: Path) -> None:
    image = Image.open(tiny_recipe / "images" / "ant" / "00.jpg")
    assert load_augmentation("original").name == load_augmentation("timm:original").name == "original"
    assert load_augmentation("augmix-m3")(image).size == image.size
    with pytest.raises(OrxeError, match="augmentation 'timm:orginal' is unknown: expected original"):
        load_augmentation("timm:orginal")
    with pytest.raises(OrxeError, match="has no augmentation"):
        load_augmentation("torchvision:original")


def test_the_report_says_whether_records_were_made_with_augmentation(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path
) -> None:
    run = make_run(tiny_recipe, tmp_path, "record.augment=timm:rand-m9-mstd0.5", "data.limit=15")
    record_pool(run)
    assert sorted(path.name for path in tmp_path.glob("records*")) == ["records-fit", "records-report"]
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert splits.fit.details["augment"] == "rand-m9-mstd0.5"
    assert splits.report.details["augment"] is None
    assert file.table.details["fitted_on"]["augment"] == "rand-m9-mstd0.5"
    clean = load_records(tmp_path / "records-report")
    changed = load_records(tmp_path / "records-fit")
    assert (clean.confidence != changed.confidence).mean() > 0.5
    evaluation = evaluate(file.table, splits.report, fitted_on=splits.fit, metric=metric_of(run, splits.report))
    facts = dict(evaluation_document(evaluation).facts)
    assert facts["Training-time augmentation in the fitting records"] == "rand-m9-mstd0.5"


def test_experts_of_one_name_are_refused(
    make_run: MakeRun, own_recipe: OwnRecipe, tiny_recipe: Path, tmp_path: Path
) -> None:
    raw = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())
    recipe = own_recipe(tmp_path / "own", experts=[*raw["experts"], raw["experts"][0]])
    with pytest.raises(OrxeError, match="experts are called small more than once"):
        record_pool(make_run(recipe, tmp_path / "out"))


def test_experts_with_other_classes_are_refused_before_a_record_of_them_is_made(
    make_run: MakeRun, own_recipe: OwnRecipe, tiny_recipe: Path, tmp_path: Path
) -> None:
    raw = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())
    torch.manual_seed(0)
    odd = {"name": "odd", "address": "timm:test_resnet?pretrained=false&num_classes=4"}
    recipe = own_recipe(tmp_path / "own", experts=[raw["experts"][0], odd])
    with pytest.raises(OrxeError, match="must have the same classes, but they have small: 3, odd: 4"):
        record_pool(make_run(recipe, tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("odd*"))


def test_more_classes_in_the_data_than_an_expert_knows_are_refused(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "map.txt").write_text("x\ny\nz\nant\nbee\ncat\n")
    run = make_run(tiny_recipe, tmp_path / "out", f"data.class_map={tmp_path / 'map.txt'}")
    with pytest.raises(OrxeError, match="'images' has a class 5, but expert 'small' has 3 classes, 0 to 2: number"):
        record_pool(run)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_folders_that_are_but_some_of_the_classes_are_refused(tiny_recipe: Path, tmp_path: Path) -> None:
    expert = load_expert("timm:test_resnet?pretrained=false&num_classes=7")
    task = task_named("classification")
    folder = task.dataset(tiny_recipe / "images")
    with pytest.raises(OrxeError, match="has 3 class folders and no class map, but expert .* has 7 classes"):
        task.prepare(expert, folder.select(range(4)))
    (tmp_path / "map.txt").write_text("ant 6\nbee 0\ncat 3\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.prepare(expert, task.dataset(tiny_recipe / "images", str(tmp_path / "map.txt")).select(range(4)))
        task.prepare(load_expert("timm:test_resnet?pretrained=false&num_classes=3"), folder)


def files_of(out: Path) -> dict[Path, bytes]:
    """All files but the known hashes of images, which may grow: they only save reading images again."""
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "contents.parquet"}


def test_a_recording_of_another_data_set_is_refused_and_left_as_it_was(
    make_run: MakeRun, tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_recipe / "images", tmp_path / "images")
    (other / "bee" / "00.jpg").unlink()
    before = files_of(out)
    changes = ("record.keep=all", f"data.root={other}")
    with pytest.raises(OrxeError, match="holds records of another data set: 'images' with 45 samples"):
        record_pool(make_run(tiny_recipe, out, *changes))
    assert files_of(out) == before
    record_pool(make_run(tiny_recipe, out, *changes, fresh=True))
    assert len(load_records(out / "records")) == 44


def test_fresh_records_again_what_differs_and_keeps_the_rest(
    make_run: MakeRun, tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    def times() -> dict[str, int]:
        return {path.parent.name.split("-")[0]: path.stat().st_mtime_ns for path in out.rglob("shard-00000.parquet")}

    before = times()
    weights = torch.load(tiny_recipe / "small.pth", weights_only=True)
    weights["classifier.weight"].mul_(-1)
    torch.save(weights, tmp_path / "other.pth")
    changes = ("record.keep=all", f"experts.small.checkpoint={tmp_path / 'other.pth'}")
    with pytest.raises(OrxeError, match="expert 'small' has other weights"):
        record_pool(make_run(tiny_recipe, out, *changes))
    record_pool(make_run(tiny_recipe, out, *changes, fresh=True))
    after = times()
    assert {name for name in before if before[name] != after[name]} == {"small"}
    run = make_run(tiny_recipe, out, *changes)
    record_pool(Run(run.recipe, out, fresh_all=True))
    assert all(times()[name] != after[name] for name in after)


def test_fresh_takes_another_shard_size_and_batch_size(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    changes = ("record.keep=all", "record.shard_size=20")
    with pytest.raises(OrxeError, match="with shard_size 7, but this run has 20"):
        record_pool(make_run(tiny_recipe, out, *changes))
    record_pool(make_run(tiny_recipe, out, *changes, fresh=True))
    assert len(load_records(out / "records")) == 45
    next(iter(out.rglob("shard-00001.parquet"))).unlink()
    changes = (*changes, "record.batch_size=3")
    with pytest.raises(OrxeError, match="have batch_size 4, but this run has 3"):
        record_pool(make_run(tiny_recipe, out, *changes))
    record_pool(make_run(tiny_recipe, out, *changes, fresh=True))
    assert len(load_records(out / "records")) == 45
