"""Signals: which confidence ranks an expert's answers best for routing, fitted and chosen on records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from orxe_plugins.confidence.advantage import FARTHEST, Advantage
from orxe_plugins.confidence.provider import confidence_from_dict
from orxe_plugins.confidence.summary import of_boxes, of_top
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.records.records import Records

#: strengths of the ridge that are tried, each on standardised inputs
_STRENGTHS = tuple(10.0**k for k in range(0, 6))
#: spread of the logits of fitted confidences
_SPREAD = 2.0


@dataclass(frozen=True)
class Signal:
    """What was chosen for one expert.

    Attributes:
        options: kind and options of the confidence, as files name them.
        gains: kind -> what it gains over the kind that stays where nothing is better, cross-validated: score per
            sample, a mean over all shares of samples that are passed on.
        errors: kind -> standard error of the gain.
        fitted: kind and options of the advantage that was fitted, whether or not it was chosen.
    """

    options: dict[str, Any]
    gains: dict[str, float]
    errors: dict[str, float]
    fitted: dict[str, Any] = field(default_factory=dict)


def fit_signals(records: Records, folds: int = 5, seed: int = 0) -> dict[str, Signal]:
    """The confidence of each expert but the last: the margin, the box doubt or a fitted advantage.

    Each is judged by the score of passing samples on to the next expert, the least sure ones first, as a mean over all
    shares that are passed on. The next expert is the cheapest later one with a higher mean score. An advantage is
    fitted by ridge regression of what the next expert scores more, on a summary of this expert's output; it
    is judged on folds that it was not fitted on. What is there already stays, unless another one gains more than one
    standard error; only the mean box score of detectors gives way to the box doubt, unless it is itself so much better:
    few samples do not tell the two apart, and on all data that they were compared on the doubt was far better.

    Args:
        records: of the fitting split, with the classes' log-probabilities or the boxes that experts gave.
        folds: of the cross-validation.
        seed: of the folds.

    Returns:
        Expert name -> signal.

    Raises:
        OrxeError: the records keep neither log-probabilities nor boxes.
    """
    known = records.details.get("confidence", {})
    default = "mean_box_score" if _kind(records) == "boxes" else "max_softmax"
    fold = np.random.default_rng(seed).permutation(len(records)) % folds
    found = {}
    for i, name in enumerate(records.names[:-1]):
        there = dict(known.get(name, {"kind": default}))
        found[name] = _choose(records, i, there, fold)
    return found


def with_signals(records: Records, options: Mapping[str, Mapping[str, Any]]) -> Records:
    """The records with other confidences, made of the answers that they keep; what these cost is added.

    Args:
        records: of any split, with the classes' log-probabilities or the boxes that experts gave.
        options: expert name -> kind and options of its confidence; experts that are not named keep theirs.

    Raises:
        OrxeError: the records keep no such answers, or there is no such expert or kind of confidence.
    """
    confidence, cost = records.confidence.copy(), records.cost.copy()
    kinds = dict(records.details.get("confidence", {}))
    for name, each in options.items():
        if name not in records.names:
            raise unknown("expert", name, records.names)
        i, provider = records.index(name), confidence_from_dict(dict(each))
        if isinstance(provider, Advantage):
            values = provider.of_summary(torch.from_numpy(summary_of(records, i)))
        else:
            values = _native(records, i, provider)
        confidence[i] = values.numpy()
        cost[i] += provider.gmacs
        kinds[name] = provider.to_dict()
    return replace(records, confidence=confidence, cost=cost, details={**records.details, "confidence": kinds})


def summary_of(records: Records, expert: int) -> np.ndarray:
    """What an advantage sees of an expert's recorded answers, float32 (M, D)."""
    if _kind(records) == "boxes":
        return of_boxes(_detections(records, expert)).numpy()
    return of_top(_log_probs(records, expert)).numpy()


