"""What may be asked of a server, and what it answers: plain values, whatever engine carries them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from orxe_plugins.cascade.route import Route
from orxe_plugins.errors import OrxeError
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.uploads import RequestError


class Ask(BaseModel):
    """``POST /predict``: one image or several, as files in base64.

    Attributes:
        image: one image.
        images: several instead.
        outputs: whether answers hold the raw outputs too, where these are numbers: a classifier's logits, a
            detector's ``boxes`` and ``scores`` in full precision.
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


def reply_of(answers: list[dict[str, Any]], request: Ask | Infer) -> Reply:
    """Answers as a reply: an error by name if no expert answered any of the images."""
    if all("error" in answer for answer in answers):
        faults = {fault["error"] for answer in answers for fault in answer.get("faults", ())}
        return Reply({"error": "; ".join(sorted(faults)) or "no expert gave an answer", "answers": answers}, 503)
    return Reply({"answers": [_without(answer, request) for answer in answers]})


_V2_TYPES = {torch.float32: "FP32", torch.float64: "FP64", torch.int64: "INT64"}


def _v2_output(name: str, values: torch.Tensor) -> dict[str, Any]:
    flat = values.reshape(-1).tolist()
    return {"name": name, "shape": list(values.shape), "datatype": _V2_TYPES[values.dtype], "data": flat}


def inferred(outputs: Any, route: Route, request: Infer) -> Reply:
    """Outputs and their route by KServe's protocol.

    Raises:
        RequestError: no expert answered one of the samples.
    """
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


def tensor_of(given: InferInput, limits: Limits) -> torch.Tensor:
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
