"""The samples that records are of, and how the task scores them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL.Image import Image

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.reading import BadSampleError
from orxe_plugins.data.unlabelled import Labelled
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.records.agreement import answers_as_targets
from orxe_plugins.records.records import Records
from orxe_plugins.run.recording import Recorded, read_recorded
from orxe_plugins.run.run import Run
from orxe_plugins.util.texts import printable


def metric_of(run: Run, records: Records) -> Metric:
    """What the score of some samples of the reporting split is, as the task defines it."""
    # A mean of recorded scores needs no target: the samples may be gone by now.
    return Metric.of_task(run.task, None if run.task.metric_is_mean else samples_of(run, records).targets)


class _WithGaps:
    """Samples of a data set, some of which are gone: these have a place, but no target, and cannot be loaded.

    Args:
        base: the data set as it is now.
        sample_ids: the samples.
    """

    def __init__(self, base: Dataset, sample_ids: Sequence[str]) -> None:
        self._base, self.sample_ids = base, list(sample_ids)
        known = {sample: i for i, sample in enumerate(base.sample_ids)}
        self._places = [known.get(sample) for sample in self.sample_ids]
        self.targets = [None if place is None else base.targets[place] for place in self._places]
        self.name, self.notes, self.fingerprint = base.name, tuple(getattr(base, "notes", ())), base.fingerprint
        self.class_names: tuple[str, ...] = tuple(getattr(base, "class_names", ()))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image:
        place = self._places[index]
        if place is None:
            raise BadSampleError("it is no longer in the data set")
        return self._base.load(place)

    def select(self, indices: Iterable[int]) -> _WithGaps:
        return _WithGaps(self._base, [self.sample_ids[i] for i in indices])


def samples_of(
    run: Run, records: Records, recorded: Recorded | None = None, fitting: bool = False, gaps: bool = False
) -> Dataset:
    """The data set's samples that records are of, in their order.

    Without labels, their targets are what the pool's last expert answers.

    Args:
        run: the run.
        records: some samples of the reporting split, or of the fitting split.
        recorded: what was recorded; read from the output folder by default, where it is needed.
        fitting: whether they are of the data that thresholds are fitted on.
        gaps: whether samples that are no longer there have a place all the same, where nothing can be loaded.

    Raises:
        OrxeError: some samples are no longer there, and ``gaps`` is False.
    """
    root = run.recipe.data.root
    dataset = run.dataset(root if fitting else run.recipe.data.report_root or root)
    place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
    wanted = [str(sample) for sample in records.sample_ids]
    gone = [sample for sample in wanted if sample not in place]
    if gone and not gaps:
        raise OrxeError(
            f"{len(gone):,} of the {len(wanted):,} samples that were recorded are no longer in {dataset.name}, or no "
            f"longer images, such as {printable(gone[0])}: put them back, or record what is there by --fresh"
        )
    found: Dataset = _WithGaps(dataset, wanted) if gone else dataset.select(place[sample] for sample in wanted)
    if run.recipe.labels != "none":
        return found
    # The whole pool's last expert is what scores are relative to, whether or not it is in the cascade.
    recorded = recorded or read_recorded(run)
    whole = recorded.fit if fitting else recorded.report
    row = {str(sample): i for i, sample in enumerate(whole.sample_ids)}
    answers = answers_as_targets(whole.samples([row[str(sample)] for sample in records.sample_ids]))
    return Labelled(found, answers)
