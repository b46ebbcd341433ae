"""A detector that lives elsewhere: the answers of a server, in a cascade and as every framework's own results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from far_server import answering
from torch import nn

from orxe_plugins import Cascade, DetectorExpert, OrxeError, Policy, load_expert
from orxe_plugins.data.images import to_array
from orxe_plugins.detection.detections import Detections
from orxe_plugins.serving import Answering
from orxe_plugins.serving.desk import Desk
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.requests import Ask
from orxe_plugins.tasks.task import task_named

pytest.importorskip("httpx")
NAMES = ("cat", "dog")


class Colours(DetectorExpert):
    """Boxes and scores that follow from an image's mean colours; fails on images whose first pixel is black."""

    def __init__(self, name: str, share: float = 1.0) -> None:
        super().__init__(name, nn.Identity(), names=NAMES, cost=1.0)
        self.share = share

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        return [self._found(to_array(image)) for image in batch]

    def _found(self, pixels: np.ndarray) -> Detections:
        if self.share == 1.0 and not pixels[0, 0].any():
            raise RuntimeError("a black pixel")
        height, width = pixels.shape[:2]
        red, green, blue = (pixels.mean(axis=(0, 1)) / 256).tolist()
        boxes = [
            [red * width / 2, green * height / 2, width * (1 + blue) / 2, height / 2 * (1 + red)],
            [0.0, 0.0, width * blue, height * green],
            [width * red / 3, 0.0, width * 0.9, height * 0.7],
        ]
        scores = torch.tensor([red, green, blue]) * self.share
        return Detections(torch.tensor(boxes), scores, torch.tensor([0, 1, 0]), NAMES)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(1, 255, (40 + 2 * i, 60, 3), dtype=np.uint8) for i in range(5)]


class Server:
    """``POST /predict`` of a cascade, of which a test says what goes wrong."""

    def __init__(self) -> None:
        cascade = Cascade([Colours("far")], Policy(()))
        self._desk = Desk(Answering(cascade, task_named("detection"), NAMES), Limits())
        self.delay, self.body = 0.0, b""

    def answer(self, content: bytes) -> tuple[int, bytes]:
        time.sleep(self.delay)
        if self.body:
            return 200, self.body
        (reply,) = self._desk.answer([Ask.model_validate_json(content)])
        return reply.status, json.dumps(reply.content).encode()


@pytest.fixture
def far() -> Iterator[tuple[Server, str]]:
    """A server and the address of its expert."""
    model = Server()
    with answering(model.answer) as address:
        yield model, f"{address}/predict?names=[cat,dog]&timeout=20"


def test_boxes_are_those_of_the_far_detector_to_the_bit(far: tuple[Server, str], images: list[np.ndarray]) -> None:
    expert, local = load_expert(f"{far[1]}&cost=0.5"), Colours("local")
    assert (expert.cost, expert.device.type) == (0.5, "cpu") and len(expert.run([]).outputs) == 0
    for found, right in zip(expert.run(images).outputs, local.run(images).outputs, strict=True):
        right = right.best_first()
        assert torch.equal(found.boxes, right.boxes) and torch.equal(found.scores, right.scores)
        assert torch.equal(found.labels, right.labels) and found.names == right.names
    assert len(load_expert(f"{far[1]}&quality=90").run(images).outputs) == len(images)


@pytest.mark.parametrize("host", ["torchvision", "ultralytics", "mmdet"])
def test_every_framework_gets_its_own_results_of_a_server(
    host: str, far: tuple[Server, str], images: list[np.ndarray]
) -> None:
    here, there = (results(host, expert, images) for expert in (Colours("local"), load_expert(far[1])))
    assert [kind for kind, _ in here] == [kind for kind, _ in there]
    for (_, one), (_, other) in zip(here, there, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def results(host: str, expert: DetectorExpert, images: list[np.ndarray]) -> list[tuple[str, dict[str, torch.Tensor]]]:
    """The kind of each image's result, and its tensors."""
    pytest.importorskip(host)
    cascade = Cascade([expert], Policy(()))
    if host == "torchvision":
        from orxe_torchvision import CascadeDetector

        tensors = [torch.from_numpy(image).permute(2, 0, 1) / 255 for image in images]
        return [(type(found).__name__, found) for found in CascadeDetector(cascade)(tensors)]
    if host == "ultralytics":
        from orxe_ultralytics import CascadeYOLO

        answers = CascadeYOLO(experts=[expert], exit_thresholds=[]).predict(
            [image[..., ::-1] for image in images], conf=0.05, verbose=False
        )
        assert all(answer.names == dict(enumerate(NAMES)) for answer in answers)
        return [(type(answer).__name__, {"boxes": answer.boxes.data}) for answer in answers]
    mmdet = pytest.importorskip("orxe_mmdet")
    pixels = [torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) for image in images]
    samples = mmdet.CascadeDetector(experts=[expert], exit_thresholds=[]).predict(pixels)
    found = []
    for sample in samples:
        boxes = sample.pred_instances[sample.pred_instances.scores.argsort(descending=True)]  # in no order of its own
        found.append((type(sample).__name__, dict(boxes.items())))
    return found


def near_and(far_expert: Any) -> Cascade:
    """A cascade whose near expert is never sure."""
    return Cascade([Colours("near", share=0.5), far_expert], Policy((0.9,)))


def test_only_the_image_that_the_far_side_fails_on_keeps_the_near_answer(
    far: tuple[Server, str], images: list[np.ndarray]
) -> None:
    some = [image.copy() for image in images]
    some[2][0, 0] = 0
    outputs, route = near_and(load_expert(far[1])).route(some, on_error="best_available")
    assert route.expert.tolist() == [1, 1, 0, 1, 1] and {fault.row for fault in route.faults} == {2}
    assert "a black pixel" in route.faults[0].message
    for i, found in enumerate(outputs):
        right = Colours("right", share=0.5 if i == 2 else 0.9999999).run([some[i]]).outputs[0].best_first()
        torch.testing.assert_close(found.best_first().scores, right.scores)


@pytest.mark.parametrize("how", ["refused", "silent", "senseless", "other labels", "too few"])
def test_where_the_far_side_is_cut_off_the_near_one_answers_marked(
    how: str, far: tuple[Server, str], images: list[np.ndarray]
) -> None:
    model, address = far
    address = address.replace("timeout=20", "timeout=0.5&retries=1")
    if how == "refused":
        address = address.replace(address.split("/")[2], "127.0.0.1:9")  # nobody listens there
    elif how == "silent":
        model.delay = 20.0
    elif how == "other labels":
        address = address.replace("[cat,dog]", "[cat,cow]")
    else:
        model.body = b'{"answers": []}' if how == "too few" else b'{"answers": [{"objects": 3}]}'
    if how == "other labels":
        with pytest.raises(OrxeError, match="'dog', which is not among names"):
            Cascade([load_expert(address)], Policy(())).route(images[:1])
        return
    cascade = near_and(load_expert(address))
    start = time.monotonic()
    _, route = cascade.route(images[:2], on_error="best_available", timeout=3.0)
    assert time.monotonic() - start < 15
    assert route.expert.tolist() == [0, 0] and {fault.row for fault in route.faults} == {0, 1}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://host/predict?names=[]", "expected a list of labels"),
        ("http://host/predict?names=3", "expected a list of labels"),
        ("http://host/predict?names=[a]&num_classes=3", "num_classes"),
        ("http://host/predict?names=[a]&quality=0", "quality is 0"),
    ],
)
def test_what_is_no_far_detector_is_refused(address: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        load_expert(address)
