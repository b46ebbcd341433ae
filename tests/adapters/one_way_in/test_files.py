"""Odd files through every entrance: each gives the pixels of the one reader, or says by name why it gives none.

A framework's own reader may differ where its own figures have to be met; such cells are written out in ``CELLS``. The
matrix is printed when the test runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import Cascade, OrxeError
from orxe_plugins.cli.inputs import find_inputs, read_items
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.reading import BadSampleError, read_image
from orxe_plugins.detection import CocoDataset, YoloFiles

cv2 = pytest.importorskip("cv2")
pytest.importorskip("timm")
pytest.importorskip("torchvision")
pytest.importorskip("ultralytics")
pytest.importorskip("orxe_mmdet")

pytestmark = pytest.mark.filterwarnings("ignore")

#: decoders of lossy files may differ by as much
CLOSE = 4


@dataclass(frozen=True)
class Entrance:
    """A way in: ``answer(file)`` gives what comes of a file, ``of(pixels)`` what comes of RGB pixels."""

    answer: Callable[[Path], np.ndarray]
    of: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
    atol: float = CLOSE


class LeftOutError(Exception):
    """A data set left a file out; that its notes count it was checked before."""


def _as_coco(odd: Path, names: tuple[str, ...]) -> CocoDataset:
    images = [{"id": i + 1, "file_name": name} for i, name in enumerate(names)]
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
def entrances(odd: Path, odd_names: tuple[str, ...], classifiers: Cascade, yolos: list[str]) -> dict[str, Entrance]:
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

    folder, coco = ImageFolder(odd), _as_coco(odd, odd_names)
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
        number_of = {Path(sample).name: i for i, sample in enumerate(dataset.sample_ids)}
        missing = [name for name in odd_names if name not in number_of]
        counted = sum(int(note.split()[0]) for note in dataset.notes if "left out" in note)
        assert counted >= len(missing), f"{missing} were left out, and these notes do not count them: {dataset.notes}"

        def answer(file: Path) -> np.ndarray:
            if file.name in missing:
                raise LeftOutError
            return np.asarray(dataset.load(number_of[file.name]))

        return Entrance(answer)

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
    odd: Path, odd_names: tuple[str, ...], entrances: dict[str, Entrance], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {name: {key: _cell(way, odd / "ant" / name) for key, way in entrances.items()} for name in odd_names}
    with capsys.disabled():
        print(f"\n{_table(rows)}")
    wrong = {
        (name, key): (word, expected(name, key))
        for name, row in rows.items()
        for key, word in row.items()
        if word != expected(name, key)
    }
    assert not wrong
