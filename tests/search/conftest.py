"""Records made up at random, and a search that simply tries everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from orxe_plugins import Records

NEVER = 2.0


def _try_everything(records: Records, skip_gates: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cost and score of every policy that can be told apart on these records, each of shape (P,).

    Written for clarity and apart from the package: samples are routed by the words of DESIGN,
    section 3, many policies at a time.
    """
    n, m = records.confidence.shape
    conf = records.confidence.astype(np.float64)
    choices: list[list[float]] = []
    for i in range(n - 1):
        cuts = {0.0, NEVER, *conf[i].tolist()}
        if conf[i].max() < 1:
            cuts.add(1.0)  # enabled, but no sample exits
        choices.append(sorted(cuts))
    for i in range(n - 1):
        choices.append(sorted({0.0, *conf[:i].ravel().tolist()}) if skip_gates else [0.0])
    table = np.array(list(itertools.product(*choices)))  # (P, 2 (N - 1))
    exits, skips = table[:, : n - 1], table[:, n - 1 :]
    cost, score = np.zeros(len(table)), np.zeros(len(table))
    for sample in range(m):
        done = np.zeros(len(table), dtype=bool)
        so_far = np.full(len(table), np.inf)  # there is no confidence yet
        for i in range(n):
            here = ~done
            if i < n - 1:
                here &= (exits[:, i] != NEVER) & (so_far >= skips[:, i])
            cost += here * records.cost[i]
            so_far = np.where(here, conf[i, sample], so_far)
            stops = here & (conf[i, sample] >= exits[:, i]) if i < n - 1 else here
            score += stops * float(records.score[i, sample])
            done |= stops
            cost += stops * records.shared_cost[i]
        assert done.all()
    return cost / m, score / m


@pytest.fixture(scope="session")
def try_everything() -> Callable[[Records, bool], tuple[np.ndarray, np.ndarray]]:
    """``try_everything(records, skip_gates) -> (costs, scores)`` of all policies."""
    return _try_everything


def _objective(records: Records, preference: float, cost: np.ndarray, score: np.ndarray) -> np.ndarray:
    """DESIGN, section 3, again in its own words."""
    reference = records.cost[-1] + records.shared_cost[-1]
    if records.needs[-1] >= 0:
        reference += records.cost[records.needs[-1]]
    means = np.asarray(records.score, dtype=np.float64).mean(axis=1)
    low, high = 0.0, 1.0
    if np.min(records.score) < 0 or np.max(records.score) > 1:
        low, high = means[0], means.max()
        high = high if high > low else low + 1
    return (1 - preference) * cost / (reference or 1.0) + preference * (1 - (score - low) / (high - low))


@pytest.fixture(scope="session")
def objective() -> Callable[[Records, float, np.ndarray, np.ndarray], np.ndarray]:
    """``objective(records, preference, cost, score)``, lower is better."""
    return _objective


def _random_records(rng: np.random.Generator, n: int, m: int, **kinds: bool) -> Records:
    """Records with ties, duplicates, NaN, equal costs, shared costs and real-valued scores, as asked."""
    levels = int(rng.choice([2, 3, 10, 1000]))
    confidence = rng.integers(0, levels + 1, size=(n, m)) / levels
    confidence[rng.random((n, m)) < 0.05] = np.nan
    right = 0.2 + 0.7 * np.nan_to_num(confidence) * np.linspace(0.7, 1.1, n)[:, None]
    score = (rng.random((n, m)) < right).astype(np.uint8)
    if kinds.get("real"):
        score = rng.normal(size=(n, m)) * rng.choice([0.1, 5]) + np.linspace(0, 1, n)[:, None]
    if rng.random() < 0.3:
        confidence[:, m // 2 :] = confidence[:, : m - m // 2]  # duplicates of other samples
    cost = np.sort(rng.choice([0.0, 0.01, 0.1, 0.3, 0.5, 1.0, 1.0], size=n))
    cost[-1] = max(cost[-1], 0.5)
    shared = np.cumsum(rng.choice([0.0, 0.05, 0.2], size=n)) if kinds.get("shared") else None
    return Records.from_arrays([f"e{i}" for i in range(n)], cost, confidence, score, shared_cost=shared)


@pytest.fixture(scope="session")
def random_records() -> Callable[..., Records]:
    """``random_records(rng, n, m, real=False, shared=False)``."""
    return _random_records
