"""Temperatures fitted on one set of records and applied to any, without running an expert again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from orxe_plugins.confidence.provider import ConfidenceProvider, confidence_from_dict
from orxe_plugins.confidence.softmax import MaxSoftmax, SoftmaxConfidence, fit_temperature
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.records.records import Records

_ROWS = 16384


def fit_temperatures(records: Records) -> dict[str, float]:
    """One temperature per expert, each with the least negative log-likelihood on these records.

    Args:
        records: of the fitting split, with the log-probabilities of all classes.

    Returns:
        Expert name -> temperature.

    Raises:
        OrxeError: not all classes were kept, or the samples have no labels.
    """
    _check_all_kept(records)
    if records.labels is None:
        raise OrxeError("these records have no labels: a temperature cannot be fitted on them")
    log_probs = records.predictions["log_probs"]
    return {name: fit_temperature(log_probs[i], records.labels) for i, name in enumerate(records.names)}


def with_temperatures(records: Records, temperatures: Mapping[str, float]) -> Records:
    """The records as they would be if the experts' recorded confidences had these temperatures.

    Args:
        records: of any split, with the log-probabilities of all classes.
        temperatures: expert name -> temperature, for every expert.

    Raises:
        OrxeError: not all classes were kept, an expert has no temperature, or a confidence is not one
            of softmax probabilities.
    """
    _check_all_kept(records)
    confidence = np.empty_like(records.confidence)
    described = dict(records.details.get("confidence", {}))
    for i, name in enumerate(records.names):
        if name not in temperatures:
            raise unknown("expert with a temperature", name, temperatures)
        provider = _provider(records, name)
        if not isinstance(provider, SoftmaxConfidence):
            raise OrxeError(f"the confidence of expert {name!r} is {provider.kind!r}, which has no temperature")
        options = {**provider.to_dict(), "temperature": float(temperatures[name])}
        tempered = confidence_from_dict(options)
        described[name] = options
        log_probs = records.predictions["log_probs"][i]  # (M, C)
        for start in range(0, len(log_probs), _ROWS):
            rows = torch.from_numpy(np.ascontiguousarray(log_probs[start : start + _ROWS]))
            confidence[i, start : start + _ROWS] = tempered(rows).numpy()
    return replace(records, confidence=confidence, details={**records.details, "confidence": described})


def _provider(records: Records, name: str) -> ConfidenceProvider:
    """The confidence that was recorded; max softmax where that is not known."""
    recorded: dict[str, Any] = records.details.get("confidence", {})
    return confidence_from_dict(dict(recorded[name])) if name in recorded else MaxSoftmax()


def _check_all_kept(records: Records) -> None:
    classes = records.predictions.get("classes")
    if classes is not None and "log_probs" in records.predictions and len(records):
        first = classes[:, :1][:, 0] if isinstance(classes, np.ndarray) else classes[:, 0]  # (N, K)
        if all(np.array_equal(row, np.arange(len(row))) for row in np.asarray(first)) and _kept(records) == "all":
            return
    raise OrxeError(
        "a temperature needs the log-probabilities of all classes, "
        f"but these records keep {_kept(records)!r} of the predictions: record with keep: all into another --out folder"
    )


def _kept(records: Records) -> str:
    return str(records.details.get("keep", "all" if records.predictions else "none"))
