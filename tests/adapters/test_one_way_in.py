"""Odd files through every entrance: each gives the pixels of the one reader, or says by name why it gives none.

A framework's own reader may differ where its own figures have to be met; such cells are written out in ``CELLS``. The
matrix is printed at the end: ``pytest tests/adapters/test_one_way_in.py``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import Cascade, OrxeError, Policy, load_expert
from orxe_plugins.cascade.save import save_cascade
from orxe_plugins.cli.inputs import find_inputs, read_items
from orxe_plugins.cli.predictions import PredictOptions, print_predictions
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.reading import BadSampleError, read_image
from orxe_plugins.detection import CocoDataset, YoloFiles
from orxe_plugins.policies.selection import Selection
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import task_named
from orxe_plugins.util.progress import Silent

cv2 = pytest.importorskip("cv2")
pytest.importorskip("timm")
pytest.importorskip("torchvision")
pytest.importorskip("ultralytics")
pytest.importorskip("orxe_mmdet")

pytestmark = pytest.mark.filterwarnings("ignore")

HEIGHT, WIDTH = 48, 64
#: smooth, so that lossy files of two decoders differ by little
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack([_X * 4, _Y * 5, 255 - _X * 2 - _Y * 2], axis=2).clip(0, 255).astype(np.uint8)
WIDE = (_X * 1000 + _Y * 50).astype(np.uint16)
#: decoders of lossy files may differ by as much
CLOSE = 4


# --- odd files --------------------------------------------------------------------------------------


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _turned(kind: str = "JPEG", image: Image.Image | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(image or Image.fromarray(RGB), kind, exif=exif)


def _wide_rgb() -> bytes:
    wide = np.repeat(WIDE[..., None], 3, axis=2)
    return cv2.imencode(".png", wide)[1].tobytes()


def _moving() -> bytes:
    frames = [Image.fromarray(RGB).quantize(64), Image.new("RGB", (WIDTH, HEIGHT)).quantize(64)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _noise(kind: str) -> bytes:
    """The first half of a file."""
    data = _saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, RGB.shape, dtype=np.uint8)), kind)
    return data[: len(data) // 2]


_IMAGE = Image.fromarray(RGB)
_PALETTE = _IMAGE.quantize(64)
FILES: dict[str, bytes] = {
    "plain.png": _saved(_IMAGE, "PNG"),
    "16 bit grey.png": _saved(Image.fromarray(WIDE), "PNG"),
    "16 bit grey.tif": _saved(Image.fromarray(WIDE), "TIFF"),
    "16 bit grey.pgm": b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + WIDE.astype(">u2").tobytes(),
    "16 bit colour.png": _wide_rgb(),
    "1 bit.png": _saved(_IMAGE.convert("1"), "PNG"),
    "palette.png": _saved(_PALETTE, "PNG"),
    "palette, one clear.png": _saved(_PALETTE, "PNG", transparency=3),
    "grey and alpha.png": _saved(_IMAGE.convert("LA"), "PNG"),
    "colour and alpha.png": _saved(Image.fromarray(np.dstack([RGB, RGB[..., 0]])), "PNG"),
    "CMYK.jpg": _saved(_IMAGE.convert("CMYK"), "JPEG", quality=95),
    "capitals.JPEG": _saved(_IMAGE, "JPEG", quality=95),
    "EXIF turned.jpg": _turned(),
    "EXIF turned, 16 bit.png": _turned("PNG", Image.fromarray(WIDE)),
    "camera.jfif": _saved(_IMAGE, "JPEG", quality=95),
    "web.webp": _saved(_IMAGE, "WEBP", lossless=True),
    "moving.gif": _moving(),
    "a JPEG.png": _saved(_IMAGE, "JPEG", quality=95),
    "floats.tif": _saved(Image.fromarray((WIDE / 65535).astype(np.float32)), "TIFF"),
    "32 bit.tif": _saved(Image.fromarray(WIDE.astype(np.int32)), "TIFF"),
    "cut off.png": _noise("PNG"),
    "cut off.jpg": _noise("JPEG"),
    "empty.png": b"",
    "text.png": b"no image at all",
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders, of which one holds the odd files."""
    folder = tmp_path_factory.mktemp("odd") / "images"
    for name in ("ant", "bee", "cat"):
        (folder / name).mkdir(parents=True)
        _IMAGE.save(folder / name / "zz.png")
    for name, data in FILES.items():
        (folder / "ant" / name).write_bytes(data)
    (folder / "ant" / "linked.png").symlink_to(folder / "bee" / "zz.png")
    (folder / "ant" / "link to nothing.png").symlink_to(folder / "nowhere.png")
    (folder / "ant" / "notes.txt").write_text("no image")
    return folder


