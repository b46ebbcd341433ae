"""Faults of five kinds: only the samples that an expert fails on are touched, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_experts import Picked, logits, picking, same
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, ExpertSpec, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.faults import NOT_FINITE, ExpertTimeoutError, in_words
from orxe_plugins.cascade.file import CascadeFile, cascade_of
from orxe_plugins.experts import registry
from orxe_plugins.experts.absent import AbsentExpert

#: what the last entry of a sample says of it
SOUND, RAISES, NOT_A_NUMBER, INFINITE, MISCOUNTS, HANGS = range(6)
TOTAL = 10_000


class Faulty(nn.Module):
    """An expert that reads its logits out of the batch, and fails on the samples that say so.

    Args:
        place: which logits are its own.
        released: set at the end of a test, for threads that hang.
    """

    def __init__(self, place: int, released: threading.Event | None = None) -> None:
        super().__init__()
        self.place = place
        self.released = released or threading.Event()

    def forward(self, batch: Tensor) -> Tensor:
        kinds = batch[:, -1, 0]
        if (kinds == RAISES).any():
            raise RuntimeError("a bad row")
        if (kinds == HANGS).any():
            self.released.wait(60)
        outputs = batch[:, self.place].clone()
        outputs[kinds == NOT_A_NUMBER, 1] = float("nan")
        outputs[kinds == INFINITE, 0] = float("inf")
        return torch.cat([outputs, outputs[:1]]) if (kinds == MISCOUNTS).any() else outputs


def samples(total: int, kinds: tuple[int, ...], every: int = 50) -> Tensor:
    """Samples (M, 3, 3) of logits for two experts, of which each so many-th is faulty; all of these go on."""
    batch = logits(total, 3)
    batch[:, 2] = 0
    faulty = torch.arange(0, total, every)
    batch[faulty, 2, 0] = torch.tensor([kinds[i % len(kinds)] for i in range(len(faulty))], dtype=torch.float32)
    batch[faulty, 0] = 0
    return batch


KINDS = (RAISES, NOT_A_NUMBER, INFINITE, MISCOUNTS)
#: with those that hang, which takes as long as the timeout for each batch
WITH_HANGS = pytest.mark.parametrize(
    ("kinds", "timeout"), [(KINDS, None), pytest.param((*KINDS, HANGS), 3.0, marks=pytest.mark.long)]
)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Lets what hangs go on when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def sound_cascade() -> Cascade:
    return picking(2, Policy((0.7,)))


def check(batch: Tensor, found: list[tuple[int, Any, int, bool]]) -> None:
    """Sound samples are answered as ever, faulty ones by the first expert, marked.

    Args:
        batch: the samples.
        found: of each, in order: its number, the output, the expert, whether it is marked.
    """
    outputs, route = sound_cascade().route(batch)
    assert [number for number, *_ in found] == list(range(len(batch)))
    faulty = batch[:, 2, 0] != SOUND
    assert [marked for *_, marked in found] == faulty.tolist()
    for number, output, expert, marked in found:
        assert expert == (0 if marked else int(route.expert[number]))
        assert same(output, batch[number, 0] if marked else outputs[number])


@WITH_HANGS
def test_only_the_faulty_rows_of_ten_thousand_are_touched_by_a_route(
    kinds: tuple[int, ...], timeout: float | None, released: threading.Event
) -> None:
    batch = samples(TOTAL, kinds)
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1, released))
    found = []
    for start in range(0, TOTAL, 64):
        outputs, route = cascade.route(batch[start : start + 64], on_error="best_available", timeout=timeout)
        marked = {fault.row for fault in route.faults}
        found += [(start + i, outputs[i], int(route.expert[i]), i in marked) for i in range(len(route.expert))]
    check(batch, found)


@WITH_HANGS
@pytest.mark.parametrize("ordered", [True, False])
def test_only_the_faulty_rows_of_ten_thousand_are_touched_by_a_stream(
    ordered: bool, kinds: tuple[int, ...], timeout: float | None, released: threading.Event
) -> None:
    batch = samples(TOTAL, kinds)
    unreadable = range(25, TOTAL, 250)  # a fifth kind: samples that are none
    items: list[Any] = [OSError("torn") if i in unreadable else sample for i, sample in enumerate(batch)]
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1, released))
    answers = list(cascade.stream(items, ordered=ordered, on_error="best_available", timeout=timeout))
    if not ordered:
        answers.sort(key=lambda answer: answer.index)
    assert [answer.index for answer in answers] == list(range(TOTAL))
    assert [answer.index for answer in answers if answer.error is not None] == list(unreadable)
    sound = sound_cascade().stream(batch[i] for i in unreadable)
    filled = {i: replace(answer, index=i) for i, answer in zip(unreadable, sound, strict=True)}
    answers = [filled.get(answer.index, answer) for answer in answers]
    check(batch, [(a.index, a.output, a.expert, bool(a.faults)) for a in answers])
    messages = {a.faults[0].message for a in answers if a.faults}
    assert messages >= {
        "RuntimeError: a bad row",
        NOT_FINITE,
        "OrxeError: expert 'e1' gave 2 answers to 1 samples: expected one for each",
    }
    assert any("gave no answer within" in message for message in messages) == (HANGS in kinds)
    # A failed attempt counts once: it was paid.
    assert {answer.cost for answer in answers if answer.faults} == {1.0 + 2.0}


def test_hung_rows_alone_wait_in_a_stream() -> None:
    released = threading.Event()
    batch = samples(600, (HANGS,), every=100)
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1, released))
    try:
        answers = list(cascade.stream(batch, 32, ordered=False, on_error="best_available", timeout=2.0))
    finally:
        released.set()
    before_the_first = next(place for place, answer in enumerate(answers) if answer.faults)
    assert before_the_first > 300, "samples waited for others that hang"
    answers.sort(key=lambda a: a.index)
    check(batch, [(a.index, a.output, a.expert, bool(a.faults)) for a in answers])
    assert all("gave no answer within" in a.faults[0].message for a in answers if a.faults)


def test_samples_that_share_a_batch_with_hung_ones_do_not_wait_for_the_timeout(released: threading.Event) -> None:
    batch = samples(256, (HANGS,), every=64)
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1, released))
    sound = [sample for sample in batch if sample[2, 0] == SOUND]
    items = [*sound, *batch]  # how long a batch takes is known before the first one hangs
    stream = cascade.stream(items, 16, ordered=False, on_error="best_available", timeout=120.0)
    answers = [next(stream) for _ in range(len(items) - 4)]
    assert not any(answer.faults or answer.error for answer in answers)
    released.set()
    answers += stream
    assert sorted(answer.index for answer in answers) == list(range(len(items)))


@pytest.mark.parametrize(("on_error", "timeout"), [("raise", 0.5), ("best_available", 3.0)])
def test_a_route_returns_within_its_timeout(on_error: str, timeout: float) -> None:
    released = threading.Event()
    batch = samples(40, (HANGS,), every=20)
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1, released))
    start = time.monotonic()
    try:
        if on_error == "raise":
            with pytest.raises(ExpertTimeoutError, match="'e1' gave no answer within"):
                cascade.route(batch, on_error=on_error, timeout=timeout)
        else:
            outputs, route = cascade.route(batch, on_error=on_error, timeout=timeout)
            marked = {fault.row for fault in route.faults}
            check(batch, [(i, outputs[i], int(route.expert[i]), i in marked) for i in range(40)])
        assert time.monotonic() - start < 20
    finally:
        released.set()


def test_a_route_that_tolerates_faults_tells_how_sure_each_expert_was() -> None:
    batch, healthy = logits(40, 3, 1), picking(3, Policy((0.7, 0.8)))
    told, wanted = (healthy.route(batch, on_error=kind)[1].confidences for kind in ("best_available", "raise"))
    assert told is not None and wanted is not None and wanted.isnan().any() and not wanted.isnan().all(dim=0).any()
    torch.testing.assert_close(told, wanted, equal_nan=True)
    faulty = picking(2, Policy((0.7,)), Picked(0), Faulty(1))
    route = faulty.route(samples(40, (RAISES,), every=10), on_error="best_available")[1]
    assert route.confidences is not None
    assert route.confidences[[fault.row for fault in route.faults], 1].isnan().all()


def test_what_hangs_at_the_first_expert_has_no_answer_and_says_so() -> None:
    released = threading.Event()
    batch = samples(6, (HANGS,), every=3)
    cascade = picking(2, Policy((0.7,)), Faulty(0, released), Faulty(1, released))
    try:
        outputs, route = cascade.route(batch, on_error="best_available", timeout=0.5)
    finally:
        released.set()
    assert route.expert.tolist()[::3] == [-1, -1] and outputs[::3].isnan().all()
    assert {fault.row for fault in route.faults} >= {0, 3}
    assert float(route.exit_share().sum()) == pytest.approx(float((route.expert >= 0).double().mean()))


@pytest.mark.parametrize("way", ["route", "stream"])
def test_where_the_first_expert_fails_the_next_one_answers(way: str) -> None:
    batch = samples(60, (RAISES, NOT_A_NUMBER, MISCOUNTS), every=10)
    cascade = picking(2, Policy((0.7,)), Faulty(0), Picked(1))
    faulty = batch[:, 2, 0] != SOUND
    if way == "route":
        outputs, route = cascade.route(batch, on_error="best_available")
        experts, marked = route.expert, {fault.row for fault in route.faults}
    else:
        answers = list(cascade.stream(batch, 16, on_error="best_available"))
        outputs, experts = torch.stack([a.output for a in answers]), torch.tensor([a.expert for a in answers])
        marked = {a.index for a in answers if a.faults}
    assert marked == set(faulty.nonzero().flatten().tolist())
    assert (experts[faulty] == 1).all() and torch.equal(outputs[faulty], batch[faulty, 1])


def test_where_every_expert_fails_a_sample_is_its_own_error() -> None:
    batch = samples(60, (RAISES, NOT_A_NUMBER, MISCOUNTS), every=10)
    cascade = picking(2, Policy((0.7,)), Faulty(0), Faulty(1))
    answers = list(cascade.stream(batch, 16, on_error="best_available"))
    faulty = batch[:, 2, 0] != SOUND
    assert [answer.error is not None for answer in answers] == faulty.tolist()
    assert all(answer.output is None and answer.expert == -1 for answer in answers if answer.error)
    assert isinstance(answers[0].error, RuntimeError)


@pytest.mark.parametrize("kind", [RAISES, MISCOUNTS])
def test_by_default_an_expert_that_fails_ends_the_stream(kind: int) -> None:
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1))
    with pytest.raises((RuntimeError, OrxeError), match=r"a bad row|'e1' gave \d+ answers to \d+ samples"):
        list(cascade.stream(samples(100, (kind,))))
    with pytest.raises((RuntimeError, OrxeError), match=r"a bad row|'e1' gave \d+ answers to \d+ samples"):
        cascade.route(samples(100, (kind,)))


def test_by_default_what_is_not_finite_is_marked() -> None:
    batch = samples(100, (NOT_A_NUMBER, INFINITE), every=10)
    cascade = picking(2, Policy((0.7,)), Picked(0), Faulty(1))
    _, route = cascade.route(batch)
    faulty = (batch[:, 2, 0] != SOUND).nonzero().flatten().tolist()
    assert [(fault.row, fault.expert, fault.message) for fault in route.faults] == [(i, 1, NOT_FINITE) for i in faulty]
    assert route.to_host().faults == route.faults
    answers = list(cascade.stream(batch))
    assert [a.index for a in answers if a.faults] == faulty


def test_a_class_that_is_ruled_out_is_no_fault() -> None:
    batch = logits(20, 2)
    batch[:, :, 2] = float("-inf")
    assert not picking(2, Policy((0.7,))).route(batch)[1].faults
    batch[3] = float("-inf")
    assert {fault.row for fault in picking(2, Policy((0.7,))).route(batch)[1].faults} == {3}


def test_what_cannot_be_read_is_an_error_of_its_own() -> None:
    batch = logits(30, 2)
    cascade = sound_cascade()
    items = [OSError("torn") if i == 7 else sample for i, sample in enumerate(batch)]

    def read(i: int) -> Tensor:
        if isinstance(items[i], Exception):
            raise items[i]  # type: ignore[misc]
        return items[i]  # type: ignore[return-value]

    class Numbered:
        def __len__(self) -> int:
            return 30

        def __getitem__(self, i: int) -> Tensor:
            return read(i)

    for source in (items, Numbered(), map(read, range(30))):
        answers = list(cascade.stream(source, 8, on_error="best_available"))  # type: ignore[arg-type]
        assert [answer.index for answer in answers] == list(range(30))
        assert [answer.index for answer in answers if answer.error] == [7] and str(answers[7].error) == "torn"
    for source in (items, Numbered(), map(read, range(30))):
        with pytest.raises(OSError, match="torn"):
            list(cascade.stream(source, 8))  # type: ignore[arg-type]


def test_a_source_that_breaks_off_is_told_once_its_samples_are_answered() -> None:
    def source() -> Iterator[Tensor]:
        yield from logits(10, 2)
        raise OSError("the camera is gone")

    answers = []
    with pytest.raises(OSError, match="the camera is gone"):
        answers += picking(2, Policy((0.7,))).stream(source(), 4, on_error="best_available")
    got = []
    with pytest.raises(OSError, match="the camera is gone"):
        for answer in picking(2, Policy((0.7,))).stream(source(), 4, on_error="best_available"):
            got.append(answer.index)
    assert got == list(range(10))


def test_a_sample_of_another_shape_stands_alone() -> None:
    items = list(logits(40, 2))
    items[11] = torch.zeros(1)
    answers = list(sound_cascade().stream(items, 16, on_error="best_available"))
    assert [answer.index for answer in answers if answer.error] == [11]
    outputs, route = sound_cascade().route(torch.stack(items[:11] + items[12:]))
    rest = answers[:11] + answers[12:]
    assert [answer.expert for answer in rest] == route.expert.tolist()
    assert all(same(answer.output, output) for answer, output in zip(rest, outputs, strict=True))


def test_an_expert_that_is_not_there_is_passed_by_and_the_route_says_so() -> None:
    batch = logits(40, 3)
    for place in range(3):
        experts = [Expert(f"e{i}", Picked(i), cost=2.0**i) for i in range(3)]
        left = [expert for i, expert in enumerate(experts) if i != place]
        outputs, route = Cascade(left, Policy((0.7,))).route(batch)
        absent = AbsentExpert(f"e{place}", "OSError: no such file")
        cascade = Cascade([*experts[:place], absent, *experts[place + 1 :]], Policy((0.7, 0.7)))
        with pytest.raises(OrxeError, match=f"'e{place}' could not be loaded: OSError: no such file"):
            cascade.route(batch)
        cascade.on_error = "best_available"
        found, there = cascade.route(batch)
        assert torch.equal(found, outputs) and torch.equal(cascade(batch), outputs)
        names = [cascade.members[i].name for i in there.expert.tolist()]
        if place < 2:
            assert names == [left[i].name for i in route.expert.tolist()]
            torch.testing.assert_close(there.cost, route.cost)
        assert not there.ran[:, place].any()
        assert {fault.expert for fault in there.faults} == {place}
        answers = list(cascade.stream(batch, 8))
        assert [answer.expert for answer in answers] == there.expert.tolist()


def test_a_cascade_is_loaded_without_the_experts_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(spec: ExpertSpec, *more: Any) -> Expert:
        if spec.name in broken:
            raise torch.cuda.OutOfMemoryError("no memory for that")
        return Expert(str(spec.name), Picked("ab".index(str(spec.name))), cost=1.0)

    monkeypatch.setattr(registry, "load_expert", load)
    table = PolicyTable((PolicyRow(0.5, Policy((0.7,)), 1.0, 0.8),), reference_cost=2.0, reference_score=0.9)
    file = CascadeFile((ExpertSpec("timm:x", "a"), ExpertSpec("timm:y", "b")), table, "classification")
    broken, batch = {"b"}, logits(30, 2)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        cascade_of(file)
    cascade = cascade_of(file, on_error="best_available")
    outputs, route = cascade.route(batch)
    assert torch.equal(outputs, batch[:, 0]) and route.expert.tolist() == [0] * 30
    assert all("'b' could not be loaded: OutOfMemoryError: no memory for that" in f.message for f in route.faults)
    assert 0 < len(route.faults) < 30
    broken = {"a", "b"}
    with pytest.raises(torch.cuda.OutOfMemoryError):
        cascade_of(file, on_error="best_available")


def test_long_messages_are_cut_and_stand_on_one_line() -> None:
    assert in_words(ValueError("first\n  second")) == "ValueError: first second"
    assert len(in_words(ValueError("word " * 1000))) < 600
    assert in_words(ValueError("x" * 1000)).startswith("ValueError: xxx")
