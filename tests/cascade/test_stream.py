"""A stream of samples: the answers of routing, each once, in order, out of full batches and in bounded memory."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_experts import Picked, Stages, exits_of, logits, picking, same
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, OrxeError, Policy

shares = st.sampled_from([0.0, 0.4, 0.5, 0.7, 1.0])


def check_equal(cascade: Cascade, batch: Any, items: Any, **options: Any) -> None:
    """The stream's answers are those of one routed batch."""
    outputs, route = cascade.route(batch)
    answers = list(cascade.stream(items, **options))
    assert [answer.index for answer in answers] == list(range(len(route.expert)))
    assert [answer.expert for answer in answers] == route.expert.tolist()
    assert [answer.confidence for answer in answers] == pytest.approx(route.confidence.tolist(), abs=1e-6)
    assert [answer.cost for answer in answers] == pytest.approx(route.cost.tolist(), nan_ok=True)
    assert all(same(answer.output, outputs[answer.index]) for answer in answers)
    assert not any(answer.faults or answer.error for answer in answers)


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(1, 4), m=st.integers(0, 40), size=st.integers(1, 9), seed=st.integers(0, 999))
def test_a_stream_answers_as_one_routed_batch(data: st.DataObject, n: int, m: int, size: int, seed: int) -> None:
    policy = Policy(data.draw(st.tuples(*[st.none() | shares] * (n - 1))), data.draw(st.tuples(*[shares] * (n - 1))))
    batch = logits(m, n, seed)
    # As on a device that runs one batch while the host tells the answers of the one before.
    with patch("orxe_plugins.cascade.stream._on_device", return_value=data.draw(st.booleans())):
        check_equal(picking(n, policy), batch, list(batch), batch_size=size)


