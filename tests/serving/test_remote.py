from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from far_server import answering
from torch import nn

from orxe_plugins import Cascade, ClassifierExpert, ImageView, OrxeError, Policy, load_cascade, load_expert
from orxe_plugins.serving.remote import FarExpertError, load_from

pytest.importorskip("httpx")
VIEW = ImageView((8, 8), 8)


class Far:
    """A model behind KServe's protocol, of which a test says what goes wrong."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        #: called with the number of the call: a status to answer, or None for a good answer
        self.fault: Callable[[int], int | None] = lambda number: None
        self.delay = 0.0
        self.body: bytes | None = None

    def answer(self, content: dict[str, Any]) -> tuple[int, bytes]:
        tensor = content["inputs"][0]
        batch = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        self.calls.append(len(batch))
        time.sleep(self.delay)
        status = self.fault(len(self.calls))
        if status is not None:
            return status, b"no"
        if self.body is not None:
            return 200, self.body
        logits = batch.mean(axis=(2, 3))  # one class per channel
        output = {"name": "y", "shape": list(logits.shape), "datatype": "FP32", "data": logits.flatten().tolist()}
        return 200, json.dumps({"outputs": [output]}).encode()


@pytest.fixture
def far() -> Iterator[tuple[Far, str]]:
    """A far model and its URL, as an expert's address."""
    model = Far()
    with answering(lambda content: model.answer(json.loads(content))) as address:
        yield model, f"{address}/v2/models/m"


def expert_at(address: str, **options: Any) -> ClassifierExpert:
    query = "&".join(f"{key}={value}" for key, value in {"num_classes": 3, "input_size": 8, **options}.items())
    expert = load_expert(f"{address}?{query}")
    assert isinstance(expert, ClassifierExpert)
    return expert


