"""Algorithm 1 with kept histograms against Algorithm 1 that counts everything anew in every round."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins import Records, fit_policies
from orxe_plugins.search.engine.algorithm_1 import algorithm_1
from orxe_plugins.search.engine.grid import Grid
from orxe_plugins.search.engine.multiresolution import LEVELS
from orxe_plugins.search.engine.objective import Objective
from orxe_plugins.search.engine.problem import Cuts, Problem, RankedRecords
from orxe_plugins.search.engine.settings import Regulariser

#: Algorithm 1 is compared with a search on recorded scores
fit_raw = partial(fit_policies, scores="raw")


def counted_anew(problem: Problem, skip_gates: bool) -> Cuts:
    """The supplement's loop in its own words: try every threshold, adopt the best change, until none helps."""
    work, cuts = problem.workspace(), problem.both_ends()[0]
    for kind in (0, 1) if skip_gates else (0,):  # exit thresholds, then skip thresholds
        while True:
            _, _, found = problem.sweep(cuts, work, exits=kind == 0, skips=kind == 1, adopt=False)
            best = int(np.argmax(found.gain[kind]))
            if found.gain[kind, best] <= 0:
                break
            cuts[kind][best] = found.cut[kind, best]
    return cuts


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 9),
    m=st.integers(1, 300),
    preference=st.sampled_from([0.0, 0.1, 0.5, 0.8, 0.95, 1.0]),
    real=st.booleans(),
    shared=st.booleans(),
    skip_gates=st.booleans(),
    min_exits=st.sampled_from([0, 0, 1, 7]),
    beta=st.sampled_from([0.0, 0.0, 1.5]),
)
def test_the_same_policy_as_counting_anew(
    random_records: Callable[..., Records],
    seed: int,
    n: int,
    m: int,
    preference: float,
    real: bool,
    shared: bool,
    skip_gates: bool,
    min_exits: int,
    beta: float,
) -> None:
    rng = np.random.default_rng(seed)
    records = random_records(rng, n, m, real=real, shared=shared)
    samples = RankedRecords.of(records, Grid.of(records.confidence), Objective.of(records))
    allowed = rng.random(n) < 0.8
    problem = Problem.of(samples, preference, allowed, Regulariser(min_exits, beta=beta))
    assert algorithm_1(problem, problem.workspace(), skip_gates).key == counted_anew(problem, skip_gates).key


def test_memory_that_was_used_before_changes_nothing(random_records: Callable[..., Records]) -> None:
    records = random_records(np.random.default_rng(3), 6, 200)
    samples = RankedRecords.of(records, Grid.of(records.confidence), Objective.of(records))
    one, other = (Problem.of(samples, p) for p in (0.4, 0.9))
    work = one.workspace()
    first = algorithm_1(one, work, True).key
    algorithm_1(other, work, True)
    assert algorithm_1(one, work, True).key == first


@pytest.mark.parametrize("n_samples", [9000, 70_000])
def test_a_search_on_more_samples_than_its_first_steps_take_is_no_worse(n_samples: int) -> None:
    """The plain Algorithm 1 runs on all samples too, and not only on those of the first steps."""
    assert n_samples > LEVELS[0].samples
    rng = np.random.default_rng(0)
    n = 6
    skill = rng.random(n_samples)  # (M,), how easy a sample is
    confidence = np.clip(skill + rng.normal(0, 0.3, (n, n_samples)), 0, 1)
    right = rng.random((n, n_samples)) < np.clip(skill + np.linspace(0, 0.4, n)[:, None], 0, 1)
    records = Records.from_arrays([f"e{i}" for i in range(n)], 2.0 ** np.arange(n), confidence, right.astype(np.uint8))
    preferences = [0.3, 0.7, 0.9, 0.97, 1.0]
    table = fit_raw(records, preferences)
    samples = RankedRecords.of(records, Grid.of(records.confidence), Objective.of(records))
    for preference, reached in zip(preferences, table.details["search"]["objective"], strict=True):
        problem = Problem.of(samples, preference)
        work = problem.workspace()
        cuts = algorithm_1(problem, work, True)
        plain = problem.sweep(cuts, work, adopt=False)[0] / problem.scale
        assert reached <= plain * (1 + 1e-6)
