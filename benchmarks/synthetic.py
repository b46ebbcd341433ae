"""Made-up records that behave as those of image classifiers do, for the benchmarks of the search."""

from __future__ import annotations

import numpy as np

from orxe_plugins import Records

_CHUNK = 65_536


def synthetic_records(n_experts: int, n_samples: int, seed: int = 0) -> Records:
    """Records of N experts whose accuracy rises with the logarithm of their cost.

    Costs run geometrically from 0.1 to 50 GMACs. A sample has one difficulty for all experts, and each
    expert has a talent of its own for it. The chance of a right answer is a logistic function
    of ability - difficulty + talent; the confidence is that chance seen through noise, and
    overconfident. The accuracies come out between about 63 and 88 %.

    Args:
        n_experts: N.
        n_samples: M.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, n_experts)
    cost = 0.1 * 500**level
    # Published models do not lie on one line: some are bad bargains.
    ability = 0.95 + 2.0 * level**0.8 + rng.normal(0, 0.12, n_experts)
    ability[-1] = max(ability[-1], ability[:-1].max() + 0.05)
    confidence = np.empty((n_experts, n_samples), dtype=np.float32)
    score = np.empty((n_experts, n_samples), dtype=np.uint8)
    for start in range(0, n_samples, _CHUNK):
        stop = min(start + _CHUNK, n_samples)
        difficulty = rng.normal(0, 2.2, stop - start)
        for i in range(n_experts):
            logit = 1.3 * (ability[i] - difficulty + rng.normal(0, 0.8, stop - start))
            score[i, start:stop] = rng.random(stop - start) < _logistic(logit)
            confidence[i, start:stop] = _logistic(1.15 * logit + rng.normal(0, 0.9, stop - start))
    return Records.from_arrays([f"expert-{i:02d}" for i in range(n_experts)], cost, confidence, score)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
