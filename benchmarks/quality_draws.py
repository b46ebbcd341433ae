"""Draws of samples that all parts of bench_quality.py share, and summaries over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

#: of the draws; the constants of the safe side were chosen on draws with lower seeds
FIRST_SEED = 1000


def draws(total: int, n: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random draws of n samples, each with the rest."""
    for seed in range(count):
        order = np.random.default_rng([n, FIRST_SEED + seed]).permutation(total)
        yield np.sort(order[:n]), np.sort(order[n:])


def interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Interval of the mean over draws, by Student's t."""
    reach = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - reach), float(values.mean() + reach)


def summary(values: np.ndarray, level: float = 0.95) -> list[float]:
    """Mean over draws, and both ends of its interval."""
    return [float(values.mean()), *interval(values, level)]
