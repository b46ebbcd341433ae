"""Scores without labels: agreement with the last expert."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, Policy, Records, replay
from orxe_plugins.records import agreement_records


def recorded(seed: int, keep: str = "top5") -> Records:
    """Three experts on 50 samples of 4 classes; their labels decide the recorded scores."""
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(4), (3, 50))).astype(np.float32)
    classes = np.broadcast_to(np.arange(4), log_probs.shape)
    labels = rng.integers(0, 4, 50)
    score = (log_probs.argmax(axis=2) == labels).astype(np.uint8)
    if keep == "top5":
        order = np.argsort(-log_probs, axis=2)
        classes, log_probs = (np.take_along_axis(some, order, axis=2) for some in (classes, log_probs))
    confidence = np.exp(log_probs.max(axis=2))
    predictions = {"classes": classes, "log_probs": log_probs}
    return Records.from_arrays(["a", "b", "c"], [1, 2, 4], confidence, score, labels=labels, predictions=predictions)


@given(seed=st.integers(0, 2**32 - 1), exit_at=st.floats(0, 1))
def test_a_cascade_scores_within_its_disagreement_of_the_last_expert(seed: int, exit_at: float) -> None:
    records = recorded(seed)
    policy = Policy((exit_at, exit_at))
    disagrees = 1 - replay(agreement_records(records), policy).score
    lost = records.mean_score[-1] - replay(records, policy).score
    assert abs(lost) <= disagrees + 1e-12


@pytest.mark.parametrize("keep", ["top5", "all"])
def test_labels_have_no_part(keep: str) -> None:
    records = recorded(0, keep)
    other = replace(records, labels=None, score=np.zeros((3, 50), dtype=np.uint8))
    found, same = agreement_records(records), agreement_records(other)
    assert found.score.tolist() == same.score.tolist() and 0 < found.mean_score[0] < 1
    assert found.mean_score[-1] == 1 and found.labels is None
    assert found.details["relative_to"] == "c"


def test_without_classes_it_says_how_to_get_them() -> None:
    with pytest.raises(OrxeError, match="keep: top5"):
        agreement_records(replace(recorded(0), predictions={}))
