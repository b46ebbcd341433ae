"""Calls in other threads: they outlive no program, survive a fork, and a busy machine does not make them faults."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from at_once import AtOnce
from made_up_experts import logits, picking
from torch import Tensor, nn

from orxe_plugins import Policy
from orxe_plugins.cascade.calls import Call
from orxe_plugins.cascade.parcel import Parcel
from orxe_plugins.cascade.pieces import Piece
from orxe_plugins.cascade.singles import Singles
from orxe_plugins.experts.batch_context import CascadeSetup

HERE = Path(__file__).parent

PROGRAM = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from made_up_experts import Picked, logits, picking
from orxe_plugins import Policy

SOUND, SLEEPS, CALCULATES = range(3)

class Hangs(torch.nn.Module):
    def forward(self, batch):
        if (kind := batch[0, 2, 0]) == SLEEPS:
            time.sleep(100)
        values = torch.randn(300, 300)
        while kind == CALCULATES:
            try:
                values = (values @ values).clamp(-1, 1)
            except Exception:
                pass
        return batch[:, 1]

def source():
    yield logits(1, 3)[0]
    while True:
        torch.randn(300, 300) @ torch.randn(300, 300)

def faults_of(kind, timeout):
    batch = logits(4, 3)
    batch[:, 0], batch[:, 2, 0] = 0, kind
    return len(cascade.route(batch, on_error="best_available", timeout=timeout)[1].faults)

cascade = picking(2, Policy((0.99,)), Picked(0), Hangs())
assert faults_of(SOUND, 50.0) == 0
child = os.fork()
if child == 0:
    os._exit(faults_of(SOUND, 50.0))
print("forked:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("hung:", faults_of(SLEEPS, 0.2), faults_of(CALCULATES, 0.2))
stream = cascade.stream(source(), 1, max_wait=0.01)
next(stream)
"""


def test_a_program_ends_well_while_experts_hang_and_one_that_was_forked_has_threads_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(HERE)], capture_output=True, text=True, timeout=200
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "forked: 0\nhung: 4 4\n", "")


def parcel_of(size: int) -> Parcel:
    return Parcel.of(range(size), [0] * size, torch.zeros(size, 1), CascadeSetup(), 1)


def hung_until(released: threading.Event) -> Call[list[Piece]]:
    def work() -> list[Piece]:
        released.wait(60)
        return []

    return Call(work)


def test_singles_that_wait_for_their_turn_have_their_full_time() -> None:
    """Each takes less than it may, and all of them take more, a few at the same time."""
    parcel, released = parcel_of(20), threading.Event()
    whole = hung_until(released)

    def run_one(one: Parcel) -> list[Piece]:
        if one.number[0] == 7:
            released.wait(60)
        time.sleep(0.4)
        return [(np.arange(1), ValueError(str(one.number[0])))]

    start = time.monotonic()
    found = list(Singles(run_one, parcel, whole, timeout=1.0, pause=0.5).answers())
    released.set()
    assert time.monotonic() - start > 1.0
    told = {int(part.number[0]): pieces for part, pieces in found}
    assert sorted(told) == list(range(20)) and all(len(part) == 1 for part, _ in found)
    assert [number for number, pieces in told.items() if pieces is None] == [7]


def test_singles_end_with_the_time_that_there_is_for_all() -> None:
    parcel, released = parcel_of(30), threading.Event()
    whole = hung_until(released)
    begun: list[int] = []

    def run_one(one: Parcel) -> list[Piece]:
        begun.append(int(one.number[0]))
        released.wait(60)
        return []

    start = time.monotonic()
    found = list(Singles(run_one, parcel, whole, timeout=60.0, pause=math.inf, end=start + 1.0).answers())
    assert time.monotonic() - start < 20
    released.set()
    assert sorted(begun) == list(range(30)), "some sample had no try of its own"
    assert sorted(number for part, _ in found for number in part.number) == list(range(30))
    assert all(pieces is None for _, pieces in found)


def test_few_samples_are_tried_at_the_same_time() -> None:
    parcel, released, trying = parcel_of(64), threading.Event(), AtOnce()
    whole = hung_until(released)

    def run_one(one: Parcel) -> list[Piece]:
        with trying.inside():
            time.sleep(0.002)
        return [(np.arange(1), ValueError())]

    assert len(list(Singles(run_one, parcel, whole, timeout=60.0, pause=30.0).answers())) == 64
    released.set()
    assert 1 < trying.most <= 8


class Slow(nn.Module):
    """An expert that is slower from one batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.handed.append(len(batch))
        if len(self.handed) > 4:
            time.sleep(0.2)
        return batch[:, 0]


def test_a_stream_gets_used_to_an_expert_that_became_slower() -> None:
    slow = Slow()
    cascade = picking(1, Policy(()), slow)
    answers = list(cascade.stream(logits(80, 1), 4, on_error="best_available", timeout=60.0))
    assert [answer.index for answer in answers] == list(range(80)) and not any(answer.faults for answer in answers)
    assert slow.handed[-4:] == [4] * 4, "batches are still taken for late"
