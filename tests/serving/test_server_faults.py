"""A server whose far expert fails on some images, in each of five ways."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import faulty_adapter
import pytest
from faulty_adapter import HANGS, SOUND, UNREADABLE

from orxe_plugins.policies.selection import Selection
from orxe_plugins.serving import Answering, ServeOptions
from orxe_plugins.serving.desk import Desk
from orxe_plugins.serving.loading import load_served
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.requests import Ask, Reply

httpx = pytest.importorskip("httpx")
Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("faulty") / "cascade"
    faulty_adapter.write_cascade(place)
    return place


@pytest.fixture
def _hanging() -> Iterator[None]:
    faulty_adapter.RELEASED.clear()
    yield
    faulty_adapter.RELEASED.set()


def text_of(number: int, kind: int) -> str:
    return base64.b64encode(faulty_adapter.file_of(number, kind)).decode()


def check(kinds: list[int], replies: list[tuple[int, dict[str, Any]]]) -> None:
    """A reply for each image, in order: its own answer, marked where the far expert failed, or its own error."""
    classes, experts, confidences = faulty_adapter.right_answers(kinds)
    for i, (kind, (status, content)) in enumerate(zip(kinds, replies, strict=True)):
        if kind == UNREADABLE:
            assert status == 422 and "image" in content["error"]
            continue
        (answer,) = content["answers"]
        assert status == 200 and (answer["class"], answer["expert"]) == (classes[i], experts[i])
        assert answer["confidence"] == pytest.approx(confidences[i], abs=1e-3)
        assert ("faults" in answer) == (kind != SOUND)
        if kind == HANGS:
            assert "gave no answer within" in answer["faults"][0]["error"]


def desk_of(folder: Path, timeout: float, batch_size: int = 32) -> Desk:
    served = load_served(folder, ServeOptions(Selection(0.5)))
    return Desk(Answering.of(served, timeout), Limits(), batch_size=batch_size)


@pytest.mark.usefixtures("_hanging")
def test_every_request_has_one_reply_and_only_faulty_ones_are_touched(folder: Path) -> None:
    kinds = faulty_adapter.kinds_of(600)
    desk, given = desk_of(folder, 4.0), []

    def give(number: int, reply: Reply) -> None:
        given.append((number, reply))

    for start in range(0, 600, 32):
        part = range(start, min(start + 32, 600))
        asked = [Ask(image=text_of(i, kinds[i])) for i in part]
        desk.take(asked, lambda k, reply, start=start: give(start + k, reply))  # type: ignore[misc]
    end = time.monotonic() + 60
    while len(given) < 600 and time.monotonic() < end:
        time.sleep(0.02)
    assert sorted(number for number, _ in given) == list(range(600))  # one each
    check(kinds, [(reply.status, reply.content) for _, reply in sorted(given, key=lambda one: one[0])])


@pytest.mark.usefixtures("_hanging")
def test_requests_that_hang_alone_wait(folder: Path) -> None:
    desk = desk_of(folder, 60.0)
    desk.answer([Ask(image=text_of(i, SOUND)) for i in range(32)])  # how long a batch takes is known then
    kinds = [HANGS if i % 16 == 3 else SOUND for i in range(64)]
    replies: dict[int, Reply] = {}
    sound_are_there = threading.Event()

    def give(number: int, reply: Reply) -> None:
        replies[number] = reply
        if len(replies) == kinds.count(SOUND):
            sound_are_there.set()

    for start in (0, 32):
        asked = [Ask(image=text_of(i, kinds[i])) for i in range(start, start + 32)]
        desk.take(asked, lambda k, reply, start=start: give(start + k, reply))  # type: ignore[misc]
    assert sound_are_there.wait(50)
    assert sorted(replies) == [i for i, kind in enumerate(kinds) if kind == SOUND]


@pytest.mark.usefixtures("_hanging")
def test_a_few_requests_of_a_late_batch_are_tried_at_the_same_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(folder, 60.0, batch_size=64)
    desk.answer([Ask(image=text_of(i, SOUND)) for i in range(64)])  # how long a batch takes is known then
    route, lock, now, most = Answering.route_within, threading.Lock(), 0, 0

    def counted(self: Answering, batch: Any, timeout: float | None) -> Any:
        nonlocal now, most
        if len(batch) > 1:
            return route(self, batch, timeout)
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        try:
            return route(self, batch, timeout)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(Answering, "route_within", counted)
    replies: dict[int, Reply] = {}
    sound_are_there = threading.Event()

    def give(number: int, reply: Reply) -> None:
        replies[number] = reply
        if len(replies) == 63:
            sound_are_there.set()

    desk.take([Ask(image=text_of(i, HANGS if i == 3 else SOUND)) for i in range(64)], give)
    assert sound_are_there.wait(50)
    assert sorted(replies) == [i for i in range(64) if i != 3]
    # Beside those that are tried at the same time, there are ones that took long and made room.
    assert {reply.status for reply in replies.values()} == {200} and 1 < most < 63


def test_what_ends_a_whole_batch_is_the_reply_to_each_of_its_requests(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(folder, 60.0)

    def fail(*_: object) -> None:
        raise ValueError("nobody expected this")

    monkeypatch.setattr(desk, "_answer_all", fail)
    replies = desk.answer([Ask(image=text_of(i, SOUND)) for i in range(3)])
    assert [(reply.status, reply.content) for reply in replies] == [
        (500, {"error": "ValueError: nobody expected this"})
    ] * 3


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_of_many_clients(folder: Path, tmp_path: Path, serve: Serve) -> None:
    kinds, seconds = faulty_adapter.kinds_of(10_000), 20.0
    more = ("--plugin", faulty_adapter.__file__, "--timeout", str(seconds))
    own, clients = threading.local(), contextlib.ExitStack()  # threads that share a client close each other's sockets

    def open_client() -> None:
        own.client = clients.enter_context(httpx.Client(timeout=120, trust_env=False))

    with serve(folder, tmp_path / "log", *more) as url, clients:

        def ask(number: int) -> tuple[int, dict[str, Any], float]:
            start = time.monotonic()
            reply = own.client.post(f"{url}/predict", json={"image": text_of(number, kinds[number])})
            return reply.status_code, reply.json(), time.monotonic() - start

        with ThreadPoolExecutor(64, initializer=open_client) as pool:
            heard = list(pool.map(ask, range(len(kinds))))
    check(kinds, [(status, content) for status, content, _ in heard])
    waited = [took for kind, (*_, took) in zip(kinds, heard, strict=True) if kind != HANGS]
    assert max(waited) < seconds, "requests waited for others that an expert hangs on"
