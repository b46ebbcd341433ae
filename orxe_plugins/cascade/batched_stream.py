"""A stream in whole batches, one after the other: for a cascade whose guard decides over whole batches."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from orxe_plugins.cascade.route import Route
from orxe_plugins.cascade.source import Ahead, Unreadable, samples
from orxe_plugins.cascade.stream_answer import StreamAnswer, StreamOptions
from orxe_plugins.data.batch import samples_of, stacked
from orxe_plugins.errors import OrxeError

if TYPE_CHECKING:
    from orxe_plugins.cascade.cascade import Cascade


def in_batches(cascade: Cascade, items: Iterable[Any], options: StreamOptions) -> Iterator[StreamAnswer]:
    """One answer for each sample, in their order; see :meth:`orxe_plugins.Cascade.stream`.

    Raises:
        Exception: an expert or the source failed, and faults are not tolerated; or the source broke off.
    """
    number = 0
    for batch, broken in _batches(items, options):
        good = [item for item in batch if not isinstance(item, Unreadable)]
        answers = _answers(cascade, good, options) if good else iter(())
        for item in batch:
            if isinstance(item, Unreadable):
                yield StreamAnswer(number, None, -1, 0.0, 0.0, item.error)
            else:
                yield _numbered(next(answers), number)
            number += 1
        if broken is not None:
            raise broken


def _batches(items: Iterable[Any], options: StreamOptions) -> Iterator[tuple[list[Any], Exception | None]]:
    """Samples in batches; with the last one the error by which the source broke off, if it did."""
    tolerant = options.on_error == "best_available"
    source = samples(items)
    ahead = None if options.max_wait is None else Ahead(source, options.batch_size)
    batch: list[Any] = []
    end: float | None = None
    try:
        while True:
            try:
                left = None if end is None else max(end - time.monotonic(), 0.0)
                item = next(source) if ahead is None else ahead.get(left)
            except (StopIteration, queue.Empty) as stop:
                if batch:
                    yield batch, None
                if isinstance(stop, StopIteration):
                    return
                batch, end = [], None
                continue
            except Exception as error:
                if not tolerant:
                    raise
                yield batch, error
                return
            if isinstance(item, Unreadable) and not tolerant:
                raise item.error
            if not batch and options.max_wait is not None:
                end = time.monotonic() + options.max_wait
            batch.append(item)
            if len(batch) == options.batch_size:
                yield batch, None
                batch, end = [], None
    finally:
        if ahead is not None:
            ahead.stop()


def _answers(cascade: Cascade, batch: list[Any], options: StreamOptions) -> Iterator[StreamAnswer]:
    """The answers to one batch, numbered within it."""
    with torch.no_grad():
        outputs, route = cascade.route(stacked(batch), on_error=options.on_error, timeout=options.timeout)
    rows, route = samples_of(outputs), route.to_host()
    for k in range(len(batch)):
        yield _answer(k, rows[k], route)


def _answer(k: int, output: Any, route: Route) -> StreamAnswer:
    expert = int(route.expert[k])
    faults = tuple(fault for fault in route.faults if fault.row == k)
    error = OrxeError(faults[-1].message) if expert < 0 and faults else None
    confidence, cost = float(np.float32(route.confidence[k])), float(route.cost[k])
    ran = tuple(np.flatnonzero(route.ran[k].numpy()).tolist())
    return StreamAnswer(k, output if expert >= 0 else None, expert, confidence, cost, error, faults, ran)


def _numbered(answer: StreamAnswer, number: int) -> StreamAnswer:
    return replace(answer, index=number, faults=tuple(fault._replace(row=number) for fault in answer.faults))
