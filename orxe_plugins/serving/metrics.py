"""What a server counts, for Prometheus; see the names in :class:`Counts`."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.guard import GuardState
from orxe_plugins.errors import OrxeError

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def prometheus() -> Any:
    """The module ``prometheus_client``.

    Raises:
        OrxeError: it is not installed.
    """
    try:
        import prometheus_client
    except ImportError as error:
        raise OrxeError(
            "serving needs prometheus-client, which is not installed. Install it with\n"
            'pip install "orxe-plugins[serve]"'
        ) from error
    return prometheus_client


class Counts:
    """Counters of one process that answers.

    ``orxe_requests_total{status}``, ``orxe_images_total``, ``orxe_exits_total{expert}``,
    ``orxe_confidence{expert}`` of the answers, ``orxe_expert_seconds{expert}`` of each batch that an expert ran on,
    ``orxe_batch_seconds`` of each batch as a whole, ``orxe_cost_total``, ``orxe_faults_total{expert}`` and, with a
    guard, ``orxe_budget_per_sample``, ``orxe_budget_mean_cost``, ``orxe_budget_room`` and ``orxe_budget_held_back``.

    Args:
        cascade: its experts' models are timed from now on; on a GPU, that is the time to hand them the work.
        registry: where to count; the process's own by default.
    """

    def __init__(self, cascade: Cascade, registry: Any = None) -> None:
        client = prometheus()
        where = {} if registry is None else {"registry": registry}
        self._requests = client.Counter("orxe_requests", "requests by their HTTP status", ["status"], **where)
        self._images = client.Counter("orxe_images", "images that were answered", **where)
        self._exits = client.Counter("orxe_exits", "images that an expert answered", ["expert"], **where)
        self._cost = client.Counter("orxe_cost", "cost of all images, in the table's unit", **where)
        self._faults = client.Counter("orxe_faults", "images that an expert failed on", ["expert"], **where)
        self._batch = client.Histogram("orxe_batch_seconds", "time of a batch", **where)
        self._seconds = client.Histogram("orxe_expert_seconds", "time of an expert's batch", ["expert"], **where)
        self._confidence = client.Histogram(
            "orxe_confidence", "confidence of an expert's answers", ["expert"], buckets=_SHARES, **where
        )
        self._budget = {
            key: client.Gauge(f"orxe_budget_{key}", text, multiprocess_mode="mostrecent", **where)
            for key, text in {
                "per_sample": "mean cost of an image that the guard keeps",
                "mean_cost": "mean cost of the last window",
                "room": "share of the tolerance that is left",
                "held_back": "images that were answered early for want of budget",
            }.items()
        }
        for expert in cascade.members:
            timer = _Timer(self._seconds.labels(expert.name))
            expert.module.register_forward_pre_hook(timer.start)
            expert.module.register_forward_hook(timer.stop)

    def request(self, status: int) -> None:
        """A request was answered."""
        self._requests.labels(str(status)).inc()

    def batch(self, seconds: float, guard: GuardState | None) -> None:
        """A batch went through the cascade."""
        self._batch.observe(seconds)
        if guard is not None:
            for key, gauge in self._budget.items():
                gauge.set(getattr(guard, key))

    def answers(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Images were answered; see :meth:`orxe_plugins.serving.Answering.told`."""
        for answer in answers:
            self._images.inc()
            if math.isfinite(answer["cost"]):
                self._cost.inc(answer["cost"])
            if answer["expert"] is not None:
                self._exits.labels(answer["expert"]).inc()
                self._confidence.labels(answer["expert"]).observe(answer["confidence"])
            for fault in answer.get("faults", ()):
                self._faults.labels(fault["expert"]).inc()


class _Timer:
    """Times the calls of one model, which may come from several threads."""

    def __init__(self, histogram: Any) -> None:
        self._histogram, self._of_thread = histogram, threading.local()

    def start(self, *_: Any) -> None:
        self._of_thread.start = time.perf_counter()

    def stop(self, *_: Any) -> None:
        self._histogram.observe(time.perf_counter() - self._of_thread.start)


def exposition(folders: Sequence[Path]) -> tuple[bytes, str]:
    """What all processes counted into folders of ``PROMETHEUS_MULTIPROC_DIR``, and its content type."""
    client = prometheus()
    from prometheus_client import multiprocess

    registry = client.CollectorRegistry()
    for folder in folders:
        multiprocess.MultiProcessCollector(registry, path=str(folder))
    return client.generate_latest(registry), client.CONTENT_TYPE_LATEST
