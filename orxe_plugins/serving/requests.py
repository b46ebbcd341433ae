"""What may be asked of a server, and what it answers: plain values, whatever engine carries them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from orxe_plugins.cascade.route import Route
from orxe_plugins.errors import OrxeError
from orxe_plugins.serving.answering import Answering
from orxe_plugins.serving.metrics import Counts
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.uploads import RequestError, read_uploads


class Ask(BaseModel):
    """``POST /predict``: one image or several, as files in base64.

    Attributes:
        image: one image.
        images: several instead.
        outputs: whether answers hold the raw outputs too, where these are numbers: a classifier's logits.
    """

    model_config = ConfigDict(extra="forbid")
    image: str | None = None
    images: list[str] | None = None
    outputs: bool = False


class InferInput(BaseModel):
    """One tensor of a KServe v2 request."""

    name: str
    shape: list[int] = Field(min_length=4, max_length=4)
    datatype: str
    data: list[float]


class Infer(BaseModel):
    """``POST /v2/models/cascade/infer``: a float tensor (B, C, H, W) of the cascade's view (KServe's protocol v2)."""

    id: str = ""
    inputs: list[InferInput] = Field(min_length=1, max_length=1)


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes:
        content: JSON values.
        status: the HTTP status.
    """

    content: dict[str, Any]
    status: int = 200


def refusal(error: BaseException) -> Reply:
    """An error as an answer: ``error`` says what is wrong. What is not the request's fault has status 500."""
    status = error.status if isinstance(error, RequestError) else 500
    text = str(error) if isinstance(error, OrxeError) else f"{type(error).__name__}: {error}"
    return Reply({"error": text}, status)


@dataclass
class _Job:
    """One request while it is answered."""

    request: Ask | Infer
    batch: Any = None  # a list of images, or a float tensor
    reply: Reply | None = None


class Desk:
    """Answers several requests at once: those of images share batches, and a request that fails fails alone.

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

    def answer(self, requests: Sequence[Ask | Infer]) -> list[Reply]:
        """One reply for each request, in their order."""
        jobs = [self._opened(request) for request in requests]
        waiting = [job for job in jobs if job.reply is None]
        together = [job for job in waiting if isinstance(job.request, Ask)]
        self._answer_images(together)
        for job in waiting:
            if job.reply is None:
                self._answer_alone(job)
        replies = [job.reply or Reply({"error": "no answer"}, 500) for job in jobs]
        if self._counts is not None:
            for reply in replies:
                self._counts.request(reply.status)
        return replies

    def _opened(self, request: Ask | Infer) -> _Job:
        """The request with its images decoded, or with the reply that says why they are not."""
        try:
            if isinstance(request, Infer):
                return _Job(request, _tensor(request.inputs[0], self._limits))
            if (request.image is None) == (request.images is None):
                raise RequestError("give either image, or images: a list of them")
            given = request.images if request.image is None else [request.image]
            return _Job(request, read_uploads(given or [], self._limits, self._answering.task.turns_images))
        except RequestError as error:
            return _Job(request, reply=refusal(error))

    def _answer_images(self, jobs: list[_Job]) -> None:
        """Answer requests of images in common batches; those of a batch that fails are left for one at a time."""
        if len(jobs) < 2:
            return
        images = [image for job in jobs for image in job.batch]
        try:
            told = self._told(images, any(job.request.outputs for job in jobs if isinstance(job.request, Ask)))
        # Whatever an expert raises: each request is tried alone, and gets its own error.
        except Exception:
            return
        start = 0
        for job in jobs:
            own = told[start : start + len(job.batch)]
            start += len(job.batch)
            job.reply = _reply(own, job.request)

    def _answer_alone(self, job: _Job) -> None:
        try:
            if isinstance(job.request, Infer):
                job.reply = self._inferred(job.request, job.batch)
            else:
                told = self._told(job.batch, job.request.outputs)
                job.reply = _reply(told, job.request)
        # Whatever an expert raises is answered: a server that stops helps nobody.
        except Exception as error:
            job.reply = refusal(error)

    def _told(self, images: list[Image.Image], raw: bool) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for start in range(0, len(images), self._size):
            outputs, route = self._routed(images[start : start + self._size])
            part = self._answering.told(outputs, route)
            if raw and isinstance(outputs, torch.Tensor):
                rows = zip(part, outputs.tolist(), strict=True)
                part = [answer if "error" in answer else {**answer, "outputs": row} for answer, row in rows]
            told += part
        return told

    def _inferred(self, request: Infer, batch: torch.Tensor) -> Reply:
        outputs, route = self._routed(batch)
        if (route.expert < 0).any():
            raise RequestError("; ".join(sorted({fault.message for fault in route.faults})), 503)
        columns = {"expert": route.expert, "confidence": route.confidence, "cost": route.cost}
        if isinstance(outputs, torch.Tensor):
            columns = {"logits": outputs.float(), **columns}
        return Reply({
            "model_name": "cascade",
            "id": request.id,
            "outputs": [_v2_output(name, values) for name, values in columns.items()],
        })  # fmt: skip

    def _routed(self, batch: Any) -> tuple[Any, Route]:
        start = time.perf_counter()
        outputs, route = self._answering.route(batch)
        if self._counts is not None:
            guard = self._answering.guard
            self._counts.batch(route, time.perf_counter() - start, None if guard is None else guard.state)
        return outputs, route


def _reply(answers: list[dict[str, Any]], request: Ask | Infer) -> Reply:
    """Answers as a reply: an error by name if no expert answered any of the images."""
    if all("error" in answer for answer in answers):
        faults = {fault["error"] for answer in answers for fault in answer.get("faults", ())}
        return Reply({"error": "; ".join(sorted(faults)) or "no expert gave an answer", "answers": answers}, 503)
    return Reply({"answers": [_without(answer, request) for answer in answers]})


_V2_TYPES = {torch.float32: "FP32", torch.float64: "FP64", torch.int64: "INT64"}


def _v2_output(name: str, values: torch.Tensor) -> dict[str, Any]:
    flat = values.reshape(-1).tolist()
    return {"name": name, "shape": list(values.shape), "datatype": _V2_TYPES[values.dtype], "data": flat}


def _tensor(given: InferInput, limits: Limits) -> torch.Tensor:
    """The tensor of a v2 request."""
    if given.datatype != "FP32":
        raise RequestError(f"input {given.name!r} has datatype {given.datatype!r}: expected FP32")
    if min(given.shape) < 1 or math.prod(given.shape) != len(given.data):
        raise RequestError(f"input {given.name!r} has shape {given.shape}, but {len(given.data)} values", 422)
    if given.shape[0] > limits.max_images or math.prod(given.shape[2:]) > limits.max_pixels:
        raise RequestError(f"input {given.name!r} has shape {given.shape}: more than is answered", 413)
    values = np.array(given.data, dtype=np.float32).reshape(given.shape)
    if not np.isfinite(values).all():
        raise RequestError(f"input {given.name!r} holds NaN or infinite values", 422)
    return torch.from_numpy(values)


def _without(answer: dict[str, Any], request: Ask | Infer) -> dict[str, Any]:
    """The answer without raw outputs that only other requests of the batch asked for."""
    asked = isinstance(request, Ask) and request.outputs
    return answer if asked else {key: value for key, value in answer.items() if key != "outputs"}