NAMES = (*FILES, "linked.png", "link to nothing.png")


# --- entrances --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entrance:
    """A way in: ``answer(file)`` gives what comes of a file, ``of(pixels)`` what comes of RGB pixels."""

    answer: Callable[[Path], np.ndarray]
    of: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
    atol: float = CLOSE


def of_listed(ids: list[str], load: Callable[[int], Image.Image], notes: str, file: Path) -> np.ndarray:
    """The pixels of a data set's sample; where it is none, the notes must name it."""
    found = [i for i, name in enumerate(ids) if Path(name).name == file.name]
    if not found:
        assert file.name in notes, f"{file.name} was left out without a word"
        raise LeftOutError
    return np.asarray(load(found[0]))


class LeftOutError(Exception):
    """A file was left out, and the notes name it."""


def _as_coco(odd: Path) -> CocoDataset:
    images = [{"id": i + 1, "file_name": name} for i, name in enumerate(NAMES)]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 9, 9], "area": 81, "iscrowd": 0}
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}]}
    file = odd.parent / "instances.json"
    file.write_text(json.dumps(content))
    root = odd.parent / "coco"
    root.mkdir(exist_ok=True)
    if not (root / "images").exists():
        (root / "images").symlink_to(odd / "ant")
    file.rename(root / "instances.json")
    return CocoDataset(root)


@pytest.fixture(scope="module")
def classifiers(tiny_recipe: Path) -> Cascade:
    """Two small classifiers with three classes, as a recipe has them."""
    experts = [
        load_expert(f"timm:{model}?checkpoint={tiny_recipe / name}.pth&num_classes=3&input_size=32")
        for name, model in (("small", "test_efficientnet"), ("medium", "test_resnet"))
    ]
    for expert, cost in zip(experts, (1.0, 2.0), strict=True):
        expert.cost = cost
    return Cascade(experts, Policy((0.5,)))


@pytest.fixture(scope="module")
def entrances(odd: Path, classifiers: Cascade, yolos: list[str]) -> dict[str, Entrance]:
    """Every way into the tools, by its name in the matrix."""
    from mmcv.transforms import Compose
    from mmengine.registry import DefaultScope
    from timm.data import ImageDataset

    import orxe_timm
    import orxe_torchvision
    from orxe_mmdet.cascade_detector import TEST_PIPELINE
    from orxe_mmdet.originals import original_image
    from orxe_ultralytics import CascadeYOLO
    from orxe_ultralytics.data import YoloDataset

    folder, coco = ImageFolder(odd), _as_coco(odd)
    yolo_file = odd.parent / "data.yaml"
    yolo_file.write_text(json.dumps({"path": str(odd), "train": "ant", "val": "ant", "names": ["cat"]}))
    yolo, own_yolo = YoloFiles.from_root(yolo_file), YoloDataset(yolo_file)
    timm_front = orxe_timm.CascadeClassifier(classifiers)
    torchvision_front = orxe_torchvision.CascadeClassifier(classifiers)
    detector = CascadeYOLO(experts=yolos, exit_thresholds=[0.2])
    timm_reader = ImageDataset(str(odd))
    with DefaultScope.overwrite_default_scope("mmdet"):
        import mmdet.datasets.transforms  # noqa: F401

        pipeline = Compose([step for step in TEST_PIPELINE if step["type"] != "LoadAnnotations"])

    def predict(turn: bool) -> Callable[[Path], np.ndarray]:
        def answer(file: Path) -> np.ndarray:
            inputs = find_inputs([str(file)])
            if inputs.missing:
                raise OrxeError(inputs.missing[0])
            ((_, item),) = list(read_items(inputs.files, 1, turn))
            if item.image is None:
                raise BadSampleError(item.problem)
            return np.asarray(item.image)

        return answer

    def opened(file: Path) -> Image.Image:
        try:
            image = Image.open(file)
            image.load()
        except (OSError, SyntaxError, ImportError) as error:
            raise NotOpenedError from error
        return image

    def front(model: Any) -> Entrance:
        def of(image: Any) -> np.ndarray:
            with torch.inference_mode():
                return model([image]).numpy()

        return Entrance(lambda file: of(opened(file)), of, atol=1e-5)

    def by_timm(file: Path) -> np.ndarray:
        found = [i for i in range(len(timm_reader)) if timm_reader.filename(i, basename=True) == file.name]
        if not found:
            raise LeftOutError
        try:
            return np.asarray(Image.open(timm_reader.filename(found[0], absolute=True)).convert("RGB"))
        except (OSError, SyntaxError, ValueError, ImportError) as error:
            raise OrxeError(str(error)) from error

    def by_yolo(source: Any) -> np.ndarray:
        try:
            results = list(detector.predict(source, verbose=False))
        except OSError as error:
            raise OrxeError(str(error)) from error
        if not results:
            raise OrxeError("Ultralytics gives no result")
        return np.ascontiguousarray(results[0].orig_img[..., ::-1])

    def by_mmdet(file: Path) -> np.ndarray:
        try:
            packed = pipeline({"img_path": str(file), "img_id": 0})
        except (OSError, AttributeError, AssertionError, cv2.error) as error:
            raise OrxeError(str(error)) from error
        return original_image(packed["inputs"], packed["data_samples"]).permute(1, 2, 0).numpy()

    def listed(dataset: Any) -> Entrance:
        notes = " ".join(dataset.notes)
        return Entrance(lambda file: of_listed(list(dataset.sample_ids), dataset.load, notes, file))

    # Notes name three files of a kind; what is asked here is that they count all of them.
    yolo.notes = own_yolo.notes = (*yolo.notes, *(name for name in NAMES if name not in {f.name for f in yolo.files}))
    return {
        "class folders": listed(folder),
        "predict": Entrance(predict(turn=False)),
        "timm front": front(timm_front),
        "torchvision front": front(torchvision_front),
        "timm's reader": Entrance(by_timm),
        "COCO": listed(coco),
        "YOLO files": listed(yolo),
        "YoloDataset": listed(own_yolo),
        "predict boxes": Entrance(predict(turn=True)),
        "CascadeYOLO, file": Entrance(lambda file: by_yolo(str(file))),
        "CascadeYOLO, PIL": Entrance(lambda file: by_yolo(opened(file))),
        "mmdet": Entrance(by_mmdet),
    }


