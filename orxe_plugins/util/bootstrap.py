"""The bootstrap: samples drawn again with replacement, and the intervals of what they give."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def draw_positions(n_samples: int, n_resamples: int, seed: int | np.random.Generator = 0) -> Iterator[np.ndarray]:
    """Resamples as positions: each draws M of M samples with replacement.

    Figures that are computed on the same resamples are paired: their differences have an interval too.

    Args:
        n_samples: M.
        n_resamples: how many resamples.
        seed: of the random numbers, or where to draw them from.

    Yields:
        int64 of shape (M,).
    """
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.integers(0, n_samples, n_samples)


def draw_counts(n_samples: int, n_resamples: int, seed: int = 0) -> np.ndarray:
    """Resamples as counts: how often each of M samples is drawn.

    Counts have the same distribution as those of :func:`draw_positions`, but one seed does not give the same resamples.

    Args:
        n_samples: M.
        n_resamples: how many resamples S.
        seed: of the random numbers.

    Returns:
        int32 of shape (S, M); every row sums to M.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_samples, np.full(n_samples, 1 / n_samples), n_resamples).astype(np.int32)


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Ends of the percentile interval of a figure.

    Args:
        draws: the figure on each resample, (S,). NaN (a resample on which the figure has no value) is left out.
        level: confidence level, between 0 and 1.

    >>> percentile_interval(np.arange(101), level=0.5)
    (25.0, 75.0)
    """
    if np.isnan(draws).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
