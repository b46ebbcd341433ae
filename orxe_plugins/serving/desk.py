"""The desk: answers several requests at once, so that none waits for another one that fails or hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from orxe_plugins.cascade.calls import Call, has_room
from orxe_plugins.cascade.route import Route
from orxe_plugins.cascade.singles import FewAtOnce
from orxe_plugins.serving.answering import Answering, raw_of
from orxe_plugins.serving.metrics import Counts
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.requests import Ask, Infer, Reply, inferred, refusal, reply_of, tensor_of
from orxe_plugins.serving.uploads import RequestError, read_uploads

#: batches that may be late before the next one waits for the oldest of them
_MOST_LATE = 16


class _Job:
    """One request while it is answered: whoever has its reply first gives it, and nobody gives another one."""

    def __init__(self, request: Ask | Infer, give: Callable[[Reply], None]) -> None:
        self.request = request
        self.batch: Any = None  # a list of images, or a float tensor
        self._give: Callable[[Reply], None] | None = give
        self._lock = threading.Lock()

    @property
    def is_done(self) -> bool:
        return self._give is None

    def reply(self, reply: Reply) -> bool:
        """Give the reply; False if there was one."""
        with self._lock:
            give, self._give = self._give, None
        if give is not None:
            give(reply)
        return give is not None


class Desk:
    """Answers several requests at once: those of images share batches, and a request that fails fails alone.

    A batch that takes several times as long as those before it is late: the next ones go on without it, and each of its
    requests is also tried by itself, a few at the same time, so that those alone wait that an expert hangs on. With a
    budget guard, which decides over one batch after the other, all wait.

    Args:
        answering: the cascade.
        limits: what a request may hold.
        counts: counts what is answered; None for nothing.
        batch_size: images that are answered at once, at most.
    """

    def __init__(
        self, answering: Answering, limits: Limits, counts: Counts | None = None, batch_size: int = 64
    ) -> None:
        self._answering, self._limits, self._counts, self._size = answering, limits, counts, batch_size
        self._late: list[Call[None]] = []
        self._usual = 0.0  # seconds, the most of the last batches

    def answer(self, requests: Sequence[Ask | Infer]) -> list[Reply]:
        """One reply for each request, in their order, when there are all of them."""
        replies: list[Reply | None] = [None] * len(requests)
        there = threading.Semaphore(0)

        def give(number: int, reply: Reply) -> None:
            replies[number] = reply
            there.release()

        self.take(requests, give)
        for _ in requests:
            there.acquire()
        return [reply for reply in replies if reply is not None]

    def take(self, requests: Sequence[Ask | Infer], give: Callable[[int, Reply], None]) -> None:
        """Answer requests by ``give(number, reply)``, once for each, also after this call and from other threads."""
        jobs = [_Job(request, lambda reply, i=i: give(i, reply)) for i, request in enumerate(requests)]  # type: ignore[misc]
        for job in jobs:
            self._open(job)
        waiting = [job for job in jobs if not job.is_done]
        if not waiting:
            return
        if self._answering.guard is not None or self._answering.timeout is None:
            self._answer_all(waiting, self._answering.timeout)
            return
        self._late = [call for call in self._late if not call.wait(0)]
        if len(self._late) >= _MOST_LATE:
            self._late[0].wait(self._answering.timeout)
        call = Call(lambda: self._conduct(waiting))
        if not call.wait(self._patience(4)):
            self._late.append(call)

    def _patience(self, times: float) -> float:
        """Seconds, so many times what the last batches took; a tenth of the timeout where none was answered yet."""
        assert self._answering.timeout is not None
        known = times * (self._usual + 0.0125)
        return min(known, self._answering.timeout / 4) if self._usual else self._answering.timeout / 10

    def _conduct(self, jobs: Sequence[_Job]) -> None:
        """Answer jobs together; where that takes too long, also each by itself."""
        start = time.monotonic()
        timeout = self._answering.timeout
        assert timeout is not None
        # Each by itself ends in time, so that all together need no watch of their own.
        in_singles = len(jobs) > 1 and has_room(2 * len(jobs))
        together = Call(lambda: self._answer_all(jobs, None if in_singles else timeout))
        patience = self._patience(12)
        if together.wait(patience if in_singles else None):
            self._usual = max(0.9 * self._usual, time.monotonic() - start)
            self._check(together, jobs)
            return

        def begin(number: int) -> Callable[[], None] | None:
            job, left = jobs[number], max(start + timeout - time.monotonic(), 0.001)
            return None if job.is_done else lambda: self._answer_alone(job, left)

        few = FewAtOnce(len(jobs), begin, patience, timeout / 4)
        while not all(job.is_done for job in jobs):
            for number, call in few.step():
                self._check(call, jobs[number : number + 1])

    def _check(self, call: Call[None], jobs: Sequence[_Job]) -> None:
        """What ended a call before its requests had their replies becomes their reply."""
        try:
            call.result()
        except Exception as error:
            for job in jobs:
                self._reply(job, refusal(error))

    # --- answering ----------------------------------------------------------------------------

    def _open(self, job: _Job) -> None:
        """Decode a request's images; a request that cannot be read is refused."""
        request = job.request
        try:
            if isinstance(request, Infer):
                job.batch = tensor_of(request.inputs[0], self._limits)
                return
            if (request.image is None) == (request.images is None):
                raise RequestError("give either image, or images: a list of them")
            given = request.images if request.image is None else [request.image]
            job.batch = read_uploads(given or [], self._limits, self._answering.task.turns_images)
        # Whatever a reader of images raises ends this request alone.
        except Exception as error:
            self._reply(job, refusal(error))

    def _answer_all(self, jobs: Sequence[_Job], timeout: float | None) -> None:
        self._answer_images([job for job in jobs if isinstance(job.request, Ask)], timeout)
        for job in jobs:
            if not job.is_done:
                self._answer_alone(job, timeout)

    def _answer_images(self, jobs: Sequence[_Job], timeout: float | None) -> None:
        """Answer requests of images in common batches; those of a batch that fails are left for one at a time."""
        if len(jobs) < 2:
            return
        images = [image for job in jobs for image in job.batch]
        try:
            raw = any(job.request.outputs for job in jobs if isinstance(job.request, Ask))
            told = self._told(images, raw, timeout)
        # Whatever an expert raises: each request is tried alone, and gets its own error.
        except Exception:
            return
        start = 0
        for job in jobs:
            own = told[start : start + len(job.batch)]
            start += len(job.batch)
            self._reply(job, reply_of(own, job.request), own)

    def _answer_alone(self, job: _Job, timeout: float | None) -> None:
        try:
            if isinstance(job.request, Infer):
                outputs, route = self._routed(job.batch, timeout)
                self._reply(job, inferred(outputs, route, job.request), self._answering.named(route))
            else:
                told = self._told(job.batch, job.request.outputs, timeout)
                self._reply(job, reply_of(told, job.request), told)
        # Whatever an expert raises is answered: a server that stops helps nobody.
        except Exception as error:
            self._reply(job, refusal(error))

    def _told(self, images: list[Image.Image], raw: bool, timeout: float | None) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for start in range(0, len(images), self._size):
            outputs, route = self._routed(images[start : start + self._size], timeout)
            part = self._answering.told(outputs, route)
            numbers = raw_of(outputs) if raw else None
            if numbers is not None:
                rows = zip(part, numbers, strict=True)
                part = [answer if "error" in answer else {**answer, "outputs": row} for answer, row in rows]
            told += part
        return told

    def _routed(self, batch: Any, timeout: float | None) -> tuple[Any, Route]:
        start = time.perf_counter()
        outputs, route = self._answering.route_within(batch, timeout)
        if self._counts is not None:
            guard = self._answering.guard
            self._counts.batch(time.perf_counter() - start, None if guard is None else guard.state)
        return outputs, route

    def _reply(self, job: _Job, reply: Reply, answers: Sequence[dict[str, Any]] = ()) -> None:
        """Give a reply and count it, unless there was one."""
        if job.reply(reply) and self._counts is not None:
            self._counts.request(reply.status)
            self._counts.answers(answers)
