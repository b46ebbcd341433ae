"""Trying samples by themselves: a few at the same time, and one that takes long makes room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from at_once import AtOnce

from orxe_plugins.cascade.singles import FewAtOnce


def test_at_most_eight_are_tried_at_the_same_time() -> None:
    trying = AtOnce()

    def begin(number: int) -> Callable[[], int]:
        def work() -> int:
            with trying.inside():
                time.sleep(0.01)
            return 10 * number

        return work

    few = FewAtOnce(30, begin, pause=600, spent=6000)
    found: dict[int, int] = {}
    while len(found) < 30:
        found |= {number: call.result() for number, call in few.step()}
    assert found == {number: 10 * number for number in range(30)} and 1 < trying.most <= 8


def test_those_that_hang_make_room_and_are_given_up_alone() -> None:
    over = threading.Event()
    few = FewAtOnce(30, lambda number: lambda: number if number >= 10 else int(over.wait(60)), pause=0.02, spent=6000)
    found: set[int] = set()
    try:
        while len(found) < 20:
            found |= {number for number, _ in few.step()}
        assert found == set(range(10, 30)) and set(few.given_up(0)) == set(range(10))
    finally:
        over.set()
