"""The samples that records are of, and how the task scores them."""

from __future__ import annotations

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.unlabelled import Labelled
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.records.agreement import answers_as_targets
from orxe_plugins.records.records import Records
from orxe_plugins.run.recording import Recorded, read_recorded
from orxe_plugins.run.run import Run


def metric_of(run: Run, records: Records) -> Metric:
    """What the score of some samples of the reporting split is, as the task defines it."""
    return Metric.of_task(run.task, samples_of(run, records).targets)


def samples_of(run: Run, records: Records, recorded: Recorded | None = None, fitting: bool = False) -> Dataset:
    """The data set's samples that records are of, in their order.

    Without labels, their targets are what the pool's last expert answers.

    Args:
        run: the run.
        records: some samples of the reporting split, or of the fitting split.
        recorded: what was recorded; read from the output folder by default, where it is needed.
        fitting: whether they are of the data that thresholds are fitted on.
    """
    root = run.recipe.data.root
    dataset = run.dataset(root if fitting else run.recipe.data.report_root or root)
    place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
    found = dataset.select(place[str(sample)] for sample in records.sample_ids)
    if run.recipe.labels != "none":
        return found
    # The whole pool's last expert is what scores are relative to, whether or not it is in the cascade.
    recorded = recorded or read_recorded(run)
    whole = recorded.fit if fitting else recorded.report
    row = {str(sample): i for i, sample in enumerate(whole.sample_ids)}
    answers = answers_as_targets(whole.samples([row[str(sample)] for sample in records.sample_ids]))
    return Labelled(found, answers)
