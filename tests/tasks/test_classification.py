from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError
from orxe_plugins.tasks import task_named, task_names

TASK = task_named("classification")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_a_sample_scores_if_its_top_class_is_right(truth: list[int]) -> None:
    logits = torch.randn(len(truth), 4)
    score = TASK.score(logits, truth)
    assert score.tolist() == [float(int(row.argmax()) == t) for row, t in zip(logits, truth, strict=True)]
    assert TASK.metric(score, {}, truth) == pytest.approx(np.mean(score))


def test_a_class_that_the_expert_does_not_know_is_named() -> None:
    with pytest.raises(OrxeError, match="has a class 4, but the expert answers with 4 classes"):
        TASK.score(torch.zeros(1, 4), [4])


def test_predictions_keep_what_is_asked_for() -> None:
    logits = torch.randn(3, 7)
    assert TASK.predictions(logits, "none") == {}
    top = TASK.predictions(logits, "top5")
    assert top["classes"].shape == top["log_probs"].shape == (3, 5)
    np.testing.assert_array_equal(top["classes"][:, 0], logits.argmax(1))
    every = TASK.predictions(logits, "all")
    np.testing.assert_allclose(every["log_probs"], logits.log_softmax(1), rtol=1e-6)
    assert every["classes"][0].tolist() == list(range(7))
    assert TASK.predictions(logits[:, :2], "top5")["classes"].shape == (3, 2)
    with pytest.raises(OrxeError, match="predictions is 'some': expected one of none, top5, all"):
        TASK.predictions(logits, "some")


def test_nan_logits_are_no_answer() -> None:
    assert TASK.valid(torch.tensor([[0.0, 1.0], [torch.nan, 1.0]])).tolist() == [True, False]
    assert TASK.describe(torch.tensor([[0.0, 1.0], [3.0, 1.0]])) == ["1", "0"]


def test_an_unknown_task_is_named_with_the_nearest() -> None:
    assert {"classification", "detection", "regression", "segmentation"} <= set(task_names())
    with pytest.raises(OrxeError, match="unknown task 'clasification': did you mean 'classification'"):
        task_named("clasification")