def test_batches_of_every_kind_are_streamed() -> None:
    class Keyed(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

        def forward(self, batch: dict[str, Any]) -> Tensor:
            assert len(batch["names"]) == len(batch["values"])
            return batch["values"][:, self.place]

    class Listed(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

        def forward(self, batch: list[tuple[Tensor, str]]) -> Tensor:
            assert isinstance(batch, list)
            return torch.stack([values[self.place] for values, _ in batch])

    values, policy = logits(30, 2), Policy((0.7,))
    names = [str(i) for i in range(30)]
    mapping = {"values": values, "names": names}
    rows = [{"values": v, "names": name} for v, name in zip(values, names, strict=True)]
    check_equal(picking(2, policy, Keyed(0), Keyed(1)), mapping, rows, batch_size=4)
    pairs = list(zip(values, names, strict=True))
    check_equal(picking(2, policy, Listed(0), Listed(1)), pairs, pairs, batch_size=4)


@pytest.mark.parametrize("skip", [False, True])
def test_exits_of_a_backbone_go_on_from_what_earlier_exits_left(skip: bool) -> None:
    backbone = Stages()
    ran: list[int] = []
    stage = backbone.stage
    backbone.stage = lambda index, values: ran.append(index) or stage(index, values)  # type: ignore[method-assign]
    experts, batch = exits_of(backbone), torch.randn(50, 3, 2, 2)
    cascade = Cascade(experts, Policy((1.0, 1.0)))
    with torch.no_grad():
        first, second = (expert.run(batch, cascade.context(batch)).confidence for expert in experts[:2])
    skips = (0.0, float(first.quantile(0.3)) if skip else 0.0)
    cascade.policy = Policy((float(first.quantile(0.6)), float(second.median())), skips)
    check_equal(cascade, batch, batch, batch_size=8)
    ran.clear()
    answers = list(cascade.stream(batch, batch_size=8))
    assert {answer.expert for answer in answers} == {0, 1, 2}
    assert ran.count(0) == 7, "the first stage ran again for samples that went on"


def test_batches_are_full_though_few_samples_go_on() -> None:
    modules = Picked(0), Picked(1)
    cascade = picking(2, Policy((0.9,)), *modules)
    answers = list(cascade.stream(logits(800, 2), batch_size=16))
    onward = sum(answer.expert == 1 for answer in answers)
    assert set(modules[0].sizes) == {16}
    assert modules[1].sizes == [16] * (onward // 16) + [onward % 16] * (onward % 16 > 0)


def test_samples_are_taken_as_they_are_asked_for_and_few_wait() -> None:
    pulled = itertools.count()
    at_most = 0

    def source() -> Iterator[Tensor]:
        for sample in logits(4000, 2, scale=4.0):
            next(pulled)
            yield sample

    first = logits(1, 2)[0] * 0  # it goes on, and nobody else does
    cascade = picking(2, Policy((0.34,)))
    stream = cascade.stream(itertools.chain([first], source()), batch_size=4)
    assert next(stream).expert == 1
    taken = next(pulled)
    assert taken <= 4 * 34, "the oldest sample waited for more than the stated number of batches"
    for answer in stream:
        at_most = max(at_most, next(pulled) - answer.index)
    assert answer.index == 4000


def test_answers_come_as_they_finish_on_request() -> None:
    batch = logits(200, 2)
    cascade = picking(2, Policy((0.7,)))
    answers = list(cascade.stream(batch, batch_size=8, ordered=False))
    assert sorted(answer.index for answer in answers) == list(range(200))
    assert [answer.index for answer in answers] != list(range(200))
    outputs, route = cascade.route(batch)
    for answer in answers:
        assert answer.expert == int(route.expert[answer.index]) and same(answer.output, outputs[answer.index])


def test_nobody_waits_longer_than_max_wait_for_a_source_that_rests() -> None:
    goes_on = threading.Event()

    def source() -> Iterator[Tensor]:
        yield from logits(3, 2) * 0
        assert goes_on.wait(20)
        yield from logits(2, 2)

    stream = picking(2, Policy((0.5,))).stream(source(), batch_size=64, max_wait=0.02)
    assert [next(stream).index for _ in range(3)] == [0, 1, 2], "they waited for samples that did not come"
    goes_on.set()
    assert [answer.index for answer in stream] == [3, 4]


def test_a_stream_that_is_closed_reads_no_further() -> None:
    pulled: list[int] = []

    def source() -> Iterator[Tensor]:
        for i in itertools.count():
            pulled.append(i)
            yield torch.zeros(2, 3)

    stream = picking(2, Policy((0.5,))).stream(source(), batch_size=4, max_wait=0.01)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    time.sleep(0.3)
    count = len(pulled)
    time.sleep(0.3)
    assert len(pulled) == count


def test_a_sample_keeps_the_policy_that_it_entered_with() -> None:
    batch = logits(60, 2)
    cascade = picking(2, Policy((0.0,)))

    def source() -> Iterator[Tensor]:
        for i, sample in enumerate(batch):
            cascade.policy = Policy((None,)) if i % 3 == 0 else Policy((0.0,))
            yield sample

    answers = list(cascade.stream(source(), batch_size=7))
    assert [answer.expert for answer in answers] == [int(i % 3 == 0) for i in range(60)]
    assert [answer.cost for answer in answers] == [2.25 if i % 3 == 0 else 1.0 for i in range(60)]


def test_costs_are_counted_before_samples_are_answered() -> None:
    cascade = Cascade.from_modules([nn.Linear(8, 2), nn.Linear(8, 4)][:1], [])
    (answer,) = cascade.stream([torch.randn(8)])
    assert answer.cost == pytest.approx(16e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_wait": -1}, "max_wait is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore': expected 'raise' or 'best_available'"),
    ],
)
def test_options_out_of_range_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    cascade = Cascade([Expert("one", nn.Identity(), cost=1.0)])
    with pytest.raises(OrxeError, match=message):
        cascade.stream([], **options)


@pytest.mark.parametrize("items", [None, 3, "images/", {"image": torch.zeros(4, 2, 3)}, torch.tensor(1.0)])
def test_what_is_no_row_of_samples_is_refused_at_once(items: Any) -> None:
    with pytest.raises(OrxeError, match="the samples are given as"):
        picking(2, Policy((0.5,))).stream(items)
