from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from orxe_plugins import Policy, Records
from orxe_plugins.data.reading import BadSampleError
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report import Evidence
from orxe_plugins.report.content.examples import (
    MOST_EXITS,
    PER_DIFFERENCE,
    PER_EXIT,
    SIDE,
    example_galleries,
    spread,
    thumbnail,
)

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


def test_examples_are_spread_from_sure_to_unsure() -> None:
    confidence = np.linspace(0, 1, 11)
    assert spread(np.arange(11), confidence, 3).tolist() == [10, 5, 0]
    assert spread(np.array([4, 7]), np.array([0.1, 0.9]), 3).tolist() == [7, 4]


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (96, 1), (4000, 30)])
def test_pictures_of_any_size_become_small_ones(size: tuple[int, int]) -> None:
    source = thumbnail(Pictures(1, size), 0)
    assert source is not None
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        assert SIDE // 2 <= max(image.size) <= SIDE
