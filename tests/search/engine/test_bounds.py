"""Lower bounds are never above the best policy there is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import Records, fit_policies
from orxe_plugins.search.engine import bounds as bounds_module
from orxe_plugins.search.engine.bounds import lower_bounds

#: replay and brute force are compared with a search on recorded scores
fit_raw = partial(fit_policies, scores="raw")
PREFERENCES = (0.0, 0.03, 0.2, 0.5, 0.8, 0.97, 1.0)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([(1, 5), (2, 12), (3, 7), (4, 3)]),
    real=st.booleans(),
    shared=st.booleans(),
    bins=st.sampled_from([2, 512]),
    limit=st.sampled_from([1, 10**10]),
)
def test_never_above_the_best_of_all_policies(
    random_records: Callable[..., Records],
    try_everything: Callable[[Records, bool], tuple[np.ndarray, np.ndarray]],
    objective: Callable[[Records, float, np.ndarray, np.ndarray], np.ndarray],
    seed: int,
    size: tuple[int, int],
    real: bool,
    shared: bool,
    bins: int,
    limit: int,
) -> None:
    records = random_records(np.random.default_rng(seed), *size, real=real, shared=shared)
    cost, score = try_everything(records, True)
    best = np.array([objective(records, p, cost, score).min() for p in PREFERENCES])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds_module, "_BINS", bins)
        patch.setattr(bounds_module, "_LIMIT", limit)
        bound = lower_bounds(records, PREFERENCES)
    assert (bound <= best + 1e-9).all()
    if size[0] <= 2:
        assert bound.tolist() == pytest.approx(best.tolist(), rel=1e-9, abs=1e-9)
    # Nor below the oracle that answers each sample by its own best expert.
    alone = records.standalone_cost / (records.standalone_cost[-1] or 1.0)
    for p, value in zip(PREFERENCES, bound, strict=True):
        ends = [objective(records, 1.0, 0.0, row) for row in np.asarray(records.score, dtype=float)]
        oracle = ((1 - p) * alone[:, None] + p * np.array(ends)).min(axis=0).mean()
        if limit > 1 or not real:  # chords between few preferences may be below it
            assert value >= oracle - 1e-9


def test_two_valued_and_real_valued_scores_have_the_same_bound() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.random((5, 3000))
    right = rng.random((5, 3000)) < 0.3 + 0.6 * confidence
    cost = [1, 2, 2, 5, 9]
    records = [Records.from_arrays("abcde", cost, confidence, score) for score in (right, right.astype(float))]
    two, real = (lower_bounds(each, PREFERENCES) for each in records)
    assert two == pytest.approx(real, abs=1e-9)


def test_the_table_tells_the_gap() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.random((3, 500))
    records = Records.from_arrays("abc", [1, 3, 9], confidence, rng.random((3, 500)) < 0.3 + 0.6 * confidence)
    told = fit_raw(records, PREFERENCES).details["search"]
    assert len(told["gap"]) == len(told["objective"]) == len(told["lower_bound"]) == len(PREFERENCES)
    assert told["gap"] == pytest.approx(np.subtract(told["objective"], told["lower_bound"]).tolist())
    assert min(told["gap"]) >= 0
