"""The metric of a task: the fast mean where it is the mean, else the task's own, on resamples too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from orxe_plugins import Policy, Records, Task, replay
from orxe_plugins.evaluation.metric import Metric


class Mean(Task):
    """A task that keeps the mean of scores."""

    metric_name = "accuracy"


class Agreement(Task):
    """The share of samples whose recorded answer is the target."""

    metric_name = "agreement"
    percent = False

    def metric(self, score: np.ndarray, predictions: Mapping[str, np.ndarray], targets: Sequence[Any]) -> float:
        assert len(score) == len(targets) == len(predictions["answer"])
        return float(np.mean(predictions["answer"] == np.asarray(targets)))


class Fast(Agreement):
    """The same by a fast way, which counts how often it is made."""

    made = 0

    def routed_metric(
        self, predictions: Mapping[str, Any], targets: Sequence[Any]
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        self.made += 1
        right = predictions["answer"] == np.asarray(targets)  # (N, M)
        return lambda expert, samples: float(right[expert[samples], samples].mean())


@pytest.fixture
def records() -> Records:
    """Two experts, ten samples; their answers are one of three words, which the labels say too."""
    rng = np.random.default_rng(0)
    answer, labels = rng.integers(0, 3, (2, 10)), rng.integers(0, 3, 10)
    return Records.from_arrays(
        ["a", "b"], [1, 2], rng.random((2, 10)), answer == labels, labels=labels, predictions={"answer": answer}
    )


def test_a_task_of_mean_scores_gets_the_fast_mean() -> None:
    assert Metric.of_task(Mean()) == Metric("accuracy", None, percent=True)


@pytest.mark.parametrize("task", [Agreement(), Fast()])
@pytest.mark.parametrize("given", [False, True])
def test_the_metric_is_that_of_the_experts_that_answered(records: Records, task: Task, given: bool) -> None:
    assert records.labels is not None
    metric = Metric.of_task(task, records.labels.tolist() if given else None)
    assert (metric.name, metric.percent) == ("agreement", False) and metric.function is not None
    outcome = replay(records, Policy((0.5,)))
    for samples in (np.arange(10), np.array([3, 3, 3, 7, 0])):
        answer = records.predictions["answer"][outcome.expert[samples], samples]
        assert metric.function(outcome, samples) == pytest.approx(np.mean(answer == records.labels[samples]))


def test_the_fast_way_is_made_once_for_all_outcomes_of_the_same_records(records: Records) -> None:
    task = Fast()
    assert records.labels is not None
    metric = Metric.of_task(task, records.labels.tolist())
    assert metric.function is not None
    for threshold in (0.2, 0.5, 0.8):
        metric.function(replay(records, Policy((threshold,))), np.arange(10))
    assert task.made == 1
    other = records.samples(np.arange(9, -1, -1))
    metric.function(replay(other, Policy((0.5,))), np.arange(10))
    assert task.made == 2