class NotOpenedError(Exception):
    """Pillow itself does not open the file, so that no front ever sees it."""


def _cell(entrance: Entrance, file: Path) -> str:
    """What an entrance makes of a file, in a word."""
    try:
        answer = entrance.answer(file)
    except NotOpenedError:
        return "-"
    except LeftOutError:
        return "left out"
    except OrxeError:
        return "error"
    candidates = {}
    for word, turn in (("as stored", False), ("turned", True)):
        try:
            candidates[word] = np.asarray(read_image(file, turn))
        except BadSampleError:
            continue
    for word, pixels in candidates.items():
        expected = entrance.of(pixels)
        if expected.shape == answer.shape and np.abs(expected.astype(float) - answer).max() <= entrance.atol:
            same = candidates["as stored"].shape == candidates["turned"].shape
            return "same" if same else word
    return "clipped" if answer.mean() > 240 else "other"


#: entrances that take pixels as they are stored, as timm and torchvision do; all others turn them by EXIF
STORED = ("class folders", "predict", "timm front", "torchvision front", "timm's reader")
ALL_YOLO = ("YOLO files", "YoloDataset")
#: files that no entrance can read
UNREADABLE = ("32 bit.tif", "cut off.png", "cut off.jpg", "empty.png", "text.png", "link to nothing.png")
#: suffixes that a framework's own reader does not take: timm's by default, and Ultralytics' for images
NOT_TIMM, NOT_YOLO = (".tif", ".pgm", ".jfif", ".webp", ".gif"), (".pgm", ".jfif", ".gif")
#: cells in which a framework's own reader decides, and cells of files that data sets leave out and name
CELLS = {
    # timm converts by Pillow, which cuts 16-bit grey off at 255: its figures are those of white images.
    ("16 bit grey.png", "timm's reader"): "clipped",
    ("EXIF turned, 16 bit.png", "timm's reader"): "clipped",
    # OpenCV reads no floats.
    **{("floats.tif", entrance): "error" for entrance in ("YoloDataset", "CascadeYOLO, file", "mmdet")},
    # Ultralytics predicts it as a video of frames.
    ("moving.gif", "CascadeYOLO, file"): "same",
    ("link to nothing.png", "class folders"): "left out",
    # Damage that Pillow finds without decoding: Ultralytics leaves such images out of its data.
    **{(name, entrance): "left out" for name in UNREADABLE[3:] + UNREADABLE[1:2] for entrance in ALL_YOLO},
}


def expected(name: str, entrance: str) -> str:
    """The word that a cell has to hold."""
    suffix = Path(name).suffix
    if (name, entrance) in CELLS:
        return CELLS[name, entrance]
    if suffix in NOT_TIMM and entrance == "timm's reader":
        return "left out"
    if suffix in NOT_YOLO and entrance in (*ALL_YOLO, "CascadeYOLO, file"):
        return "left out" if entrance in ALL_YOLO else "error"
    if name in UNREADABLE:
        # A front is handed an image that Pillow has opened; of these, it opens but one.
        opens = entrance not in ("timm front", "torchvision front", "CascadeYOLO, PIL") or name == "32 bit.tif"
        return "error" if opens else "-"
    if name.startswith("EXIF"):
        return "as stored" if entrance in STORED else "turned"
    return "same"