def near_and(far_expert: ClassifierExpert) -> Cascade:
    """A cascade whose near expert is sure of bright images alone."""

    class Near(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return (
                torch.nn.functional.one_hot(torch.zeros(len(batch), dtype=torch.int64), 3)
                * batch.mean((1, 2, 3))[:, None]
            )

    near = ClassifierExpert("near", Near(), view=VIEW, num_classes=3, cost=1.0)
    return Cascade([near, far_expert], Policy((0.9,)))


BATCH = torch.cat([torch.full((2, 3, 8, 8), 9.0), torch.zeros(2, 3, 8, 8)])  # the near expert is sure of two


def test_a_far_expert_answers_as_the_model_does(far: tuple[Far, str]) -> None:
    model, address = far
    expert = expert_at(address, cost=0.25)
    batch = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(expert(batch), batch.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert (expert.cost, expert.params, expert.device.type) == (0.25, 0, "cpu")
    _outputs, route = near_and(expert).route(BATCH)
    assert route.expert.tolist() == [0, 0, 1, 1] and model.calls == [5, 2]
    assert route.cost.tolist() == [1.0, 1.0, 1.25, 1.25]
    assert expert(torch.zeros(0, 3, 8, 8)).shape == (0, 3)
    torch.testing.assert_close(copy.deepcopy(expert)(batch), expert(batch))


def test_faults_that_may_pass_are_tried_again(far: tuple[Far, str]) -> None:
    model, address = far
    model.fault = lambda number: 503 if number < 3 else None
    assert expert_at(address, retries=2)(torch.rand(1, 3, 8, 8)).shape == (1, 3)
    assert len(model.calls) == 3
    model.calls.clear()
    model.fault = lambda number: 400
    with pytest.raises(FarExpertError, match="status 400: no"):
        expert_at(address, retries=5)(torch.rand(1, 3, 8, 8))
    assert len(model.calls) == 1  # the same request would be refused again


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "no JSON"),
        (b"{}", "no tensor"),
        (b'{"outputs": []}', "no tensor"),
        (b'{"outputs": [{"name": "y", "shape": [2, 3], "data": [1]}]}', "no tensor"),
        (b'{"outputs": [{"name": "y", "shape": [1, 2], "data": [1, 2]}]}', r"shape \(1, 2\) to 1 samples"),
    ],
)
def test_a_senseless_answer_is_an_error_by_name(far: tuple[Far, str], body: bytes, message: str) -> None:
    model, address = far
    model.body = body
    with pytest.raises(FarExpertError, match=message):
        expert_at(address)(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("how", ["refused", "silent", "failing"])
def test_where_the_far_side_is_cut_off_the_near_one_answers_marked_and_in_time(far: tuple[Far, str], how: str) -> None:
    model, address = far
    if how == "refused":
        address = "http://127.0.0.1:9/v2/models/m"  # nobody listens there
    elif how == "silent":
        model.delay = 20.0
    else:
        model.fault = lambda number: 502
    cascade = near_and(expert_at(address, timeout=0.5, retries=3))
    start = time.monotonic()
    outputs, route = cascade.route(BATCH, on_error="best_available", timeout=2.0)
    assert time.monotonic() - start < 15
    assert route.expert.tolist() == [0, 0, 0, 0] and len(outputs) == 4
    assert sorted(fault.row for fault in route.faults) == [2, 3]
    assert all(fault.expert == 1 for fault in route.faults)
    with pytest.raises(OrxeError, match=r"did not answer within 0\.5 seconds"):
        cascade.route(BATCH)


def test_no_more_than_the_rate_is_asked(far: tuple[Far, str]) -> None:
    _model, address = far
    expert = expert_at(address, rate=20, timeout=20)
    start = time.monotonic()
    for _ in range(3):
        expert(torch.rand(4, 3, 8, 8))
    assert time.monotonic() - start > 0.35  # 8 samples at 20 a second before the third batch
    slow = expert_at(address, rate=0.2, timeout=5)  # its next turn comes after ten seconds
    slow(torch.rand(2, 3, 8, 8))
    with pytest.raises(FarExpertError, match=r"the rate of 0\.2 samples a second leaves no room"):
        slow(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http:host/model?num_classes=3", "expected a URL"),
        ("http://host/m", "give num_classes="),
        ("http://host/m?num_classes=3&colour=1", "colour"),
        ("http://host/m?num_classes=3&timeout=0", "timeout is 0"),
        ("http://host/m?num_classes=3&retries=-1", "retries is -1"),
        ("https://host/m?num_classes=0", "num_classes is 0"),
    ],
)
def test_what_is_no_far_expert_is_refused(address: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        load_expert(address)


def test_an_encrypted_address_stays_one() -> None:
    assert load_expert("https://host/m?num_classes=3&input_size=8").module.get_extra_state() == {
        "url": "https://host/m/infer"
    }
    with pytest.raises(OrxeError, match="weights of an expert elsewhere"):
        load_from("http", "//host/m", "weights.pt", {"num_classes": 3})


def test_an_address_in_a_file_needs_trust(far: tuple[Far, str], small_cascade: Path, tmp_path: Path) -> None:
    raw = json.loads((small_cascade / "cascade.json").read_text())
    raw["experts"][1] = {"address": far[1], "options": {"num_classes": 3, "input_size": 48}}
    raw["experts"][0].pop("checkpoint", None)
    (tmp_path / "cascade.json").write_text(json.dumps(raw))
    with pytest.raises(OrxeError, match="sends images to the address"):
        load_cascade(tmp_path)
    assert not far[0].calls


def test_our_own_server_is_a_far_expert(server: str, small_cascade: Path, images: list[Any]) -> None:
    whole = load_cascade(small_cascade, preference=0.7)
    assert whole.input_view is not None
    view = whole.input_view
    far_expert = load_from("http", f"{server.removeprefix('http:')}/v2/models/cascade", None, {
        "num_classes": 3, "input_size": view.size[0], "resize": view.resize, "mean": view.mean, "std": view.std,
        "interpolation": view.interpolation, "output": "logits", "timeout": 60,
    })  # fmt: skip
    batch = view.from_images(images[:4])
    with torch.inference_mode():
        torch.testing.assert_close(far_expert(batch), whole(batch), rtol=1e-3, atol=1e-3)


def test_a_framework_gets_the_logits_of_a_server(server: str, small_cascade: Path, images: list[Any]) -> None:
    timm = pytest.importorskip("orxe_timm")
    whole = load_cascade(small_cascade, preference=0.7)
    assert whole.input_view is not None
    view = whole.input_view
    far_expert = load_expert(
        f"{server}/v2/models/cascade?num_classes=3&input_size={view.size[0]}&resize={view.resize}&output=logits"
    )
    model = timm.CascadeClassifier(Cascade([far_expert], Policy(())))
    batch = view.from_images(images[:4])
    with torch.inference_mode():
        torch.testing.assert_close(model(batch), whole(batch), rtol=1e-3, atol=1e-3)
