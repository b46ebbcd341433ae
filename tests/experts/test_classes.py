"""Labels that not all know: what `classes` and `remap` make of them, for one expert and in a cascade."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from orxe_plugins import Cascade, OrxeError, Policy, load_expert
from orxe_plugins.cascade import load_cascade, read_cascade
from orxe_plugins.cascade.build import build_cascade
from orxe_plugins.detection import CocoDataset
from orxe_plugins.detection.chosen_classes import ChosenClasses
from orxe_plugins.detection.detections import Detections
from orxe_plugins.experts import adapters
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.label_space import LabelSpace
from orxe_plugins.run import Run, load_recipe, record_pool, search, splits_of
from orxe_plugins.tasks import task_named


class Finder(DetectorExpert):
    """Finds one box of each of its labels, at the left for the first one."""

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        k = len(self.names)
        lefts = torch.arange(k, dtype=torch.float32)[:, None] * 10
        boxes = torch.cat([lefts, torch.zeros(k, 1), lefts + 8, torch.full((k, 1), 8.0)], dim=1)
        return [Detections(boxes, torch.linspace(0.9, 0.5, k), torch.arange(k), self.names) for _ in batch]


@pytest.fixture(autouse=True)
def finders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The adapter ``finder``: ``finder:cat,dog`` knows these labels."""
    module: Any = ModuleType("finder_adapter")

    def load(name: str, cost: float = 1.0) -> DetectorExpert:
        return Finder(f"finder:{name}", nn.Identity(), names=name.split(","), cost=float(cost))

    module.load_expert = load
    monkeypatch.setitem(adapters._REGISTERED, "finder", "finder_adapter")
    monkeypatch.setitem(__import__("sys").modules, "finder_adapter", module)
    yield


def names_found(cascade: Cascade) -> list[str]:
    (found,), _ = cascade.route([torch.zeros(3, 8, 60)])
    return [found.names[i] for i in found.labels.tolist()]


def cascade_of(*addresses: str, first: bool = True, **options: Any) -> Cascade:
    """A cascade whose first or last expert answers all."""
    thresholds = [0.0 if first else None] * (len(addresses) - 1)
    return build_cascade(list(addresses), adapter="finder", exit_thresholds=thresholds, **options)


def test_other_labels_are_an_error_that_names_both_ways_out() -> None:
    with pytest.raises(OrxeError, match=r"have 'cow'.*`classes: data` drops") as error:
        cascade_of("finder:cat,dog", "finder:cat,dog,cow")
    assert "intersect" not in str(error.value)
    with pytest.raises(OrxeError, match=r"'cow'.*'dog'.*`remap: \{'cow': 'dog'\}`.*`classes: intersect` keeps"):
        cascade_of("finder:cat,dog", "finder:cat,cow")
    with pytest.raises(OrxeError, match="unknown classes 'intersekt': did you mean 'intersect'"):
        cascade_of("finder:cat,dog", "finder:cat,cow", classes="intersekt")