def _choose(records: Records, expert: int, there: dict[str, Any], fold: np.ndarray) -> Signal:
    seen = summary_of(records, expert)
    score = records.score.astype(np.float64)
    gain = score[_next(records, expert)] - score[expert]
    crossed = np.zeros(len(records))
    for part in np.unique(fold):
        rest = fold != part
        if rest.any():
            line = _fit(_name(records), seen[rest], gain[rest])
            crossed[~rest] = line.of_summary(torch.from_numpy(seen[~rest])).numpy()
    tried = {"advantage": crossed}
    plain = "box_doubt" if _kind(records) == "boxes" else "margin"
    stays, before = there, records.confidence[expert]
    if there["kind"] != plain:
        tried[plain] = _native(records, expert, confidence_from_dict(plain)).numpy()
    if there["kind"] == "mean_box_score":
        tried["mean_box_score"] = before
        stays, before = {"kind": plain}, tried.pop(plain)
    now = rankdata(before)
    gains, errors = {}, {}
    for kind, signal in tried.items():
        # A sample's rank is the share of cuts at which this expert keeps it: so much of its gain is not had.
        each = (now - rankdata(signal)) / len(records) * gain
        gains[kind], errors[kind] = float(each.mean()), float(each.std() / len(each) ** 0.5)
    fitted = _fit(_name(records), seen, gain).to_dict()
    best = max(gains, key=lambda kind: gains[kind])
    options = stays
    if gains[best] > errors[best]:
        options = {"advantage": fitted, there["kind"]: there}.get(best, {"kind": best})
    return Signal(options, gains, errors, fitted)


def _next(records: Records, expert: int) -> int:
    """The cheapest later expert with a higher mean score; the last one if there is none."""
    means = records.mean_score
    later = [j for j in range(expert + 1, records.n_experts) if means[j] > means[expert]]
    return later[0] if later else records.n_experts - 1


def _fit(summary: str, seen: np.ndarray, gain: np.ndarray) -> Advantage:
    """An advantage by ridge regression; its strength has the least error of leaving one sample out."""
    centre, spread = seen.mean(axis=0, dtype=np.float64), seen.std(axis=0, dtype=np.float64)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-6 * (1 + np.abs(centre)))
    x = np.clip((seen - centre) * scale, -FARTHEST, FARTHEST)
    y = gain - gain.mean()
    u, s, v = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    best, weights = np.inf, np.zeros(x.shape[1])
    for strength in _STRENGTHS:
        shrink = s / (s**2 + strength)
        leverage = (u**2 @ (s * shrink)) + 1 / len(y)
        left_out = (y - u @ (s * shrink * (u.T @ y))) / np.maximum(1 - leverage, 1e-6)
        error = float((left_out**2).sum())
        if error < best:
            best, weights = error, v.T @ (shrink * (u.T @ y))
    line = x @ weights
    factor = -_SPREAD / (line.std() or 1.0)
    weights = weights * factor
    return Advantage(summary, weights.tolist(), centre.tolist(), scale.tolist(), float(-(x @ weights).mean()))


def _kind(records: Records) -> str:
    """Which recorded answers signals are made of."""
    for kind in ("boxes", "log_probs"):
        if kind in records.predictions:
            return kind
    kept = ", ".join(records.predictions) or "nothing"
    raise OrxeError(
        f"confidence: auto needs the classes' log-probabilities or the boxes that experts gave, but these records keep "
        f"{kept} of the answers: record classification with keep: top5, detection with keep: all"
    )


def _name(records: Records) -> str:
    return "boxes" if _kind(records) == "boxes" else "top"


def _log_probs(records: Records, expert: int) -> Tensor:
    rows = torch.from_numpy(np.ascontiguousarray(records.predictions["log_probs"][expert], dtype=np.float32))
    return rows.sort(dim=1, descending=True).values


def _native(records: Records, expert: int, provider: Any) -> Tensor:
    """A provider's confidence of recorded answers."""
    with torch.inference_mode():
        if _kind(records) == "boxes":
            return torch.as_tensor(provider(_detections(records, expert)))
        if not hasattr(provider, "from_log_probs"):
            raise OrxeError(f"confidence {provider.kind!r} cannot be made of recorded log-probabilities")
        return torch.as_tensor(provider.from_log_probs(_log_probs(records, expert)))


def _detections(records: Records, expert: int) -> list[Detections]:
    columns = [records.predictions[name][expert] for name in ("boxes", "scores", "labels")]
    most = max((int(labels.max()) for labels in columns[2] if len(labels)), default=0)
    names = tuple(map(str, range(most + 1)))
    return [
        Detections(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), names)
        for boxes, scores, labels in zip(*columns, strict=True)
    ]
