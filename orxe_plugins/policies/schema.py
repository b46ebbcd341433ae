"""The form of a policy table in a file: numbers are numbers, and every key that is wrong is named.

Keys that later releases add are let through.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orxe_plugins.util.validation import Name, Text

#: tables hold some hundred rows; a file with more than this wants to be a burden
_MOST_ROWS = 100_000
_Number = Annotated[float, Field(strict=True)]
_Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class RowContent(_Part):
    """One row, see :meth:`orxe_plugins.PolicyRow.to_dict`."""

    preference: _Number
    cost: _Number
    score: _Number
    cost_error: _Number = 0.0
    score_error: _Number = 0.0
    drop_error: _Number = 0.0
    exit_thresholds: list[_Number | None]
    skip_thresholds: list[_Number] = Field(default_factory=list)


class PromiseContent(_Part):
    """A promise, see :meth:`orxe_plugins.policies.row.Promise.to_dict`."""

    max_drop: _Number
    confidence: _Number
    n_samples: _Count
    tried: _Count
    rows: list[RowContent]
    drops: list[_Number]
    p_values: list[_Number]
    test: str = ""
    reason: str = ""


class _Named(BaseModel):
    """A part of the details, of which code uses some keys; the others are kept as they are."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Dataset(_Named):
    fingerprint: Text
    contents: Text = ""


class _FittedOn(_Named):
    dataset: _Dataset = _Dataset(fingerprint="")
    fingerprints: dict[str, Text] = Field(default_factory=dict)


class _Scores(_Named):
    kind: Name = "raw"


class _Search(_Named):
    seed: _Count = 0
    gap: list[_Number] = Field(default_factory=list)


class _Latency(_Named):
    kind: Name = "latency"
    batch_size: Annotated[int, Field(ge=1, lt=2**31, strict=True)]
    expected_ms: list[_Number]


class _Details(_Named):
    """What else is known of the fit, see :attr:`orxe_plugins.PolicyTable.details`."""

    fitted_on: _FittedOn = _FittedOn()
    scores: _Scores = _Scores()
    search: _Search = _Search()
    latency: _Latency | None = None


def _details(values: dict[str, Any]) -> dict[str, Any]:
    _Details.model_validate(values)
    return values


class TableContent(_Part):
    """A whole table, see :meth:`orxe_plugins.PolicyTable.to_dict`."""

    rows: list[RowContent] = Field(min_length=1, max_length=_MOST_ROWS)
    cost_unit: Name = "GMACs"
    reference_cost: _Number = 0.0
    reference_score: _Number = 0.0
    n_samples: _Count = 0
    details: Annotated[dict[str, Any], AfterValidator(_details)] = Field(default_factory=dict)
    pareto: list[RowContent] = Field(default_factory=list, max_length=_MOST_ROWS)
    compact: list[RowContent] = Field(default_factory=list, max_length=_MOST_ROWS)
    params: list[_Count] = Field(default_factory=list)
    promises: list[PromiseContent] = Field(default_factory=list)