def _table(rows: dict[str, dict[str, str]]) -> str:
    heads = list(next(iter(rows.values())))
    first = max(map(len, rows)) + 2
    lines = [" " * first + "".join(f"{head:<19}" for head in heads)]
    lines += [f"{name:<{first}}" + "".join(f"{row[head]:<19}" for head in heads) for name, row in rows.items()]
    return "\n".join(lines)


def test_each_odd_file_gives_one_answer_or_one_error(
    odd: Path, entrances: dict[str, Entrance], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {name: {key: _cell(way, odd / "ant" / name) for key, way in entrances.items()} for name in NAMES}
    with capsys.disabled():
        print(f"\n{_table(rows)}")
    wrong = {
        (name, key): (word, expected(name, key))
        for name, row in rows.items()
        for key, word in row.items()
        if word != expected(name, key)
    }
    assert not wrong


def test_records_and_predict_answer_and_name_the_same_files(
    odd: Path, classifiers: Cascade, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, task = ImageFolder(odd), task_named("classification")
    records = record(
        classifiers.members, dataset, tmp_path / "records", task=task, options=RecordOptions(keep="all", workers=2)
    )
    unreadable = {"32 bit.tif", "cut off.png", "cut off.jpg", "empty.png", "text.png"}
    assert {Path(sample).name for sample, _ in records.skipped} == unreadable
    notes = " ".join(records.details["dataset"]["notes"])
    assert "link to nothing.png" in notes
    assert "notes.txt" in notes

    save_cascade(classifiers, tmp_path / "cascade")
    assert not print_predictions(
        tmp_path / "cascade", [str(odd)], PredictOptions(Selection(0.5), as_json=True), Silent()
    )
    printed = capsys.readouterr()
    answers = {Path(row["image"]).relative_to(odd).as_posix(): row for row in map(json.loads, printed.out.splitlines())}
    ids = records.sample_ids.tolist()
    assert sorted(answers) == sorted(ids)
    for i, sample in enumerate(ids):
        expert = 0 if records.confidence[0, i] >= 0.5 else 1
        assert answers[sample]["confidence"] == pytest.approx(float(records.confidence[expert, i]), abs=2e-3)
        assert answers[sample]["class"] == int(records.predictions["log_probs"][expert, i].argmax())
    said = "".join(printed.err.split())
    for name in unreadable:
        assert f"{name.replace(' ', '')}:" in said


# --- odd folders ------------------------------------------------------------------------------------

FOLDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "plain": (("ant", "bee", "cat"), "as both"),
    "indices": (tuple(str(i) for i in range(12)), "as timm"),
    "padded indices": (tuple(f"{i:02d}" for i in range(12)), "as both"),
    "counted from 1": (tuple(str(i) for i in range(1, 13)), "error"),
    "numbers in names": (("class 2", "class 10"), "error"),
    "capitals": (("Zebra", "ant"), "error"),
    "letters with accents": (("apple", "\u00e9t\u00e9"), "as both"),
    "WordNet ids": (("n01440764", "n01443537", "n02128757"), "as both"),
}


def test_each_odd_folder_is_numbered_as_the_frameworks_do_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from timm.data import ImageDataset
    from torchvision.datasets import ImageFolder as TorchvisionFolder

    words: dict[str, dict[str, str]] = {}
    for name, (folders, _) in FOLDERS.items():
        for folder in folders:
            (tmp_path / name / folder).mkdir(parents=True)
            _IMAGE.save(tmp_path / name / folder / "a.png")
        theirs = {
            "timm": ImageDataset(str(tmp_path / name)).reader.class_to_idx,
            "torchvision": TorchvisionFolder(tmp_path / name).class_to_idx,
        }
        try:
            classes = ImageFolder(tmp_path / name).classes
        except OrxeError as error:
            assert "synsets.txt" in str(error)
            words[name] = {"class folders": "error"}
            continue
        same = [key for key, indices in theirs.items() if indices == classes]
        words[name] = {"class folders": "as both" if len(same) == 2 else f"as {', '.join(same) or 'nobody'}"}
    with capsys.disabled():
        print(f"\n{_table(words)}")
    assert {name: row["class folders"] for name, row in words.items()} == {k: v for k, (_, v) in FOLDERS.items()}
