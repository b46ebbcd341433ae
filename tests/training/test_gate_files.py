"""Gates of a whole run: trained on their own split, kept, saved in the cascade's folder and used from there."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.cascade.file import load_cascade, read_cascade
from orxe_plugins.cli.reports import print_savers
from orxe_plugins.confidence.gate import RankingGate
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.records.loading import load_gate_inputs
from orxe_plugins.run.confidences import train_run_gates, with_confidences, with_gate_confidences
from orxe_plugins.run.preparing import prepare
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.searching import search
from orxe_plugins.run.splits import splits_of
from orxe_plugins.training.gate import GateSettings
from orxe_plugins.training.gate_files import gate_confidence, train_gates, with_gates

pytest.importorskip("timm")

PREPARE = """
from orxe_plugins.training.make import make_expert

def prepare(recipe, out, progress):
    for spec in recipe.experts:
        make_expert(spec, lambda expert: None)
"""
RECIPE = """
name: brightness
task: regression
prepare: prepare.py
data: {root: "{data}", split: {fit: 0.7, seed: 0}}
experts:
  - {name: small, address: "timm:test_resnet", checkpoint: "{out}/small.safetensors", options: &view
     {num_classes: 1, in_chans: 1, input_size: 16, mean: [0.5], std: [0.5], crop_pct: 1.0}}
  - {name: large, address: "timm:test_resnet", checkpoint: "{out}/large.safetensors",
     options: {<<: *view, input_size: 32}}
gates: {share: 0.5, epochs: 4}
preferences: {step: 0.25}
"""


def write_targets(folder: Path, targets: dict[str, float]) -> None:
    with (folder / "targets.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "value"), *targets.items()])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of two untrained regressors and 150 grey images; the target is how bright one is."""
    folder = tmp_path_factory.mktemp("brightness")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    targets = {}
    for i in range(150):
        pixels = (rng.random((20, 20)) * rng.uniform(20, 255)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "data" / f"{i:03d}.png")
        targets[f"{i:03d}.png"] = float(pixels.mean() / 255)
    write_targets(folder / "data", targets)
    return folder


def make_run(folder: Path, out: Path, *overrides: str, data: str = "data") -> Run:
    return Run(load_recipe(folder, out=out, data=folder / data, overrides=overrides), out)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """That recipe, recorded, with trained gates and a cascade."""
    run = make_run(folder, folder / "run")
    prepare(run)
    record_pool(run)
    search(run)
    return run


