"""The forms of ``dataset.json`` and ``expert.json``. Keys that other releases write are let through."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from orxe_plugins.data.views import ImageView
from orxe_plugins.util.validation import Name, Text


def _view(values: dict[str, Any]) -> dict[str, Any]:
    ImageView.from_dict(values)
    return values


_Cost = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_Count = Annotated[int, Field(ge=0, lt=2**40, strict=True)]
_Size = Annotated[int, Field(ge=1, lt=2**40, strict=True)]
_View = Annotated[dict[str, Any], AfterValidator(_view)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class DatasetContent(_Part):
    """What ``dataset.json`` says."""

    name: Text
    fingerprint: Text
    samples: _Size
    task: Name
    path: Name
    input_view: _View | None = None
    augment: Name | None = None
    seed: int | None = None
    keep: Name | None = None
    features: bool = False
    unlabelled: bool = False
    identity: Text | None = None
    contents: Text = ""
    notes: list[Text] = Field(default_factory=list)
    class_names: list[Text] = Field(default_factory=list)


class _Labels(_Part):
    names: list[Text]
    columns: list[Annotated[int, Field(ge=-1, lt=2**40)]] | None = None
    remap: dict[Text, Text | None] | None = None

    @model_validator(mode="after")
    def _one_column_each(self) -> _Labels:
        if self.columns is not None and len(self.columns) != len(self.names):
            raise ValueError(f"{len(self.columns)} columns for {len(self.names)} names: expected one for each")
        return self


class _Confidence(_Part):
    kind: Name


class _Parts(_Part):
    address: Name | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    #: of a classifier; other experts may say what they like
    view: dict[str, Any] | None = None
    confidence: _Confidence
    weights: Text
    labels: _Labels | None = None


class ExpertContent(_Part):
    """What ``expert.json`` says."""

    name: Name
    spec: dict[str, Any] | None = None
    fingerprint: Text
    parts: _Parts
    params: _Count
    cost: _Cost | None = None
    shared_cost: _Cost = 0.0
    needs: Name | None = None
    cost_unit: Name
    shard_size: _Size
    batch_size: _Size
    weights: Text | None = None
    files: dict[str, Text] = Field(default_factory=dict)
    plugin: Text | None = None
