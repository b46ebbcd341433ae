from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from orxe_plugins import Policy, Records
from orxe_plugins.data.reading import BadSampleError
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report import Evidence
from orxe_plugins.report.content.examples import (
    MOST_EXITS,
    PER_DIFFERENCE,
    PER_EXIT,
    example_galleries,
    spread,
)
from orxe_plugins.report.content.thumbnails import BOX_SIDE, LEAST_SCORE, MOST_BOXES, SIDE, small_picture
from orxe_plugins.report.document import Document
from orxe_plugins.report.gallery import Thumbnail
from orxe_plugins.report.html import to_html

COUNT = 200


class Pictures:
    """Pictures of one colour; those in ``gone`` cannot be read."""

    name = "colours"
    class_names = ("red", "")
    fingerprint = ""
    notes: tuple[str, ...] = ()

    def __init__(self, count: int, size: tuple[int, int] = (300, 200), gone: frozenset[int] = frozenset()) -> None:
        self.sample_ids, self.targets = [f"{i}.png" for i in range(count)], [0] * count
        self.size, self.gone = size, gone

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        if index in self.gone:
            raise BadSampleError("gone")
        return Image.new("RGB", self.size, (index % 256, 0, 0))

    def select(self, indices: object) -> Pictures:
        raise NotImplementedError


@pytest.fixture(scope="module")
def records() -> Records:
    rng = np.random.default_rng(0)
    score = rng.integers(0, 2, (2, COUNT))
    return Records.from_arrays(
        ["small", "large"], [1, 9], rng.random((2, COUNT)), score, labels=rng.integers(0, 2, COUNT),
        predictions={"classes": np.zeros((2, COUNT, 1), dtype=np.int32),
                     "log_probs": np.zeros((2, COUNT, 1), dtype=np.float32)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def evaluated(evaluation: Callable[..., Evaluation]) -> Evaluation:
    rows = ((0.5, Policy((0.5,)), 5.0, 0.5, (0.5, 0.5)),)
    return evaluation(names=("small", "large"), costs=(1.0, 9.0), scores=(0.5, 0.5), policies=rows, chosen=0)


def test_pictures_are_few_small_and_say_who_answered(evaluated: Evaluation, records: Records) -> None:
    galleries = example_galleries(evaluated, Evidence(records, dataset=Pictures(COUNT)))
    titles = [each.title for each in galleries]
    assert titles[0].startswith("Answered by #1 small (") and titles[1].startswith("Answered by #2 large (")
    assert titles[2].startswith("The cascade is wrong, the last expert right (")
    assert titles[3].startswith("The cascade is right, the last expert wrong (")
    shown = [each for gallery in galleries for each in gallery.thumbnails]
    assert 0 < len(shown) <= PER_EXIT * MOST_EXITS + 2 * PER_DIFFERENCE
    for each in shown:
        kind, _, data = each.source.partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) == SIDE
        place = int(each.name)
        assert each.lines[0][:2] in ("#1", "#2")
        assert each.lines[1] == "says red"
        assert each.lines[-1] == f"is {'red' if records.labels is not None and records.labels[place] == 0 else '1'}"


def test_the_samples_that_differ_are_those(evaluated: Evaluation, records: Records) -> None:
    _, _, losses, gains = example_galleries(evaluated, Evidence(records, dataset=Pictures(COUNT)))
    for gallery, own, last in ((losses, 0, 1), (gains, 1, 0)):
        assert gallery.thumbnails
        for each in gallery.thumbnails:
            place = int(each.name)
            assert each.lines[0].startswith("#1")
            assert (records.score[0, place], records.score[1, place]) == (own, last)


def test_pictures_that_are_gone_are_counted(evaluated: Evaluation, records: Records) -> None:
    gone = Pictures(COUNT, gone=frozenset(range(COUNT)))
    for gallery in example_galleries(evaluated, Evidence(records, dataset=gone)):
        assert not gallery.thumbnails
        assert "pictures could not be read from the data set and are not shown." in gallery.note


def test_pictures_can_be_left_out(evaluated: Evaluation, records: Records) -> None:
    (gallery,) = example_galleries(evaluated, Evidence(records, dataset=Pictures(COUNT), images=False))
    assert gallery.note == "They were left out, as it was asked for."
    assert example_galleries(evaluated, Evidence(records)) == ()


class Given(Pictures):
    """A data set that gives one thing for all samples."""

    def __init__(self, thing: object) -> None:
        super().__init__(1)
        self.thing = thing

    def load(self, index: int) -> Image.Image:
        return self.thing  # type: ignore[return-value]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"])
@pytest.mark.parametrize("size", [(1, 1), (4000, 20), (3, 3000), (500, 300)])
def test_pictures_of_every_kind_and_shape_are_made_small(mode: str, size: tuple[int, int]) -> None:
    small = small_picture(Given(Image.new(mode, size)), 0)
    assert small is not None
    assert min(small.width, small.height) >= 1 and max(small.width, small.height) == SIDE
    with Image.open(io.BytesIO(base64.b64decode(small.source.partition(",")[2]))) as image:
        assert image.size == (small.width, small.height)
    assert small.scale == (small.width / size[0], small.height / size[1])


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    grey = Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16))
    small = small_picture(Given(grey), 0)
    assert small is not None
    with Image.open(io.BytesIO(base64.b64decode(small.source.partition(",")[2]))) as image:
        assert image.convert("L").getextrema() == (128, 128)


