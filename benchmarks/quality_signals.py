"""Parts of bench_quality.py: what other signals than the largest softmax are worth, and what fusing outputs is."""

from __future__ import annotations

from typing import Any

import numpy as np
from quality_draws import draws, summary
from scipy.stats import rankdata

from orxe_plugins import PolicyRow, Records, fit_policies
from orxe_plugins.records import fit_signals, with_signals
from orxe_plugins.search.replay import arrivals, replay

SIZES = (248, 1000, 2400)
COUNT = 10
PREFERENCES = np.linspace(0.5, 1, 26).round(6).tolist()
#: weights of the earlier expert's log-probabilities that are tried
WEIGHTS = np.linspace(0, 0.9, 19)
#: log-probability of each class that is not among the recorded ones
REST = -12.0


def signals(records: Records) -> list[dict[str, Any]]:
    """Gain of each signal over the largest softmax, mean over experts and over the shares that are passed on."""
    rows = []
    for n in (n for n in SIZES if n <= len(records) / 2):
        gains: dict[str, list[float]] = {"auto": [], "margin": [], "advantage": []}
        for fit, rest in draws(len(records), n, COUNT):
            learnt, held = records.samples(fit), records.samples(rest)
            found = fit_signals(learnt)
            ways = {
                "auto": {name: signal.options for name, signal in found.items()},
                "margin": {name: {"kind": "margin"} for name in found},
                "advantage": {name: signal.fitted for name, signal in found.items()},
            }
            for way, options in ways.items():
                gains[way].append(_gain(held, with_signals(held, options), learnt.mean_score))
        rows.append({"n": n, **{way: summary(np.array(values)) for way, values in gains.items()}})
    return rows


def _gain(native: Records, other: Records, means: np.ndarray) -> float:
    """Mean over the experts but the last: what the other confidences keep more of each expert's right answers."""
    total = 0.0
    for i in range(native.n_experts - 1):
        later = [j for j in range(i + 1, native.n_experts) if means[j] > means[i]] or [native.n_experts - 1]
        gain = native.score[later[0]].astype(float) - native.score[i]
        moved = rankdata(native.confidence[i]) - rankdata(other.confidence[i])
        total += float((moved / len(native) * gain).mean())
    return total / (native.n_experts - 1)


def fusion(records: Records) -> list[dict[str, Any]]:
    """Score of the chains that a search picks, with outputs of consecutive experts fused, less without; 20 draws."""
    n = min(2400, len(records) // 2)
    gains: list[float] = []
    weights: list[float] = []
    for fit, rest in draws(len(records), n, 20):
        learnt, held = records.samples(fit), records.samples(rest)
        row = fit_policies(learnt, PREFERENCES).choose(max_drop=0.01)
        gain = 0.0
        for pair, where in _passed_on(learnt, row).items():
            right = [_fused(learnt, pair, where, w) for w in WEIGHTS]
            weight = float(WEIGHTS[int(np.argmax([each.mean() for each in right]))])
            weights.append(weight)
            there = _passed_on(held, row).get(pair, np.zeros(0, dtype=np.int64))
            if len(there):
                change = _fused(held, pair, there, weight).astype(float) - _fused(held, pair, there, 0.0)
                gain += float(change.sum()) / len(held)
        gains.append(gain)
    return [{"n": n, "gain": summary(np.array(gains)), "mean_weight": float(np.mean(weights or [0.0]))}]


def _passed_on(records: Records, row: PolicyRow) -> dict[tuple[int, int], np.ndarray]:
    """Samples that one expert answers after another one ran: (earlier, answering) -> positions."""
    answered = replay(records, row.policy).expert
    before = np.full(len(records), -1)
    for i, arrive in arrivals(records, row.policy):
        before[arrive & (i < answered)] = i
    pairs = {(int(a), int(b)) for a, b in zip(before, answered, strict=True) if a >= 0}
    return {pair: np.flatnonzero((before == pair[0]) & (answered == pair[1])) for pair in sorted(pairs)}


def _fused(records: Records, pair: tuple[int, int], where: np.ndarray, weight: float) -> np.ndarray:
    """Whether the fused answers are right, bool (len(where),)."""
    assert records.labels is not None
    classes, log_p = (np.asarray(records.predictions[key])[list(pair)][:, where] for key in ("classes", "log_probs"))
    size = int(max(classes.max(), records.labels.max())) + 1
    scores = np.zeros((len(where), size))
    rows = np.arange(len(where))[:, None]
    for each, share in ((0, weight), (1, 1 - weight)):
        full = np.full((len(where), size), REST)
        full[rows, classes[each]] = log_p[each]
        scores += share * full
    right: np.ndarray = scores.argmax(axis=1) == records.labels[where]
    return right
