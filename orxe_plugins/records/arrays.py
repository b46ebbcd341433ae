"""Checks of what records are made of: each error names the argument, its value and the way out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from orxe_plugins.errors import OrxeError, OrxeTypeError, OrxeWarning, shortened
from orxe_plugins.util.wording import significant

#: what may be done with the order that experts are given in
ORDERS = ("check", "sort", "keep")


def checked_names(names: Any) -> tuple[str, ...]:
    """Names of N experts."""
    if not isinstance(names, Iterable) or isinstance(names, (bytes, Mapping)):
        raise OrxeTypeError(f"names is {shortened(names)}: expected the experts' names, such as ['small', 'large']")
    experts = tuple(str(name) for name in names)
    if not experts or len(set(experts)) != len(experts):
        raise OrxeError(f"expert names {list(experts)}: expected at least one, and no name twice")
    return experts


def numbers_of(name: str, values: Any, expected: str) -> np.ndarray:
    """An array of real numbers, a copy of what the caller gave."""
    try:
        array = np.array(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise OrxeTypeError(f"{name} cannot be made an array ({error}): expected {expected}") from error
    if array.dtype.kind not in "biuf":
        raise OrxeTypeError(f"{name} is {shortened(values)}, of dtype {array.dtype}: expected {expected}")
    return array


def checked_confidence(values: Any, experts: Sequence[str]) -> np.ndarray:
    """float32 (N, M) in [0, 1]; NaN becomes 0, with a warning that counts it."""
    array = numbers_of("confidence", values, "numbers of shape (N, M), a row for each expert")
    confidence = np.array(array, dtype=np.float32, ndmin=2)
    if confidence.ndim != 2 or confidence.shape[0] != len(experts):
        turned = ""
        if confidence.ndim == 2 and confidence.shape[1] == len(experts):
            turned = "; it seems to have a row for each sample: give confidence.T, and score.T"
        raise OrxeError(
            f"confidence has shape {confidence.shape}: expected (N, M) with N = {len(experts)} experts{turned}"
        )
    missing = np.isnan(confidence)
    if missing.any():
        counts = {name: int(count) for name, count in zip(experts, missing.sum(axis=1), strict=True) if count}
        told = ", ".join(f"{count:,} of {name}" for name, count in list(counts.items())[:3])
        warnings.warn(
            f"{int(missing.sum()):,} of {missing.size:,} confidences are NaN ({told}"
            f"{', ...' if len(counts) > 3 else ''}): they count as 0, so that these samples go on to the next expert",
            OrxeWarning,
            stacklevel=3,
        )
        confidence[missing] = 0.0
    if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
        raise OrxeError(
            f"confidence lies in [{confidence.min():g}, {confidence.max():g}]: expected values in [0, 1], such as the "
            "largest softmax probability"
        )
    return confidence


def checked_costs(name: str, values: Any, n: int) -> np.ndarray:
    """float64 (N,), finite and at least 0."""
    what = f"{n} finite numbers of at least 0, one for each expert"
    costs = numbers_of(name, values, what).astype(np.float64)
    if costs.shape != (n,) or not np.isfinite(costs).all() or (costs < 0).any():
        raise OrxeError(f"{name} is {shortened(values)}: expected {what}")
    return costs


def checked_scores(values: Any, shape: tuple[int, int]) -> np.ndarray:
    """Scores (N, M): uint8 for those that are 0 or 1, else float64."""
    scores = np.array(numbers_of("score", values, f"numbers of shape {shape}"), ndmin=2)
    if scores.shape != shape:
        raise OrxeError(f"score has shape {scores.shape}: expected {shape}, as confidence has")
    if scores.dtype in (np.bool_, np.uint8) and (not scores.size or scores.max() <= 1):
        return scores.astype(np.uint8)
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores)).sum())
        raise OrxeError(
            f"score holds NaN or infinite values ({count:,} of {scores.size:,}): leave such samples out, or score a "
            "missing answer as wrong"
        )
    return scores


def checked_ids(values: Any, m: int) -> np.ndarray:
    """M distinct strings."""
    if values is not None and (not isinstance(values, Iterable) or isinstance(values, (bytes, Mapping))):
        raise OrxeTypeError(f"sample_ids is {shortened(values)}: expected {m} names, one for each sample")
    ids = np.array([str(i) for i in range(m)] if values is None else [str(i) for i in values], dtype=object)
    distinct = len(set(ids.tolist()))
    if ids.shape != (m,) or distinct != m:
        raise OrxeError(
            f"sample_ids has {len(ids)} names, {distinct} of them distinct: expected {m}, one for each sample"
        )
    return ids


def checked_needs(values: Any, experts: Sequence[str]) -> list[str | None]:
    """Name of the expert that each of N experts builds on; None for none."""
    if values is None:
        return [None] * len(experts)
    listed = list(values) if isinstance(values, (list, tuple)) else []
    if len(listed) != len(experts) or any(not (one is None or isinstance(one, str)) for one in listed):
        raise OrxeTypeError(
            f"needs is {shortened(values)}: expected {len(experts)} names of experts, None for one that needs no other"
        )
    return listed


def check_details(more: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """What else records hold, with lists made arrays."""
    checked = dict(more)
    n, m = shape
    for name, expected in (("labels", (m,)), ("params", (n,))):
        if checked.get(name) is not None:
            checked[name] = np.asarray(checked[name])
            if checked[name].shape != expected:
                raise OrxeError(
                    f"{name} has shape {checked[name].shape}: expected {expected}, one for each "
                    f"{'sample' if name == 'labels' else 'expert'}"
                )
    given = checked.get("predictions")
    if given is not None and not isinstance(given, Mapping):
        raise OrxeTypeError(
            f"predictions is {shortened(given)}: expected a mapping, such as "
            "{'classes': integers (N, M, K), the most probable ones first}"
        )
    classes = np.asarray((given or {}).get("classes", np.zeros((n, m, 1))))
    if classes.ndim != 3 or classes.shape[:2] != (n, m):
        raise OrxeError(f"predictions['classes'] has shape {classes.shape}: expected ({n}, {m}, K), K of each sample")
    if not isinstance(checked.get("cost_unit", ""), str):
        raise OrxeTypeError(f"cost_unit is {shortened(checked['cost_unit'])}: expected a name, such as 'GMACs'")
    return checked


def check_order(names: Sequence[str], cost: np.ndarray, shared_cost: np.ndarray, needs: Sequence[int]) -> None:
    """Refuse experts that are not sorted by cost: the last one answers what no other did, so it must be the costliest.

    Exits of one backbone, and experts that build on another one, have rules of their own.

    Raises:
        OrxeError: one costs less than an expert before it.
    """
    plain = [i for i in range(len(names)) if shared_cost[i] == 0 and needs[i] < 0]
    if all(cost[a] <= cost[b] for a, b in pairwise(plain)):
        return
    order = sorted(range(len(names)), key=lambda i: (cost[i], i))
    right = ", ".join(f"{names[i]} ({significant(cost[i])})" for i in order[:8]) + (", ..." if len(order) > 8 else "")
    raise OrxeError(
        f"the experts {', '.join(names[:8])} are not in order of cost: expected {right}. Samples go from the first to "
        "the last, so give names, cost, confidence and score in that order, or order='sort', which sorts all of them "
        "(order='keep' leaves them as they are)"
    )