@pytest.mark.parametrize(
    ("classes", "names", "answered"),
    [
        ("data", None, ("dog", "cat")),
        ("data", ["cat"], ("cat",)),
        ("intersect", None, ("cat", "dog")),
        ("intersect", ["zebra", "dog"], ("dog",)),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_cascade_drops_labels_that_it_is_not_asked_for(
    classes: str, names: list[str] | None, answered: tuple[str, ...], first: bool
) -> None:
    options = {"classes": classes, "names": names}
    cascade = cascade_of("finder:cow,cat,dog", "finder:dog,cat", first=first, **options)
    assert cascade.answer_names == answered
    assert set(names_found(cascade)) == set(answered)


def test_experts_may_say_it_in_their_address() -> None:
    cascade = cascade_of("finder:cow,cat,dog?classes=data", "finder:dog,cat")
    assert cascade.answer_names == ("dog", "cat")
    cascade = cascade_of("finder:cow,cat?classes=intersect", "finder:dog,cat?classes=intersect")
    assert names_found(cascade) == ["cat"]
    with pytest.raises(OrxeError, match="unknown classes 'all'"):
        load_expert("finder:cat?classes=all")
    renamed = cascade_of("finder:auto,cat?remap={auto: car}", "finder:cat,car", first=True)
    assert names_found(renamed) == ["car", "cat"]
    with pytest.raises(OrxeError, match="have no label in common"):
        cascade_of("finder:cat", "finder:dog", classes="intersect")
    with pytest.raises(OrxeError, match="'cow'.*`classes: intersect`"):
        cascade_of("finder:cat,cow", "finder:cat", classes="data", names=["cat", "cow"])


def test_a_cascade_that_exists_may_be_asked_for_fewer_labels() -> None:
    cascade = cascade_of("finder:cat,dog", "finder:dog,cat")
    build_cascade(cascade=cascade, adapter="finder", names=["dog"], classes="data")
    assert names_found(cascade) == ["dog"]
    assert Cascade(
        [load_expert("finder:cat,dog")], Policy(()), names=LabelSpace(["dog"], classes="data")
    ).answer_names == ("dog",)


# --- a data set with classes of its own -----------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight images with a dog at the left, a cat beside it, and two zebras."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(8):
        Image.new("RGB", (60, 20), (i, 0, 0)).save(folder / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 60, "height": 20})
        for category, left in ((1, 0), (2, 10), (3, 30), (3, 40)):
            box = {"bbox": [left, 0, 8, 8], "category_id": category, "image_id": i}
            annotations.append({"id": len(annotations) + 1, **box})
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 3, "name": "zebra"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def run_of(data: Path, folder: Path, experts: Sequence[str], **keys: Any) -> Run:
    pool = [{"address": address, "name": f"e{i}"} for i, address in enumerate(experts)]
    places = {"root": str(data), **keys.pop("places", {})}
    recipe = {"name": "r", "task": "detection", "data": places, "experts": pool, **keys}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return Run(load_recipe(folder / "recipe.yaml", out=folder / "out"), folder / "out")


def test_a_recipe_measures_on_what_all_know_and_says_what_is_left_out(data: Path, tmp_path: Path) -> None:
    experts = ["finder:dog,cat,cow?cost=1", "finder:dog,cat,bird?cost=2"]
    with pytest.raises(OrxeError, match="'cow'.*'zebra'.*`classes: intersect`"):
        record_pool(run_of(data, tmp_path, experts))
    with pytest.raises(OrxeError, match="'zebra'.*`classes: intersect`"):
        record_pool(run_of(data, tmp_path, experts, classes="data"))
    run = run_of(data, tmp_path, experts, classes="intersect")
    dataset = run.dataset(str(data))
    assert dataset.notes == (
        "16 of 32 objects left out, as not every expert knows their classes: 'zebra' (16); 2 classes of 3 measured",
    )
    recorded = record_pool(run)
    assert recorded.fit.details["labels"] == ["dog", "cat"]
    assert recorded.fit.score.mean() == 1.0
    search(run)
    file = read_cascade(tmp_path / "out" / "cascade")
    assert file.labels == ("dog", "cat")
    assert [spec.options["classes"] for spec in file.specs] == ["intersect"] * 2
    assert names_found(load_cascade(tmp_path / "out" / "cascade")) == ["dog", "cat"]
    assert len(splits_of(run).report) == 4


def test_a_recipe_drops_what_only_the_experts_know(data: Path, tmp_path: Path) -> None:
    experts = ["finder:dog,cat,cow,zebra?cost=1", "finder:zebra,dog,cat?cost=2"]
    run = run_of(data, tmp_path, experts, classes="data")
    record_pool(run)
    search(run)
    cascade = load_cascade(tmp_path / "out" / "cascade")
    assert cascade.answer_names == ("dog", "cat", "zebra")
    assert "cow" not in names_found(cascade)


def test_labels_without_objects_need_not_be_known(data: Path) -> None:
    content = json.loads((data / "instances.json").read_text())
    content["categories"].append({"id": 9, "name": "unicorn"})
    (data / "instances.json").write_text(json.dumps(content))
    task, dataset = task_named("detection"), CocoDataset(data)
    expert = load_expert("finder:dog,cat,zebra")
    task.prepare(expert, dataset)
    assert expert.answer_names == ("dog", "cat", "zebra", "unicorn")  # type: ignore[attr-defined]
    task.prepare(expert, dataset.select([0]))
    with pytest.raises(OrxeError, match="only the labels asked for have 'zebra'"):
        task.prepare(load_expert("finder:dog,cat"), dataset)


def test_chosen_classes_keep_the_other_objects_as_they_are(data: Path) -> None:
    whole = CocoDataset(data)
    some = ChosenClasses(whole, ["cat", "dog"])
    assert some.targets[0].xywh.tolist() == [[0, 0, 8, 8], [10, 0, 8, 8]]
    assert some.targets[0].labels.tolist() == [1, 0]
    assert some.fingerprint != whole.fingerprint
    assert np.array_equal(np.asarray(some.load(3)), np.asarray(whole.load(3)))
    assert some.select([1]).sample_ids == ["1.png"]
    with pytest.raises(OrxeError, match="unknown label 'cot': did you mean 'cat'"):
        ChosenClasses(whole, ["cot"])


# --- nothing to measure on ------------------------------------------------------------------------


def keep(data: Path, images: Sequence[int], **changes: Any) -> None:
    content = json.loads((data / "instances.json").read_text())
    content["annotations"] = [{**one, **changes} for one in content["annotations"] if one["image_id"] in images]
    (data / "instances.json").write_text(json.dumps(content))


def test_data_without_objects_is_refused_before_anything_is_recorded(data: Path, tmp_path: Path) -> None:
    experts = ["finder:dog,cat,zebra?cost=1"]
    whole = run_of(data, tmp_path, experts)
    reported = {int(Path(str(name)).stem) for name in splits_of(whole, record_pool(whole)).report.sample_ids}
    for images, changes, message in (
        (
            range(8),
            {"iscrowd": 1},
            "nothing to measure on: data set 'data' has 8 images, and its 32 objects are all crowds",
        ),
        ((), {}, "nothing to measure on: data set 'data' has 8 images, and they hold no object"),
        (set(range(8)) - reported, {}, "nothing to measure on: the reporting split of data set 'data' has 4 images"),
        (reported, {}, "nothing to measure on: the fitting split of data set"),
    ):
        original = (data / "instances.json").read_text()
        keep(data, list(images), **changes)
        folder = tmp_path / message[-12:].strip()
        folder.mkdir()
        run = run_of(data, folder, experts)
        with pytest.raises(OrxeError, match=message):
            record_pool(run)
        assert not (folder / "out").exists()
        (data / "instances.json").write_text(original)


def test_images_may_be_named_by_a_recipe(data: Path, tmp_path: Path) -> None:
    (data / "images").rename(tmp_path / "elsewhere")
    experts = ["finder:dog,cat,zebra?cost=1"]
    with pytest.raises(OrxeError, match="name their folder by data.images"):
        record_pool(run_of(data, tmp_path, experts))
    places = {"images": str(tmp_path / "elsewhere")}
    assert len(record_pool(run_of(data, tmp_path, experts, places=places)).fit) == 8
    run = run_of(data, tmp_path, ["timm:resnet18"], task="classification", places=places)
    with pytest.raises(OrxeError, match="data.images is .*, but task 'classification' finds images in data.root alone"):
        run.listed(str(data))
