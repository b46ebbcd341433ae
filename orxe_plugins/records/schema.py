"""The forms of ``dataset.json`` and ``expert.json``. Keys that other releases write are let through."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_Cost = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_Count = Annotated[int, Field(ge=0, lt=2**40, strict=True)]
_Size = Annotated[int, Field(ge=1, lt=2**40, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class DatasetContent(_Part):
    """What ``dataset.json`` says."""

    name: str
    fingerprint: str
    samples: _Size
    task: str
    path: str
    input_view: dict[str, Any] | None = None
    augment: str | None = None
    seed: int | None = None
    keep: str | None = None
    features: bool = False
    notes: list[str] = Field(default_factory=list)
    class_names: list[str] = Field(default_factory=list)


class _Labels(_Part):
    names: list[str]
    columns: list[int] | None = None


class _Parts(_Part):
    address: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    view: dict[str, Any] | None = None
    confidence: dict[str, Any]
    weights: str
    labels: _Labels | None = None


class ExpertContent(_Part):
    """What ``expert.json`` says."""

    name: str
    spec: dict[str, Any] | None = None
    fingerprint: str
    parts: _Parts
    params: _Count
    cost: _Cost | None = None
    shared_cost: _Cost = 0.0
    needs: str | None = None
    cost_unit: str
    shard_size: _Size
    batch_size: _Size
