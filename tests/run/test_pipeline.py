from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from orxe_plugins import OrxeError, replay
from orxe_plugins.cascade.file import load_cascade, read_cascade
from orxe_plugins.errors import OrxeWarning
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.evaluation.view_shift import measure_shift
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import load_records
from orxe_plugins.report.content import evaluation_document
from orxe_plugins.run.pipeline import Run, load_augmentation
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.tasks import task_named


def make_run(recipe: Path, out: Path, *overrides: str, fresh: bool = False) -> Run:
    return Run(load_recipe(recipe, out=out, overrides=overrides), out, fresh=fresh)


@pytest.fixture(scope="module")
def recorded(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a recording that keeps all classes; not to be changed."""
    out = tmp_path_factory.mktemp("recorded")
    make_run(tiny_recipe, out, "record.keep=all").record()
    return out


@pytest.fixture
def out(recorded: Path, tmp_path: Path) -> Path:
    """A copy of that recording for one test alone."""
    return shutil.copytree(recorded, tmp_path / "out")


def own_recipe(tiny_recipe: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the tiny recipe with other keys."""
    shutil.copytree(tiny_recipe, folder)
    raw = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**raw, **changes}))
    return folder


def test_the_splits_share_no_sample_and_hold_all(tiny_recipe: Path, out: Path) -> None:
    splits = make_run(tiny_recipe, out).splits()
    fit, report = set(splits.fit.sample_ids), set(splits.report.sample_ids)
    assert (len(fit), len(report), splits.same) == (27, 18, False)
    assert not fit & report and len(fit | report) == 45
    assert set(make_run(tiny_recipe, out).splits().fit.sample_ids) == fit
    assert set(make_run(tiny_recipe, out, "data.split.seed=2").splits().fit.sample_ids) != fit


def test_a_recorded_expert_that_the_recipe_no_longer_names_is_left_out(
    tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    experts = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())["experts"]
    recipe = own_recipe(tiny_recipe, tmp_path / "fewer", experts=experts[1:])
    file, splits = make_run(recipe, out).fitted()
    assert splits.fit.names == tuple(spec.name for spec in file.specs)
    assert len(file.specs) == len(experts) - 1


