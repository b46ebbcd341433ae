"""Confidence intervals: the paired bootstrap over samples, and exact ones for a share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from orxe_plugins.errors import OrxeError, OrxeTypeError, check_type, shortened
from orxe_plugins.util.arguments import check_count, check_real
from orxe_plugins.util.bootstrap import draw_positions, percentile_interval

#: Above this many samples, the bootstrap draws random groups of samples instead of single ones.
MAX_UNITS = 32_768


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Resampled means of K aligned series.

    Attributes:
        mean: mean of each series, float64 of shape (K,).
        draws: the means of n resamples, float64 of shape (n, K). All series of one resample saw the
            same samples, so that differences between columns are paired.
        level: confidence level of the intervals.
    """

    mean: np.ndarray
    draws: np.ndarray
    level: float

    @property
    def low(self) -> np.ndarray:
        """Lower ends of the percentile intervals, (K,)."""
        return np.array([percentile_interval(draws, self.level)[0] for draws in self.draws.T])

    @property
    def high(self) -> np.ndarray:
        """Upper ends of the percentile intervals, (K,)."""
        return np.array([percentile_interval(draws, self.level)[1] for draws in self.draws.T])

    def difference(self, a: int, b: int) -> tuple[float, float, float]:
        """Mean of series ``a`` minus mean of series ``b``, with its interval: (mean, low, high)."""
        low, high = percentile_interval(self.draws[:, a] - self.draws[:, b], self.level)
        return float(self.mean[a] - self.mean[b]), low, high


def bootstrap(
    series: np.ndarray | Iterable[np.ndarray], n: int = 2000, seed: int = 0, level: float = 0.95
) -> Bootstrap:
    """Paired bootstrap over samples of the means of K aligned series.

    Of more than 32,768 samples, random groups of equal size are drawn instead of samples: the
    variance of a mean stays what it was, and time and memory stop growing.

    Args:
        series: array (K, M), or K arrays of shape (M,), taken one at a time.
        n: number of resamples.
        seed: of the resamples.
        level: confidence level of the intervals, between 0 and 1.

    Raises:
        OrxeError: no series or no sample, different lengths, or a level out of range.
    """
    check_real("level", level)
    check_count("n", n)
    if not 0 < level < 1:
        raise OrxeError(f"level is {level!r}: expected a number between 0 and 1")
    if n < 1:
        raise OrxeError(f"n is {n!r}: expected at least one resample")
    rng = np.random.default_rng(seed)
    mean, sums, sizes = _units(series, rng)
    draws = np.empty((n, len(mean)))
    units = len(sizes)
    resamples = draw_positions(units, n, rng)
    batch = max(1, 2**21 // units)  # resamples at a time: about 16 MB of weights
    for start in range(0, n, batch):
        picks = islice(resamples, batch)
        weights = np.stack([np.bincount(row, minlength=units) for row in picks]).astype(np.float64)
        draws[start : start + len(weights)] = weights @ sums.T / (weights @ sizes)[:, None]
    return Bootstrap(mean, draws + mean, level)


def _units(
    series: np.ndarray | Iterable[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (K,), sums of the centred series in each unit (K, U) and sizes of the units (U,)."""
    means, sums = [], []
    group: np.ndarray | None = None
    m = units = -1
    if not isinstance(series, Iterable) or isinstance(series, (str, bytes)):
        raise OrxeTypeError(f"series is {shortened(series)}: expected an array (K, M), or K arrays (M,)")
    for values in series:
        check_type("a series", values, np.ndarray, "an array of shape (M,)")
        if m < 0:
            m = len(values)
            units = min(m, MAX_UNITS)
            group = rng.permutation(m) % units if m > MAX_UNITS else None
        if values.ndim != 1 or len(values) != m or m == 0:
            raise OrxeError(
                f"a series has shape {values.shape}: expected ({m},) with at least one sample, as the first"
            )
        # A series that is centred first loses nothing where its spread is small beside its mean.
        centre = float(np.mean(values, dtype=np.float64))
        centred = values.astype(np.float64) - centre
        means.append(centre)
        sums.append(centred if group is None else np.bincount(group, weights=centred, minlength=units))
    if not means:
        raise OrxeError("no series is given: expected at least one")
    sizes = np.ones(m) if group is None else np.bincount(group, minlength=units).astype(np.float64)
    return np.array(means), np.stack(sums), sizes


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval for a share, of ``successes`` in ``trials``.

    Source: Clopper and Pearson, Biometrika 1934.
    """
    # Imported here: scipy.stats takes long to load, and few evaluations need it.
    from scipy.stats import binomtest

    check_type("successes", successes, (int, np.integer), "a count of samples")
    check_type("trials", trials, (int, np.integer), "a count of samples")
    check_real("level", level)
    if not 0 < level < 1:
        raise OrxeError(f"level is {level!r}: expected a number between 0 and 1")
    if not 0 <= successes <= trials or trials < 1:
        raise OrxeError(f"{successes} successes in {trials} trials: expected 0 <= successes <= trials, trials > 0")
    interval = binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)