def test_the_three_splits_share_no_sample(run: Run) -> None:
    splits = splits_of(run)
    assert splits.gate is not None
    parts = [set(part.sample_ids) for part in (splits.gate, splits.fit, splits.report)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 150
    assert min(map(len, parts)) >= 40


def test_the_gate_lies_in_the_cascades_folder_and_load_cascade_uses_it(run: Run, folder: Path) -> None:
    (file,) = (run.cascade_folder / "gates").glob("*.safetensors")
    raw = json.loads((run.cascade_folder / "cascade.json").read_text())
    assert raw["experts"][0]["confidence"] == {"kind": "ranking_gate", "file": f"gates/{file.name}"}
    assert raw["experts"][1]["confidence"] == {"kind": "constant"}
    cascade = load_cascade(run.cascade_folder, 0.5)
    gate = cascade.members[0].confidence
    assert isinstance(gate, RankingGate)
    splits = search(run).splits
    assert cascade.members[0].cost == pytest.approx(splits_of(run).report.cost[0] + gate.gmacs)
    assert splits.report.cost[0] == cascade.members[0].cost
    # Real inference takes the paths that replay of the records says.
    routed = run_routed(cascade, samples_of(run, splits.report), run.task, batch_size=7)
    assert not len(disagreements(routed, splits.report, cascade.policy))


def test_a_cascade_with_gates_may_be_moved(run: Run, tmp_path: Path) -> None:
    moved = shutil.copytree(run.out, tmp_path / "moved")
    spec = read_cascade(moved / "cascade").specs[0]
    assert Path(spec.confidence["file"]).is_relative_to(moved)  # type: ignore[index]
    assert isinstance(load_cascade(moved / "cascade").members[0].confidence, RankingGate)


def test_a_trained_gate_is_kept_until_its_samples_or_settings_change(run: Run) -> None:
    (file,) = (run.cascade_folder / "gates").glob("*.safetensors")
    before = file.stat().st_mtime_ns
    train_run_gates(run, splits_of(run))
    assert file.stat().st_mtime_ns == before
    splits = splits_of(run)
    assert splits.gate is not None
    settings = GateSettings(epochs=1)
    names = splits.gate.names[:1]
    out = run.out / "others"
    first = train_gates(splits.gate, run.out / "records", names, settings, "values", out).files["small"]
    stamp = first.stat().st_mtime_ns
    train_gates(splits.gate.samples(slice(40)), run.out / "records", names, settings, "values", out)
    assert first.stat().st_mtime_ns > stamp
    stamp = first.stat().st_mtime_ns
    longer = replace(settings, epochs=2)
    train_gates(splits.gate.samples(slice(40)), run.out / "records", names, longer, "values", out)
    assert first.stat().st_mtime_ns > stamp


def test_savers_are_ranked_with_the_confidences_that_the_cascade_has(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = splits_of(run)
    pool = with_confidences(run, splits)
    gated = with_gate_confidences(run, splits, train_run_gates(run, splits))
    assert pool.splits.fit.confidence.tolist() == gated.fit.confidence.tolist()
    assert len(np.unique(pool.splits.report.confidence[0])) > 1  # a constant is all that a regressor has by itself
    assert pool.specs["small"].confidence["kind"] == "ranking_gate"  # type: ignore[index]
    print_savers(run, pool.splits, ["large"])
    assert "small" in capsys.readouterr().out


def test_records_get_the_gates_confidence_and_cost(run: Run) -> None:
    splits, gates = splits_of(run), train_run_gates(run, splits_of(run))
    (gated,) = with_gates([splits.report], run.out / "records", gates)
    gate = RankingGate(gates.files["small"])
    inputs = load_gate_inputs(run.out / "records", "small", splits.report.sample_ids)
    np.testing.assert_array_equal(gated.confidence[0], gate_confidence(gate, inputs))
    np.testing.assert_array_equal(gated.confidence[1], splits.report.confidence[1])
    assert gated.cost[0] - splits.report.cost[0] == pytest.approx(gate.net.macs / 1e9)
    assert gated.cost[1] == splits.report.cost[1]
    assert gated.details["confidence"]["small"]["kind"] == "ranking_gate"
    assert gates.confidence("large") is None


def test_gates_and_thresholds_never_see_the_reporting_split(run: Run, folder: Path) -> None:
    """Other labels there change the report, but no gate and no threshold; the same labels elsewhere change both."""
    splits = splits_of(run)
    assert splits.gate is not None
    with (folder / "data" / "targets.csv").open(newline="") as file:
        truth = {row["image"]: float(row["value"]) for row in csv.DictReader(file)}

    def planted(where: str, ids: np.ndarray) -> Run:
        data = folder / where
        data.mkdir()
        for path in (folder / "data").glob("*.png"):
            (data / path.name).symlink_to(path)
        # The answers that were best become the worst.
        write_targets(data, {**truth, **{str(i): 5 - 9 * truth[str(i)] for i in ids}})
        # Both runs have the same experts.
        other = make_run(folder, folder / f"{where}-run", data=where)
        other.out.mkdir()
        for path in run.out.glob("*.safetensors"):
            (other.out / path.name).write_bytes(path.read_bytes())
        record_pool(other)
        return other

    def gate_bytes(job: Run) -> list[bytes]:
        return [path.read_bytes() for path in sorted((job.cascade_folder / "gates").glob("*.safetensors"))]

    there = planted("planted-in-report", splits.report.sample_ids)
    table = search(there).file.table
    assert gate_bytes(there) == gate_bytes(run)
    assert [row.policy for row in table] == [row.policy for row in search(run).file.table]
    assert [row.score for row in table] == [row.score for row in search(run).file.table]
    assert splits_of(there).report.mean_score[0] != pytest.approx(splits.report.mean_score[0])
    elsewhere = planted("planted-in-training", splits.gate.sample_ids)
    search(elsewhere)
    assert gate_bytes(elsewhere) != gate_bytes(run)


def test_a_recipe_without_gates_says_how_to_get_them(run: Run, folder: Path, tmp_path: Path) -> None:
    job = make_run(folder, tmp_path, "gates=null")
    with pytest.raises(OrxeError, match="recipe 'brightness' has no gates: add"):
        train_run_gates(job, splits_of(run))


def test_gates_and_a_fitted_temperature_exclude_each_other(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match=r"gates.*temperature"):
        make_run(folder, tmp_path, "confidence={kind: max_softmax, temperature: fit}")


def test_records_without_features_say_what_to_do(run: Run, folder: Path, tmp_path: Path) -> None:
    plain = make_run(folder, tmp_path, "gates=null")
    for path in run.out.glob("*.safetensors"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record_pool(plain)
    with pytest.raises(OrxeError, match="recorded without features: record again with features, by --fresh"):
        load_gate_inputs(tmp_path / "records", "small", splits_of(plain).fit.sample_ids)
    with pytest.raises(OrxeError, match="has no features of sample 'nowhere' by expert 'small'"):
        load_gate_inputs(run.out / "records", "small", ["nowhere"])


def test_a_killed_recording_of_features_goes_on(run: Run, folder: Path, tmp_path: Path) -> None:
    """Shards that are there already stay; the features end up the same."""
    other = make_run(folder, tmp_path, "record.shard_size=64")
    for path in run.out.glob("*.safetensors"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record_pool(other)
    shards = sorted((tmp_path / "records").rglob("shard-*.parquet"))
    kept, lost = shards[0], shards[1]
    stamp, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    record_pool(other)
    assert kept.stat().st_mtime_ns == stamp
    assert lost.read_bytes() == content


@torch.inference_mode()
def test_gates_run_on_single_images_as_on_batches(run: Run) -> None:
    cascade = load_cascade(run.cascade_folder, 0.5)
    dataset = samples_of(run, splits_of(run).report)
    images = [dataset.load(i) for i in range(5)]
    _, together = cascade.route(images)
    alone = torch.cat([cascade.route([image])[1].confidence for image in images])
    torch.testing.assert_close(together.confidence, alone, atol=1e-5, rtol=1e-4)