@pytest.mark.parametrize("thing", [None, np.zeros((3, 3)), Image.fromarray(np.full((2, 2), 9.0, dtype=np.float32))])
def test_what_is_no_picture_is_not_shown(thing: object) -> None:
    assert small_picture(Given(thing), 0) is None


def test_examples_are_spread_from_sure_to_unsure() -> None:
    confidence = np.linspace(0, 1, 11)
    assert spread(np.arange(11), confidence, 3).tolist() == [10, 5, 0]
    assert spread(np.array([4, 7]), np.array([0.1, 0.9]), 3).tolist() == [7, 4]


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (96, 1), (4000, 30)])
def test_pictures_of_any_size_become_small_ones(size: tuple[int, int]) -> None:
    picture = small_picture(Pictures(1, size), 0)
    assert picture is not None
    with Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))) as image:
        assert image.size == (picture.width, picture.height)
        assert SIDE // 2 <= max(image.size) <= SIDE


NAMES = ("cat", "<dog>")


class Scenes(Pictures):
    """Pictures with one dog and a crowd of cats each."""

    class_names = ()

    def __init__(self, count: int) -> None:
        super().__init__(count)
        boxes = np.array([[30.0, 20, 60, 40], [0, 0, 300, 200]])
        self.targets = [GroundTruth(boxes, np.array([1, 0]), NAMES, iscrowd=np.array([False, True]))] * count


def found_boxes(scores: list[list[float]]) -> dict[str, np.ndarray]:
    """Columns of N experts on M images: as many boxes as scores, each ten pixels right of the one before."""
    columns = {name: np.empty((2, COUNT), dtype=object) for name in ("boxes", "scores", "labels")}
    for i, own in enumerate(scores):
        boxes = np.array([[30.0 + 10 * k, 20, 90 + 10 * k, 60] for k in range(len(own))], dtype=np.float32)
        for m in range(COUNT):
            columns["boxes"][i, m] = boxes
            columns["scores"][i, m] = np.array(own, dtype=np.float32)
            columns["labels"][i, m] = np.arange(len(own), dtype=np.int32) % 2
    return columns


@pytest.fixture(scope="module")
def with_boxes(evaluated: Evaluation) -> tuple[Thumbnail, Thumbnail, str]:
    """A picture that the first of two experts answers, one that the last answers, and the page that shows them."""
    confidence = np.tile(np.where(np.arange(COUNT) % 2, 0.9, 0.1), (2, 1))
    predictions = found_boxes([[LEAST_SCORE / 2, 0.9, 0.4], [0.8] * (MOST_BOXES + 1)])
    records = Records.from_arrays(
        ["small", "large"], [1, 9], confidence, np.full((2, COUNT), 0.5), predictions=predictions
    )
    galleries = example_galleries(evaluated, Evidence(records, dataset=Scenes(COUNT)))
    page = to_html(Document("t", (), (), (), (), (), galleries=galleries))
    return galleries[0].thumbnails[0], galleries[1].thumbnails[0], page


def test_boxes_of_who_answered_and_of_the_last_expert_lie_where_they_are_in_the_sample(
    with_boxes: tuple[Thumbnail, Thumbnail, str],
) -> None:
    first, last, _ = with_boxes
    assert (first.width, first.height) == (BOX_SIDE, round(BOX_SIDE * 2 / 3))
    assert [each.style for each in first.overlays] == ["answer", "last"]
    surest, second = first.overlays[0].boxes
    assert (surest.text, second.text) == ("<dog> 90 %", "cat 40 %")
    across, down = first.width / 300, first.height / 200
    assert (surest.x, surest.y) == (pytest.approx(40 * across, abs=0.06), pytest.approx(20 * down, abs=0.06))
    assert (surest.width, surest.height) == (pytest.approx(60 * across, abs=0.06), pytest.approx(40 * down, abs=0.06))
    assert len(first.overlays[1].boxes) == MOST_BOXES
    assert [each.style for each in last.overlays] == ["answer"]
    assert first.lines[1:] == ("finds cat, <dog>", "last expert: cat (6×), <dog> (5×)", "has <dog>")


def test_boxes_are_drawn_on_the_page_and_said_in_words(with_boxes: tuple[Thumbnail, Thumbnail, str]) -> None:
    first, _, page = with_boxes
    assert page.count('<rect class="answer"') > 2 and page.count('<rect class="last"') > 2
    assert "<title>&lt;dog&gt; 90 % (#1 answered)</title>" in page
    assert first.said.startswith("#1 answered: <dog> 90 %, cat 40 %. last expert, #2: cat 80 %, ")
    assert f'aria-label="{escape(first.said)}"' in page
    assert "<dog>" not in page


def test_pictures_of_classes_have_no_boxes(evaluated: Evaluation, records: Records) -> None:
    galleries = example_galleries(evaluated, Evidence(records, dataset=Pictures(COUNT)))
    assert not any(each.overlays for gallery in galleries for each in gallery.thumbnails)
    assert "<rect" not in to_html(Document("t", (), (), (), (), (), galleries=galleries))


def test_a_detector_that_finds_nothing_is_shown_as_such(evaluated: Evaluation) -> None:
    records = Records.from_arrays(
        ["small", "large"], [1, 9], np.full((2, COUNT), 0.9), np.zeros((2, COUNT)), predictions=found_boxes([[], []])
    )
    shown = example_galleries(evaluated, Evidence(records, dataset=Scenes(COUNT)))[0].thumbnails[0]
    assert shown.lines[1:] == ("finds nothing", "has <dog>")
    assert shown.said == "#1 answered: no box. last expert, #2: no box"
