"""What a LitServe worker does all day: it gathers requests into batches and hands them to the desk."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty
from typing import Any

from fastapi import HTTPException
from litserve.loops.base import _SENTINEL_VALUE, LitLoop
from litserve.utils import LitAPIStatus, LoopResponseType

from orxe_plugins.serving.requests import Reply


class DeskLoop(LitLoop):
    """Answers each request when its own answer is there, though others of its batch still wait.

    LitServe's own loops answer a batch as a whole, one after the other, and look for requests a thousand times a
    second while there are none.
    """

    def __call__(self, lit_api: Any, device: str, worker_id: int, request_queue: Any, transport: Any, *_: Any) -> None:
        """Answer requests until the server stops: a :class:`~orxe_plugins.serving.engine.CascadeAPI`'s."""
        try:
            while True:
                found = self._gathered(lit_api, request_queue, transport)
                if found is None:
                    return
                if found:
                    lit_api.take([request for *_, request in found], self._giver(lit_api, found, transport))
        except KeyboardInterrupt:
            self.kill()

    def _giver(self, api: Any, found: list[tuple[int, str, Any]], transport: Any) -> Callable[[int, Reply], None]:
        def give(number: int, reply: Reply) -> None:
            place, uid, _ = found[number]
            content = api.encode_response(reply)
            self.put_response(transport, place, uid, content, LitAPIStatus.OK, LoopResponseType.REGULAR)

        return give

    def _gathered(self, api: Any, waiting: Any, transport: Any) -> list[tuple[int, str, Any]] | None:
        """The next requests, each with where its answer goes; None: the server stops."""
        found: list[tuple[int, str, Any]] = []
        end: float | None = None
        while len(found) < api.max_batch_size:
            try:
                item = waiting.get(timeout=1.0 if end is None else max(end - time.monotonic(), 0.0))
            except Empty:
                return found
            except ValueError:  # the queue is closed
                return None
            if item == _SENTINEL_VALUE:
                return None
            end = time.monotonic() + api.batch_timeout if end is None else end
            place, uid, since, request = item
            self.put_response(transport, place, uid, (), LitAPIStatus.START, LoopResponseType.REGULAR)
            if time.monotonic() - since > api.request_timeout:
                error = HTTPException(504, f"the request waited for more than {api.request_timeout:g} seconds")
                self.put_response(transport, place, uid, error, LitAPIStatus.ERROR, LoopResponseType.REGULAR)
            else:
                found.append((place, uid, request))
        return found
