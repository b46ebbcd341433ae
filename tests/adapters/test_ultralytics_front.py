"""CascadeYOLO: what ultralytics.YOLO does, on a cascade."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from orxe_plugins import Cascade, OrxeError, Policy, PolicyRow, PolicyTable, load_expert, replay
from orxe_plugins.cascade.file import CascadeFile, write_cascade
from orxe_plugins.records.recorder import record
from orxe_plugins.tasks import task_named

pytest.importorskip("ultralytics")
orxe_ultralytics = pytest.importorskip("orxe_ultralytics")
from ultralytics import YOLO  # noqa: E402

CascadeYOLO = orxe_ultralytics.CascadeYOLO
SIZES = (64, 96)
FIRST, LAST = Policy((0.0,)), Policy((None,))


def file_of(address: str) -> str:
    return address.removeprefix("ultralytics:").partition("?")[0]


@pytest.fixture(scope="module")
def model(yolos: list[str]) -> Any:
    return CascadeYOLO(experts=yolos, exit_thresholds=[0.2])


@pytest.fixture(autouse=True)
def _same_thresholds(model: Any) -> Iterator[None]:
    yield
    model.policy = Policy((0.2,))


@pytest.fixture(scope="module")
def data(yolos: list[str], picture_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file whose objects are some of the experts' own boxes: both are right at times; one image is empty."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    experts = [load_expert(address) for address in yolos]
    for i, file in enumerate(picture_files):
        shutil.copy(file, folder / "images")
        image = Image.open(file)
        lines = []
        for expert in experts[: 0 if i == 5 else 2]:
            (found,) = expert([image])
            for k in range(i % 2, min(len(found), 8), 2):
                x1, y1, x2, y2 = (found.boxes[k] / torch.tensor([*image.size, *image.size])).tolist()
                sides = f"{(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}"
                lines.append(f"{int(found.labels[k])} {sides}")
        (folder / "labels" / f"{file.stem}.txt").write_text("\n".join(lines))
    content = {"path": str(folder), "train": "images", "val": "images", "names": ["cat", "dog", "bird"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


# --- predict ----------------------------------------------------------------------------------------


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found.boxes.conf, expected.boxes.conf, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.boxes.xyxy, expected.boxes.xyxy, rtol=0, atol=1e-2)
    assert found.boxes.cls.tolist() == expected.boxes.cls.tolist()


SOURCES: dict[str, Callable[[list[Path]], Any]] = {
    "a file": lambda files: str(files[0]),
    "a path": lambda files: files[2],
    "files": lambda files: [str(file) for file in files],
    "a folder": lambda files: files[0].parent,
    "a pattern": lambda files: str(files[0].parent / "*.png"),
    "an array": lambda files: cv2.imread(str(files[0])),
    "a PIL image": lambda files: Image.open(files[4]),
    "mixed": lambda files: [Image.open(files[0]), cv2.imread(str(files[2]))],
}


@pytest.mark.parametrize("kind", list(SOURCES))
@pytest.mark.parametrize("expert", [0, 1])
def test_both_ends_predict_as_the_models_alone(
    model: Any, yolos: list[str], picture_files: list[Path], kind: str, expert: int
) -> None:
    model.policy = (FIRST, LAST)[expert]
    source = SOURCES[kind](picture_files)
    settings = {"conf": 0.3, "iou": 0.6, "max_det": 20, "classes": [0, 2], "verbose": False}
    found = model.predict(source, **settings)
    expected = YOLO(file_of(yolos[expert])).predict(source, imgsz=SIZES[expert], **settings)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.path, one.orig_shape, one.names) == (other.path, other.orig_shape, other.names)
        assert one.orxe_expert == expert
        assert_same(one, other)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_stream_of_batches_answers_as_batches_do_in_order(model: Any, picture_files: list[Path], batch: int) -> None:
    files = [str(file) for file in picture_files]
    expected = model.predict(files, batch=batch, conf=0.1, verbose=False)
    assert {one.orxe_expert for one in expected} == {0, 1}
    found = list(model.predict(files, stream=True, batch=batch, conf=0.1, verbose=False))
    for one, other in zip(found, expected, strict=True):
        assert one.path == other.path and np.array_equal(one.orig_img, other.orig_img)
        assert one.orxe_route.expert == other.orxe_route.expert and one.orxe_route.ran == other.orxe_route.ran
        assert one.orxe_route.cost == pytest.approx(other.orxe_route.cost)
        assert_same(one, other)


def test_a_stream_may_be_left_and_begun_again(model: Any, picture_files: list[Path]) -> None:
    files = [str(file) for file in picture_files]
    stream = model.predict(files, stream=True, batch=2, verbose=False)
    first = next(stream)
    stream.close()
    again = list(model.predict(files, stream=True, batch=2, verbose=False))
    assert len(again) == len(files)
    assert_same(first, again[0])


def test_a_tensor_holds_originals(yolos: list[str]) -> None:
    """To a YOLO it is the model's own view; where it has the expert's size, both are the same."""
    source = torch.rand(2, 3, 64, 96)
    model = CascadeYOLO(experts=[yolos[1]], exit_thresholds=[])
    found = model.predict(source, verbose=False)
    for one, other in zip(found, YOLO(file_of(yolos[1])).predict(source, verbose=False), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("rect", [True, False])
def test_a_batch_is_padded_as_ultralytics_pads_it(model: Any, yolos: list[str], pictures: Any, rect: bool) -> None:
    model.policy = LAST
    images = [pictures[0][..., ::-1], pictures[3][..., ::-1]]
    expected = YOLO(file_of(yolos[1])).predict(images, imgsz=96, rect=rect, verbose=False)
    for one, other in zip(model.predict(images, rect=rect, verbose=False), expected, strict=True):
        assert_same(one, other)


def test_results_say_who_answered(model: Any, picture_files: list[Path]) -> None:
    model.policy = FIRST
    sure = sorted(r.orxe_route.confidence for r in model.predict(picture_files, rect=False, verbose=False))
    model.policy = Policy((sure[3],))
    results = model.predict(picture_files, rect=False, verbose=False)
    assert sorted(r.orxe_expert for r in results) == [0, 0, 0, 1, 1, 1]
    costs = [expert.measure_cost() for expert in model.cascade.members]
    for result in results:
        route = result.orxe_route
        assert route.ran == ((0,) if route.expert == 0 else (0, 1))
        assert route.cost == pytest.approx(sum(costs[: route.expert + 1]))
        assert route.name == model.cascade.members[route.expert].name
        assert route.name in result.verbose()
        assert result.cpu().orxe_route == result[:1].orxe_route == route


def test_confidence_and_so_the_route_ignore_what_boxes_are_asked_for(model: Any, picture_files: list[Path]) -> None:
    routes = [
        [r.orxe_route for r in model.predict(picture_files, verbose=False, **settings)]
        for settings in ({}, {"conf": 0.9}, {"iou": 0.2, "max_det": 1}, {"classes": [1]}, {"agnostic_nms": True})
    ]
    assert all(route == routes[0] for route in routes)


def test_a_threshold_changes_between_two_images_of_a_stream(model: Any, picture_files: list[Path]) -> None:
    experts = []
    model.policy = FIRST
    for result in model.predict(picture_files[0].parent, stream=True, verbose=False):
        experts.append(result.orxe_expert)
        if len(experts) == 2:
            model.policy = LAST
    assert experts == [0, 0, 1, 1, 1, 1]


def test_a_video_is_predicted_and_tracked(model: Any, pictures: list[np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("lap")
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for _ in range(4):
        video.write(np.ascontiguousarray(pictures[0][..., ::-1]))
    video.release()
    assert len(model.predict(tmp_path / "clip.avi", verbose=False)) == 4
    model.policy = LAST
    results = model.track(tmp_path / "clip.avi", conf=0.1, max_det=20, verbose=False)
    assert len(results) == 4
    assert {r.orxe_route.name for r in results} <= {expert.name for expert in model.cascade.members}
    first, *others = [set(r.boxes.id.int().tolist()) for r in results if r.boxes.id is not None]
    assert first
    assert all(first & other for other in others)


def test_a_saved_picture_and_labels(model: Any, picture_files: list[Path], tmp_path: Path) -> None:
    options = {"save": True, "save_txt": True, "project": str(tmp_path), "name": "out", "verbose": False}
    model.predict(picture_files[:2], **options)
    assert len(list((tmp_path / "out").glob("*.[pj][np]g"))) == 2
    assert len(list((tmp_path / "out" / "labels").glob("*.txt"))) == 2


@pytest.mark.parametrize("name", ["one pixel", "one row", "grey", "four channels"])
@pytest.mark.parametrize("expert", [0, 1])
def test_unusual_images_are_answered_as_by_the_models_alone(
    model: Any, yolos: list[str], bad_files: dict[str, Path], name: str, expert: int
) -> None:
    model.policy = (FIRST, LAST)[expert]
    (found,) = model.predict(bad_files[name], verbose=False)
    (expected,) = YOLO(file_of(yolos[expert])).predict(bad_files[name], imgsz=SIZES[expert], verbose=False)
    assert_same(found, expected)


@pytest.mark.parametrize("name", ["corrupt", "empty"])
def test_broken_files_are_left_out_as_ultralytics_does(model: Any, bad_files: dict[str, Path], name: str) -> None:
    assert model.predict(bad_files[name], verbose=False) == []


def test_images_without_a_box_go_on_and_may_end_without_one(model: Any, yolos: list[str], pictures: Any) -> None:
    strict = CascadeYOLO(experts=[f"{address}&conf=1.0" for address in yolos], exit_thresholds=[1e-6])
    results = strict.predict(pictures[0], conf=1.0, verbose=False)
    assert (len(results[0].boxes), results[0].orxe_route.ran, results[0].orxe_route.confidence) == (0, (0, 1), 0.0)


# --- val --------------------------------------------------------------------------------------------


def validate(model: Any, data: Path, **options: Any) -> Any:
    return model.val(
        data=str(data), batch=4, plots=False, verbose=False, workers=0, project=data.parent / "runs", **options
    )


@pytest.mark.parametrize("expert", [0, 1])
def test_both_ends_score_as_the_models_alone(model: Any, yolos: list[str], data: Path, expert: int) -> None:
    model.policy = (FIRST, LAST)[expert]
    found = validate(model, data)
    expected = validate(YOLO(file_of(yolos[expert])), data, imgsz=SIZES[expert], rect=False)
    assert expected.box.map > 0.01
    assert found.box.map == pytest.approx(expected.box.map, abs=1e-6)
    assert found.box.map50 == pytest.approx(expected.box.map50, abs=1e-6)
    assert found.orxe_route.expert.tolist() == [expert] * 6


def test_records_say_what_val_will_say(model: Any, yolos: list[str], data: Path, tmp_path: Path) -> None:
    samples = orxe_ultralytics.YoloDataset(data)
    experts = [load_expert(f"{address}&clip=false") for address in yolos]
    records = record(experts, samples, tmp_path, task=task_named("detection"))
    routed_val = orxe_ultralytics.RoutedVal(records.predictions, samples.targets)
    threshold = float(np.median(records.confidence[0]))
    model.policy = Policy((threshold,))
    routed, replayed = validate(model, data), replay(records, Policy((threshold,)))
    assert routed.orxe_route.expert.tolist() == replayed.expert.tolist()
    assert sorted(set(replayed.expert.tolist())) == [0, 1]
    assert routed_val(replayed.expert).box.map == pytest.approx(routed.box.map, abs=1e-6)
    assert float(routed.orxe_route.cost.mean()) == pytest.approx(replayed.cost)
    with pytest.raises(OrxeError, match="expected which of 2 experts"):
        routed_val([0, 1, 2, 0, 0, 0])


def test_val_writes_what_it_is_asked_for(model: Any, data: Path) -> None:
    found = validate(model, data, save_txt=True, save_conf=True, name="written", conf=0.1)
    assert len(list(Path(found.save_dir).rglob("labels/*.txt"))) == 6


def test_val_leaves_broken_images_out(model: Any, data: Path, bad_files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("images", "labels"):
        shutil.copytree(data.parent / name, tmp_path / name)
    for name in ("corrupt", "grey", "four channels", "one pixel"):
        shutil.copy(bad_files[name], tmp_path / "images")
    (tmp_path / "data.yaml").write_text(data.read_text().replace(str(data.parent), str(tmp_path)))
    # Ultralytics takes images below 10 pixels for broken ones too.
    assert len(validate(model, tmp_path / "data.yaml").orxe_route.expert) == 8
    assert len(orxe_ultralytics.YoloDataset(tmp_path / "data.yaml")) == 8


def test_unknown_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match=r"Ultralytics data .*nowhere\.yaml"):
        orxe_ultralytics.YoloDataset(tmp_path / "nowhere.yaml")


# --- files, thresholds, labels ------------------------------------------------------------------------


def test_a_saved_cascade_is_loaded_by_either_class(model: Any, picture_files: list[Path], tmp_path: Path) -> None:
    model.save(tmp_path / "cascade.pt")
    expected = model.predict(picture_files, verbose=False)
    for load in (YOLO, CascadeYOLO):
        loaded = load(tmp_path / "cascade.pt")
        assert type(loaded) is CascadeYOLO
        assert loaded.policy == Policy((0.2,))
        for one, other in zip(loaded.predict(picture_files, verbose=False), expected, strict=True):
            assert one.orxe_route == other.orxe_route
            assert_same(one, other)
    changed = CascadeYOLO(tmp_path / "cascade.pt", exit_thresholds=[None])
    assert changed.policy == LAST
    for name in ("x.pth", "my_rtdetr.pt"):
        with pytest.raises(OrxeError, match="cannot be saved as"):
            model.save(tmp_path / name)
    with pytest.raises(OrxeError, match="holds a DetectionModel, not a cascade"):
        CascadeYOLO(file_of(model.cascade.members[0].name))


def test_the_yolo_command_runs_a_saved_cascade(
    model: Any, data: Path, picture_files: list[Path], tmp_path: Path
) -> None:
    model.save(tmp_path / "x.pt")
    map50_95 = validate(model, data).box.map
    # `yolo` is this function; both commands in one process, for the imports take longest.
    program = (
        "import sys; from ultralytics.cfg import entrypoint\n"
        f"entrypoint('yolo val model=x.pt data={data} batch=4 plots=False workers=0')\n"
        f"entrypoint('yolo predict model=x.pt source={picture_files[0].parent} save=False')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    (line,) = [line for line in output.splitlines() if line.split()[:1] == ["all"]]
    assert float(line.split()[-1]) == pytest.approx(map50_95, rel=0.01)
    assert "GMACs per image" in output
    assert output.count("by ultralytics:") >= 6


def test_preferences_switch_a_fitted_cascade(model: Any, pictures: Any, tmp_path: Path) -> None:
    rows = (PolicyRow(0.0, FIRST, 1.0, 0.3), PolicyRow(1.0, LAST, 2.0, 0.5))
    specs = tuple(expert.spec for expert in model.cascade.members)
    write_cascade(tmp_path, CascadeFile(specs, PolicyTable(rows, reference_score=0.5), "detection"))
    fitted = CascadeYOLO(tmp_path, preference=0.0)
    assert fitted.predict(pictures[0], verbose=False)[0].orxe_expert == 0
    fitted.set_preference(max_drop=0.0)
    assert fitted.predict(pictures[0], verbose=False)[0].orxe_expert == 1


def test_info_counts_all_experts(model: Any) -> None:
    _, parameters, _, gflops = model.info()
    assert parameters == sum(expert.params for expert in model.cascade.members)
    assert gflops == pytest.approx(2 * sum(expert.measure_cost() for expert in model.cascade.members))


def test_what_a_cascade_cannot_do_is_said(model: Any) -> None:
    for method, message in (
        ("train", "train its experts"),
        ("tune", "orxe run RECIPE"),
        ("export", "export its experts"),
        ("load", "out of experts"),
        ("reset_weights", "before the cascade is built"),
    ):
        with pytest.raises(OrxeError, match=message):
            getattr(model, method)()
    with pytest.raises(OrxeError, match="compile does not work"):
        model.predict(np.zeros((32, 32, 3), np.uint8), compile=True, verbose=False)


def test_mixed_label_spaces(yolos: list[str], pictures: Any, tmp_path: Path, make_yolo: Any) -> None:
    other = make_yolo(tmp_path / "other.pt", "yolo11n.yaml", ("Bird", "puppy", "cat", "cow"))
    experts = [yolos[0], f"{other}?imgsz=64"]
    with pytest.raises(OrxeError, match=r"only .* have 'puppy', 'cow'.*says which label"):
        CascadeYOLO(experts=experts, exit_thresholds=[None])
    model = CascadeYOLO(experts=experts, exit_thresholds=[None], remap={"puppy": "dog", "cow": None})
    (result,) = model.predict(pictures[0], conf=0.01, verbose=False)
    (expected,) = YOLO(other).predict(pictures[0], imgsz=64, conf=0.01, classes=[0, 1, 2], verbose=False)
    assert result.names == {0: "cat", 1: "dog", 2: "bird"}
    found = {2: 0, 1: 1, 0: 2}
    assert sorted(result.boxes.cls.tolist()) == sorted(found[int(c)] for c in expected.boxes.cls)


def test_a_cascade_may_be_handed_in(yolos: list[str], pictures: Any) -> None:
    cascade = Cascade([load_expert(address) for address in yolos], LAST)
    assert CascadeYOLO(cascade).predict(pictures[0], verbose=False)[0].orxe_expert == 1
