"""The samples that records are of, and how the task scores them."""

from __future__ import annotations

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.unlabelled import Labelled
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.records.agreement import answers_as_targets
from orxe_plugins.records.records import Records
from orxe_plugins.run.recording import read_recorded
from orxe_plugins.run.run import Run


def metric_of(run: Run, records: Records) -> Metric:
    """What the score of some samples of the reporting split is, as the task defines it."""
    return Metric.of_task(run.task, samples_of(run, records).targets)


def samples_of(run: Run, records: Records) -> Dataset:
    """The data set's samples that records of the reporting split are of, in their order.

    Without labels, their targets are what the pool's last expert answers.
    """
    dataset = run.dataset(run.recipe.data.report_root or run.recipe.data.root)
    place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
    found = dataset.select(place[str(sample)] for sample in records.sample_ids)
    if run.recipe.labels != "none":
        return found
    # The whole pool's last expert is what scores are relative to, whether or not it is in the cascade.
    whole = read_recorded(run).report
    row = {str(sample): i for i, sample in enumerate(whole.sample_ids)}
    answers = answers_as_targets(whole.samples([row[str(sample)] for sample in records.sample_ids]))
    return Labelled(found, answers)
