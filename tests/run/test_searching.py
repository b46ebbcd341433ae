"""The search step: from records to a cascade on disk."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from orxe_plugins import OrxeError, replay
from orxe_plugins.cascade.file import load_cascade, read_cascade
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.evaluation.view_shift import measure_shift
from orxe_plugins.records import load_records
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import pool_view, record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import metric_of, samples_of
from orxe_plugins.run.searching import search
from orxe_plugins.run.splits import splits_of

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]


def test_a_recorded_expert_that_the_recipe_no_longer_names_is_left_out(
    make_run: MakeRun, own_recipe: OwnRecipe, tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    experts = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())["experts"]
    recipe = own_recipe(tmp_path / "fewer", experts=experts[1:])
    fitted = search(make_run(recipe, out))
    file, splits = fitted.file, fitted.splits
    assert splits.fit.names == tuple(spec.name for spec in file.specs)
    assert len(file.specs) == len(experts) - 1


def test_nothing_of_the_reporting_split_reaches_the_search(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all")
    before = search(run).file.table
    reporting = set(splits_of(run).report.sample_ids)
    records = load_records(out / "records")
    for path in (out / "records").rglob("shard-*.parquet"):
        table = pq.read_table(path)
        rows = zip(table["sample_id"].to_pylist(), table["score"].to_pylist(), strict=True)
        flipped = [1 - score if name in reporting else score for name, score in rows]
        place = table.schema.get_field_index("score")
        pq.write_table(table.set_column(place, "score", pa.array(flipped, table["score"].type)), path)
        path.with_suffix(".sum").unlink()  # what was written there is no longer what counts as whole
    run = make_run(tiny_recipe, out, "record.keep=all")
    there = np.isin(records.sample_ids, [*reporting])
    assert (splits_of(run).report.score != records.samples(there).score).all()
    after = search(run).file.table
    assert [row.policy for row in after] == [row.policy for row in before]


def test_fitting_and_reporting_on_the_same_samples_is_said(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "data.split.fit=1")
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert splits.same and len(splits.fit) == len(splits.report) == 45
    assert file.table.details["reported_on_the_same_samples"] is True
    evaluation = evaluate(file.table, splits.report, fitted_on=splits.fit, metric=metric_of(run, splits.report))
    told = evaluation_document(evaluation).warnings
    assert any("45 of the 45 samples reported on were fitted on too" in warning for warning in told)


def test_a_written_cascade_routes_as_the_records_say(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all")
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    used: set[int] = set()
    for row in file.table:
        cascade = load_cascade(run.cascade_folder, row.preference)
        assert cascade.policy == row.policy
        routed = run_routed(cascade, samples_of(run, splits.report), run.task, batch_size=5)
        assert disagreements(routed, splits.report, row.policy) == []
        assert routed.cost.mean() == pytest.approx(replay(splits.report, row.policy).cost)
        used |= set(routed.expert.tolist())
    assert len(used) > 1


def test_a_pool_is_chosen_before_the_search(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "select_pool.k=2")
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert len(file.specs) == splits.fit.n_experts == splits.report.n_experts == 2
    assert [spec.name for spec in file.specs] == list(splits.fit.names)
    assert len(read_cascade(run.cascade_folder).specs) == 2


def test_in_the_tensor_mode_records_inference_and_the_files_view_agree(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path
) -> None:
    run = make_run(tiny_recipe, tmp_path, "path=tensor", "select_pool.k=2")
    record_pool(run)
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert file.input_mode == "tensor" and file.input_view == pool_view(run)
    cascade = load_cascade(run.cascade_folder, 0.75)
    # Without the pool's third expert the widest view could be another one: the file keeps the recorded one.
    assert cascade.input_view == pool_view(run)
    dataset = samples_of(run, splits.report)
    routed = run_routed(cascade, dataset, run.task, input_mode="tensor", batch_size=7)
    assert disagreements(routed, splits.report, file.table.at(0.75).policy) == []
    (shift, *_) = measure_shift(cascade.members[-1:], pool_view(run), dataset, run.task, batch_size=4)
    assert shift.name == cascade.members[-1].name
    assert shift.tensor == pytest.approx(splits.report.mean_score[-1])
    assert shift.low <= shift.shift <= shift.high and 0 <= shift.same <= 1


def test_the_tensor_mode_needs_a_shared_tensor(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    cascade = load_cascade(run.cascade_folder)
    cascade.input_view = None
    with pytest.raises(OrxeError, match="use the input mode 'originals'"):
        run_routed(cascade, samples_of(run, splits.report), run.task, input_mode="tensor")
    with pytest.raises(OrxeError, match="of different samples, or in a different order"):
        routed = run_routed(cascade, samples_of(run, splits.report), run.task)
        disagreements(routed, splits.fit, file.table.at(0.5).policy)


def test_steps_before_the_recording_say_what_is_missing(make_run: MakeRun, tiny_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="holds no records: make some by `orxe record"):
        search(make_run(tiny_recipe, tmp_path)).file
    assert not (tmp_path / "cascade").exists()


def test_what_a_fitted_file_says_can_be_read_by_people(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(run)
    raw = json.loads((run.cascade_folder / "cascade.json").read_text())
    assert [expert["name"] for expert in raw["experts"]] == ["small", "medium", "large"]
    assert raw["table"]["details"]["recipe"] == "tiny"
    assert raw["table"]["details"]["split"] == {"fit": 0.6, "seed": 1}


def test_a_promise_is_tested_on_samples_of_its_own_and_reported_on_others(
    make_run: MakeRun, tiny_recipe: Path, out: Path
) -> None:
    run = make_run(
        tiny_recipe, out, "data.split={fit: 0.4, choose: 0.3, seed: 1}",
        "promise=[{max_drop: 0.9, confidence: 0.5}, {max_drop: 0.001}]",
    )  # fmt: skip
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert splits.choose is not None
    parts = [set(part.sample_ids.tolist()) for part in (splits.fit, splits.choose, splits.report)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(load_records(out / "records"))
    kept, refused = file.table.promises
    assert kept.n_samples == len(splits.choose) and kept.rows and not refused.rows
    read = read_cascade(run.cascade_folder)
    assert read.table == file.table
    cascade = load_cascade(run.cascade_folder)
    assert cascade.set_preference(max_drop=0.9, confidence=0.5) == kept.row.policy  # type: ignore[union-attr]
    with pytest.raises(OrxeError, match="no policy can promise a drop of at most 0.001 with 95 % confidence"):
        cascade.set_preference(max_drop=0.001, confidence=0.95)
    evaluation = evaluate(file.table, splits.report, fitted_on=splits.fit)
    shown = evaluation.promises[0]
    outcome = replay(splits.report, kept.row.policy)  # type: ignore[union-attr]
    assert shown.mean_drop == pytest.approx(splits.report.mean_score[-1] - outcome.score)
    text = evaluation_document(evaluation).to_markdown()
    assert f"Promised drops (choosing split, {len(splits.choose)} samples)" in text
    assert "no policy can promise a drop of at most 0.001" in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("promise={max_drop: 0.01}", "promise is tested on samples of its own: add data.split.choose"),
        ("data.split={fit: 0.6, choose: 0.4}", "leaves nothing to report on"),
        ("promise={max_drop: 2}", "max_drop is 2"),
        ("max_experts=0", "max_experts is 0"),
    ],
)
def test_promises_and_limits_that_make_no_sense_are_refused(
    tiny_recipe: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(OrxeError, match=message):
        load_recipe(tiny_recipe, out=tmp_path, overrides=[override])


def test_the_cascade_keeps_what_fits_into_the_memory(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    params = dict(zip(*(lambda r: (r.names, r.params.tolist()))(load_records(out / "records")), strict=True))
    two = sorted(params.values())[:2]
    fitted = search(make_run(tiny_recipe, out, f"max_params={sum(two)}"))
    file, splits = fitted.file, fitted.splits
    assert sum(params[str(spec.name)] for spec in file.specs) <= sum(two)
    assert splits.fit.names == tuple(spec.name for spec in file.specs)
    assert len(search(make_run(tiny_recipe, out, "max_experts=2")).file.specs) <= 2
    with pytest.raises(OrxeError, match="no expert has at most 1 parameters"):
        search(make_run(tiny_recipe, out, "max_params=1")).file


def test_milliseconds_and_millijoules_are_costs_too(make_run: MakeRun, tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "cost={kind: latency, batch_size: 4, batch_sizes: [1, 4]}")
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    assert file.table.cost_unit == splits.report.cost_unit == "ms"
    assert (out / "latency.json").is_file()
    assert len(file.table.details["latency"]["expected_ms"]) == len(file.table)
    assert search(run).file == file, "what was measured once is kept"
    energy = {"small": 30.0, "medium": 20.0, "large": 90.0}
    text = ", ".join(f"{name}: {value}" for name, value in energy.items())
    cascade = search(make_run(tiny_recipe, out, f"cost={{kind: energy, table: {{{text}}}}}")).file
    assert cascade.table.cost_unit == "mJ" and cascade.table.reference_cost == 90
    assert [(spec.name, spec.cost) for spec in cascade.specs] == [("medium", 20), ("small", 30), ("large", 90)]
    with pytest.raises(OrxeError, match="cost of kind energy needs a table"):
        load_recipe(tiny_recipe, out=out, overrides=["cost.kind=energy"])
