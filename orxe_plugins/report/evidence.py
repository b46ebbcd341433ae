"""Evidence: what a page shows beside the figures of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records


@dataclass(frozen=True, eq=False)
class Evidence:
    """What an evaluation was made of; a page that knows it shows more than the evaluation's own figures.

    Attributes:
        records: the reporting split that was evaluated.
        table: the policies; with it, a budget picks the row that ``set_preference(budget=...)`` takes.
        metric: what the score of the data set is; by default the mean score.
        dataset: the samples of ``records``, in their order: boxes and pictures come from it.
        images: whether example pictures are shown.
    """

    records: Records
    table: PolicyTable | None = None
    metric: Metric | None = None
    dataset: Dataset | None = None
    images: bool = True

    @property
    def metric_is_mean(self) -> bool:
        """Whether the score of a data set is the mean of its samples' scores."""
        return self.metric is None or self.metric.function is None