def test_nothing_of_the_reporting_split_reaches_the_search(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all")
    before = run.search().table
    reporting = set(run.splits().report.sample_ids)
    records = load_records(out / "records")
    for path in (out / "records").rglob("*.parquet"):
        table = pq.read_table(path)
        rows = zip(table["sample_id"].to_pylist(), table["score"].to_pylist(), strict=True)
        flipped = [1 - score if name in reporting else score for name, score in rows]
        place = table.schema.get_field_index("score")
        pq.write_table(table.set_column(place, "score", pa.array(flipped, table["score"].type)), path)
    run = make_run(tiny_recipe, out, "record.keep=all")
    there = np.isin(records.sample_ids, [*reporting])
    assert (run.splits().report.score != records.samples(there).score).all()
    after = run.search().table
    assert [row.policy for row in after] == [row.policy for row in before]


def test_fitting_and_reporting_on_the_same_samples_is_said(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "data.split.fit=1")
    file, splits = run.fitted()
    assert splits.same and len(splits.fit) == len(splits.report) == 45
    assert file.table.details["reported_on_the_same_samples"] is True
    evaluation = evaluate(file.table, splits.report, fitted_on=splits.fit, metric=run.metric(splits.report))
    assert "45 of the 45 samples reported on were fitted on too" in evaluation_document(evaluation).warnings[0]


def test_a_second_folder_is_reported_on_and_not_fitted_on(tiny_recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "ant"
    other.mkdir(parents=True)
    for i in range(3):
        shutil.copy(tiny_recipe / "images" / "ant" / f"{i:02d}.jpg", other / f"new{i}.jpg")
    run = make_run(tiny_recipe, tmp_path / "out", f"data.report_root={other.parent}")
    run.record()
    splits = run.splits()
    assert len(splits.fit) == 45
    assert splits.report.sample_ids.tolist() == ["ant/new0.jpg", "ant/new1.jpg", "ant/new2.jpg"]
    _, splits = run.fitted()
    assert run.samples_of(splits.report).sample_ids == splits.report.sample_ids.tolist()


def test_a_written_cascade_routes_as_the_records_say(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "record.keep=all")
    file, splits = run.fitted()
    used: set[int] = set()
    for row in file.table:
        cascade = load_cascade(run.cascade_folder, row.preference)
        assert cascade.policy == row.policy
        routed = run_routed(cascade, run.samples_of(splits.report), run.task, batch_size=5)
        assert disagreements(routed, splits.report, row.policy) == []
        assert routed.cost.mean() == pytest.approx(replay(splits.report, row.policy).cost)
        used |= set(routed.expert.tolist())
    assert len(used) > 1


def test_a_temperature_is_fitted_on_the_fitting_split_and_goes_into_the_cascade(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "confidence={kind: max_softmax, temperature: fit}")
    plain = load_records(out / "records")
    file, splits = run.fitted()
    temperatures = [spec.confidence["temperature"] for spec in file.specs if spec.confidence]
    assert len(temperatures) == 3 and max(temperatures) > 1.5, "experts with sharp random weights are far too sure"
    logits = torch.from_numpy(plain.predictions["log_probs"])
    place = [plain.sample_ids.tolist().index(name) for name in splits.report.sample_ids]
    for i, temperature in enumerate(temperatures):
        expected = (logits[i] / temperature).softmax(dim=1).amax(dim=1)[place]
        np.testing.assert_allclose(splits.report.confidence[i], expected, rtol=1e-4)
    row = file.table.at(0.75)
    routed = run_routed(load_cascade(run.cascade_folder, 0.75), run.samples_of(splits.report), run.task)
    assert disagreements(routed, splits.report, row.policy) == []


def test_a_temperature_needs_all_classes(tiny_recipe: Path, tmp_path: Path) -> None:
    make_run(tiny_recipe, tmp_path, "data.limit=6").record()
    with pytest.raises(OrxeError, match="was recorded with keep 'top5', now keep 'all'"):
        make_run(tiny_recipe, tmp_path, "data.limit=6", "confidence={kind: max_softmax, temperature: fit}").record()


@pytest.mark.parametrize("kind", ["margin", "negative_entropy"])
def test_another_confidence_is_recorded_and_loaded_with_the_cascade(
    tiny_recipe: Path, tmp_path: Path, kind: str
) -> None:
    run = make_run(tiny_recipe, tmp_path, f"confidence={{kind: {kind}}}", "data.limit=12")
    run.record()
    file, splits = run.fitted()
    assert all(spec.confidence == {"kind": kind} for spec in file.specs)
    routed = run_routed(load_cascade(run.cascade_folder, 0.5), run.samples_of(splits.report), run.task)
    assert disagreements(routed, splits.report, file.table.at(0.5).policy) == []


def test_a_pool_is_chosen_before_the_search(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "select_pool.k=2")
    file, splits = run.fitted()
    assert len(file.specs) == splits.fit.n_experts == splits.report.n_experts == 2
    assert [spec.name for spec in file.specs] == list(splits.fit.names)
    assert len(read_cascade(run.cascade_folder).specs) == 2


def test_the_report_says_whether_records_were_made_with_augmentation(tiny_recipe: Path, tmp_path: Path) -> None:
    run = make_run(tiny_recipe, tmp_path, "record.augment=timm:rand-m9-mstd0.5", "data.limit=15")
    run.record()
    assert sorted(path.name for path in tmp_path.glob("records*")) == ["records-fit", "records-report"]
    file, splits = run.fitted()
    assert splits.fit.details["augment"] == "rand-m9-mstd0.5"
    assert splits.report.details["augment"] is None
    assert file.table.details["fitted_on"]["augment"] == "rand-m9-mstd0.5"
    clean = load_records(tmp_path / "records-report")
    changed = load_records(tmp_path / "records-fit")
    assert (clean.confidence != changed.confidence).mean() > 0.5
    evaluation = evaluate(file.table, splits.report, fitted_on=splits.fit, metric=run.metric(splits.report))
    facts = dict(evaluation_document(evaluation).facts)
    assert facts["Training-time augmentation in the fitting records"] == "rand-m9-mstd0.5"


def test_augmentations_are_timms_by_default(tiny_recipe: Path) -> None:
    image = Image.open(tiny_recipe / "images" / "ant" / "00.jpg")
    assert load_augmentation("original").name == load_augmentation("timm:original").name == "original"
    assert load_augmentation("augmix-m3")(image).size == image.size
    with pytest.raises(OrxeError, match="augmentation 'timm:orginal' is unknown: expected original"):
        load_augmentation("timm:orginal")
    with pytest.raises(OrxeError, match="has no augmentation"):
        load_augmentation("torchvision:original")


def test_a_limit_takes_samples_of_every_class_evenly(tiny_recipe: Path, tmp_path: Path) -> None:
    run = make_run(tiny_recipe, tmp_path, "data.limit=9")
    run.record()
    records = load_records(tmp_path / "records")
    assert sorted(name.split("/")[0] for name in records.sample_ids) == ["ant"] * 3 + ["bee"] * 3 + ["cat"] * 3


def test_a_class_map_numbers_the_folders(tiny_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("cat\nbee\nant\n")
    run = make_run(tiny_recipe, tmp_path, "data.limit=9", f"data.class_map={tmp_path / 'map.txt'}")
    run.record()
    records = load_records(tmp_path / "records")
    assert records.labels is not None
    assert records.labels.tolist() == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    (tmp_path / "map.txt").write_text("cat\nbee\n")
    with pytest.raises(OrxeError, match="class folder 'ant' is not in class map"):
        run.record()


def test_along_the_tensors_path_records_inference_and_the_files_view_agree(tiny_recipe: Path, tmp_path: Path) -> None:
    run = make_run(tiny_recipe, tmp_path, "path=tensor", "select_pool.k=2")
    run.record()
    file, splits = run.fitted()
    assert file.input_mode == "tensor" and file.input_view == run.input_view
    cascade = load_cascade(run.cascade_folder, 0.75)
    # Without the pool's third expert the widest view could be another one: the file keeps the recorded one.
    assert cascade.input_view == run.input_view
    dataset = run.samples_of(splits.report)
    routed = run_routed(cascade, dataset, run.task, input_mode="tensor", batch_size=7)
    assert disagreements(routed, splits.report, file.table.at(0.75).policy) == []
    (shift, *_) = measure_shift(cascade.members[-1:], run.input_view, dataset, run.task, batch_size=4)
    assert shift.name == cascade.members[-1].name
    assert shift.tensor == pytest.approx(splits.report.mean_score[-1])
    assert shift.low <= shift.shift <= shift.high and 0 <= shift.same <= 1


def test_the_tensors_path_wants_a_shared_tensor(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    file, splits = run.fitted()
    cascade = load_cascade(run.cascade_folder)
    cascade.input_view = None
    with pytest.raises(OrxeError, match="use the path 'originals'"):
        run_routed(cascade, run.samples_of(splits.report), run.task, input_mode="tensor")
    with pytest.raises(OrxeError, match="of different samples, or in a different order"):
        routed = run_routed(cascade, run.samples_of(splits.report), run.task)
        disagreements(routed, splits.fit, file.table.at(0.5).policy)


# --- what does not fit ----------------------------------------------------------------------------


def test_experts_of_one_name_are_refused(tiny_recipe: Path, tmp_path: Path) -> None:
    raw = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())
    recipe = own_recipe(tiny_recipe, tmp_path / "own", experts=[*raw["experts"], raw["experts"][0]])
    with pytest.raises(OrxeError, match="experts are called small more than once"):
        make_run(recipe, tmp_path / "out").record()


def test_experts_with_other_classes_are_refused_before_a_record_of_them_is_made(
    tiny_recipe: Path, tmp_path: Path
) -> None:
    raw = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())
    torch.manual_seed(0)
    odd = {"name": "odd", "address": "timm:test_resnet?pretrained=false&num_classes=4"}
    recipe = own_recipe(tiny_recipe, tmp_path / "own", experts=[raw["experts"][0], odd])
    with pytest.raises(OrxeError, match="must have the same classes, but they have small: 3, odd: 4"):
        make_run(recipe, tmp_path / "out").record()
    assert not list((tmp_path / "out").rglob("odd*"))


def test_more_classes_in_the_data_than_an_expert_knows_are_refused(tiny_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("x\ny\nz\nant\nbee\ncat\n")
    run = make_run(tiny_recipe, tmp_path / "out", f"data.class_map={tmp_path / 'map.txt'}")
    with pytest.raises(OrxeError, match="'images' has a class 5, but expert 'small' has 3 classes, 0 to 2: number"):
        run.record()
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_folders_that_are_but_some_of_the_classes_are_pointed_out(tiny_recipe: Path, tmp_path: Path) -> None:
    expert = load_expert("timm:test_resnet?pretrained=false&num_classes=7")
    task = task_named("classification")
    folder = task.dataset(tiny_recipe / "images")
    with pytest.warns(OrxeWarning, match="has 3 class folders and no class map, so they are classes 0 to 2, but .* 7"):
        task.prepare(expert, folder.select(range(4)))
    (tmp_path / "map.txt").write_text("ant 6\nbee 0\ncat 3\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.prepare(expert, task.dataset(tiny_recipe / "images", str(tmp_path / "map.txt")).select(range(4)))
        task.prepare(load_expert("timm:test_resnet?pretrained=false&num_classes=3"), folder)


def test_a_recording_of_another_data_set_is_refused_and_left_as_it_was(
    tiny_recipe: Path, out: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_recipe / "images", tmp_path / "images")
    (other / "bee" / "00.jpg").unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    changes = ("record.keep=all", f"data.root={other}")
    with pytest.raises(OrxeError, match="holds records of another data set: 'images' with 45 samples"):
        make_run(tiny_recipe, out, *changes).record()
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    make_run(tiny_recipe, out, *changes, fresh=True).record()
    assert len(load_records(out / "records")) == 44


def test_a_split_that_leaves_nobody_is_refused(tiny_recipe: Path, out: Path) -> None:
    with pytest.raises(OrxeError, match="0 samples to fit on and 45 to report on"):
        make_run(tiny_recipe, out, "data.split.fit=0.001").splits()


def test_steps_before_the_recording_say_what_is_missing(tiny_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="holds no records: make some by `orxe record"):
        make_run(tiny_recipe, tmp_path).search()
    assert not (tmp_path / "cascade").exists()


def test_a_file_beside_the_recipe_that_is_not_there_is_named(tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = own_recipe(tiny_recipe, tmp_path / "own", prepare="nowhere.py")
    with pytest.raises(OrxeError, match=r"names .*nowhere\.py' as its prepare, which is no Python file"):
        make_run(recipe, tmp_path / "out").prepare()


def test_a_package_that_a_recipe_needs_is_named(tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = own_recipe(tiny_recipe, tmp_path / "own", name="needy", prepare="prepare.py")
    (recipe / "prepare.py").write_text("import no_such_package.part\n")
    for _ in range(2):
        with pytest.raises(OrxeError, match="recipe 'needy' needs the Python package 'no_such_package'") as caught:
            make_run(recipe, tmp_path / "out").prepare()
    assert str(caught.value).splitlines()[-1] == 'pip install "orxe-plugins[all]"'


def test_a_recipes_own_prepare_and_plugin_are_run(tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = own_recipe(
        tiny_recipe, tmp_path / "own", name="planned", prepare="prepare.py", prepare_options={"word": "done"},
        plugin="plugin.py", confidence={"kind": "always_half"},
    )  # fmt: skip
    (recipe / "prepare.py").write_text(
        "def prepare(recipe, out, progress, word):\n"
        "    out.mkdir(exist_ok=True)\n    (out / 'note').write_text(recipe.name + word)\n"
    )
    (recipe / "plugin.py").write_text(
        "import torch\nfrom orxe_plugins.confidence import register_confidence\n"
        "from orxe_plugins.confidence.provider import ConfidenceProvider\n\n"
        "@register_confidence('always_half')\nclass Half(ConfidenceProvider):\n"
        "    def forward(self, outputs, features=None):\n        return torch.full((len(outputs),), 0.5)\n"
    )
    run = make_run(recipe, tmp_path / "out", "data.limit=6")
    run.prepare()
    run.record()
    assert (tmp_path / "out" / "note").read_text() == "planneddone"
    assert (load_records(tmp_path / "out" / "records").confidence == 0.5).all()


def test_what_a_fitted_file_says_can_be_read_by_people(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.search()
    raw = json.loads((run.cascade_folder / "cascade.json").read_text())
    assert [expert["name"] for expert in raw["experts"]] == ["small", "medium", "large"]
    assert raw["table"]["details"]["recipe"] == "tiny"
    assert raw["table"]["details"]["split"] == {"fit": 0.6, "seed": 1}


def test_a_promise_is_tested_on_samples_of_its_own_and_reported_on_others(tiny_recipe: Path, out: Path) -> None:
    run = make_run(
        tiny_recipe, out, "data.split={fit: 0.4, choose: 0.3, seed: 1}",
        "promise=[{max_drop: 0.9, confidence: 0.5}, {max_drop: 0.001}]",
    )  # fmt: skip
    file, splits = run.fitted()
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


def test_the_choosing_split_leaves_the_others_samples_apart(tiny_recipe: Path, out: Path) -> None:
    two = make_run(tiny_recipe, out, "data.split.fit=0.4").splits()
    three = make_run(tiny_recipe, out, "data.split.fit=0.4", "data.split.choose=0.2").splits()
    assert three.choose is not None
    assert three.fit.sample_ids.tolist() == two.fit.sample_ids.tolist()
    rest = {*three.choose.sample_ids.tolist(), *three.report.sample_ids.tolist()}
    assert rest == set(two.report.sample_ids.tolist())


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


def test_the_cascade_keeps_what_fits_into_the_memory(tiny_recipe: Path, out: Path) -> None:
    params = dict(zip(*(lambda r: (r.names, r.params.tolist()))(load_records(out / "records")), strict=True))
    two = sorted(params.values())[:2]
    file, splits = make_run(tiny_recipe, out, f"max_params={sum(two)}").fitted()
    assert sum(params[str(spec.name)] for spec in file.specs) <= sum(two)
    assert splits.fit.names == tuple(spec.name for spec in file.specs)
    assert len(make_run(tiny_recipe, out, "max_experts=2").search().specs) <= 2
    with pytest.raises(OrxeError, match="no expert has at most 1 parameters"):
        make_run(tiny_recipe, out, "max_params=1").search()


def test_milliseconds_and_millijoules_are_costs_too(tiny_recipe: Path, out: Path) -> None:
    run = make_run(tiny_recipe, out, "cost={kind: latency, batch_size: 4, batch_sizes: [1, 4]}")
    file, splits = run.fitted()
    assert file.table.cost_unit == splits.report.cost_unit == "ms"
    assert (out / "latency.json").is_file()
    assert len(file.table.details["latency"]["expected_ms"]) == len(file.table)
    assert run.fitted()[0] == file, "what was measured once is kept"
    energy = {"small": 30.0, "medium": 20.0, "large": 90.0}
    text = ", ".join(f"{name}: {value}" for name, value in energy.items())
    cascade = make_run(tiny_recipe, out, f"cost={{kind: energy, table: {{{text}}}}}").search()
    assert cascade.table.cost_unit == "mJ" and cascade.table.reference_cost == 90
    assert [(spec.name, spec.cost) for spec in cascade.specs] == [("medium", 20), ("small", 30), ("large", 90)]
    with pytest.raises(OrxeError, match="cost of kind energy needs a table"):
        load_recipe(tiny_recipe, out=out, overrides=["cost.kind=energy"])
