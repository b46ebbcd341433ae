"""Metric: the figure of a data set that a report prints as the score of a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orxe_plugins.search.replay import Outcome
from orxe_plugins.tasks.task import Task

#: the metric of some samples, under the experts that answered them: (outcome, positions (K,)) -> figure
MetricFunction = Callable[[Outcome, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """What the score of a data set is.

    Attributes:
        name: what tables and axes call it, such as "top1" or "mAP50-95".
        function: gives the figure for some samples of an outcome; a position may occur more than
            once, as in a bootstrap resample. None is the mean of the per-sample scores, which is fast.
        percent: whether reports write it times 100.
    """

    name: str = "score"
    function: MetricFunction | None = None
    percent: bool = True

    @classmethod
    def of_task(cls, task: Task, targets: Sequence[Any] | None = None) -> Metric:
        """The metric of a task.

        Args:
            task: if it keeps the default metric, the fast mean of scores is used.
            targets: what the data set says of the M samples; the records' labels by default.
        """
        if task.metric_is_mean:
            return cls(task.metric_name, percent=task.percent)
        fast: dict[int, Any] = {}

        def function(outcome: Outcome, samples: np.ndarray) -> float:
            if targets is not None:
                if id(outcome.records) not in fast:
                    fast.clear()
                    fast[id(outcome.records)] = task.routed_metric(outcome.records.predictions, targets)
                routed = fast[id(outcome.records)]
                if routed is not None:
                    return float(routed(outcome.expert, samples))
            expert = outcome.expert[samples]
            predictions = {key: values[expert, samples] for key, values in outcome.records.predictions.items()}
            known = outcome.records.labels if targets is None else targets
            chosen = [] if known is None else [known[i] for i in samples]
            return task.metric(outcome.sample_score[samples], predictions, chosen)

        return cls(task.metric_name, function, percent=task.percent)
