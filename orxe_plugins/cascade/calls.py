"""Calls that may hang: they run in threads that nothing waits for longer than it wants to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

import torch

from orxe_plugins.cascade.threads import Detached

_Result = TypeVar("_Result")


class Call(Generic[_Result]):
    """Work that another thread does, under this thread's gradient and autocast modes.

    Args:
        work: what to do.
        told: where the call is put as soon as the work is done.

    Attributes:
        begun: when the work began, on the clock of ``time.monotonic``; None as long as no thread got round to it.
        seconds: how long it took; None as long as it is not done.
    """

    def __init__(self, work: Callable[[], _Result], told: SimpleQueue[Call[_Result]] | None = None) -> None:
        self._work = work
        self._told = told
        self._modes = _Modes()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self.begun: float | None = None
        self.seconds: float | None = None
        _start(self)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the work is done, after at most so many seconds."""
        return self._done.wait(seconds)

    def result(self) -> _Result:
        """What came out of work that is done; its error is raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def run(self) -> None:
        """Do the work, in this thread."""
        self.begun = time.monotonic()
        try:
            with self._modes.taken_over():
                self._result = self._work()
        # It belongs to the thread that asks for the result.
        except BaseException as error:
            self._error = error
        finally:
            self.seconds = time.monotonic() - self.begun
            self._done.set()
            if self._told is not None:
                self._told.put(self)


class Series(Generic[_Result]):
    """Results that another thread makes, one after the other.

    Args:
        results: makes them.
    """

    def __init__(self, results: Iterator[_Result]) -> None:
        self._results = results
        self._ready: SimpleQueue[_Result] = SimpleQueue()
        self._call = Call(self._run)

    @property
    def seconds(self) -> float | None:
        """How long it took to make all of them; None as long as they are not there."""
        return self._call.seconds

    def wait(self, seconds: float | None = None) -> bool:
        """Whether all of them are there, after at most so many seconds."""
        return self._call.wait(seconds)

    def taken(self) -> list[_Result]:
        """Those that are there and were not taken yet; the error that ended them is raised."""
        is_over = self._call.wait(0)
        found = []
        while not self._ready.empty():
            found.append(self._ready.get())
        if is_over:
            self._call.result()
        return found

    def _run(self) -> None:
        for one in self._results:
            self._ready.put(one)


class _Modes:
    """What torch keeps for each thread, as it is in this one now."""

    def __init__(self) -> None:
        self._inference = torch.is_inference_mode_enabled()
        self._grad = torch.is_grad_enabled()
        self._autocast = [
            (kind, torch.get_autocast_dtype(kind)) for kind in _kinds() if torch.is_autocast_enabled(kind)
        ]
        self._stream = torch.cuda.current_stream() if torch.cuda.is_initialized() else None

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self._inference))
            stack.enter_context(torch.set_grad_enabled(self._grad and not self._inference))
            for kind, dtype in self._autocast:
                stack.enter_context(torch.autocast(kind, dtype))
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            yield


def _kinds() -> tuple[str, ...]:
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class _Worker(Detached):
    """A thread that does one call after the other; one that hangs takes no more of them."""

    def __init__(self) -> None:
        super().__init__("orxe expert")
        self.calls: SimpleQueue[Call | None] = SimpleQueue()

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            call.run()
            del call  # what it holds is not to be kept until the next one comes
            with _LOCK:
                _count(-1)
                _IDLE.append(self)

    def stop(self) -> None:
        super().stop()
        self.calls.put(None)


#: workers that have nothing to do: each thread of torch's own costs time to make
_IDLE: list[_Worker] = []
_LOCK = threading.Lock()
#: calls that may be under way before nobody tries again what hangs: a thread that hangs for ever stays in memory
_MOST_CALLS = 8192
_under_way = 0


def has_room(calls: int) -> bool:
    """Whether so many more calls may be made for the sake of others: many that hang would fill the memory."""
    return _under_way + calls <= _MOST_CALLS


def _start(call: Call) -> None:
    with _LOCK:
        _count(1)
        worker = _IDLE.pop() if _IDLE else None
    if worker is None:
        worker = _Worker()
        worker.start()
    worker.calls.put(call)


def _count(change: int) -> None:
    global _under_way
    _under_way += change


def _forget() -> None:
    """Begin anew: a process that was forked has none of its parent's threads."""
    global _LOCK
    _LOCK = threading.Lock()
    _IDLE.clear()
    _count(-_under_way)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
