"""Making shards: an expert's answers on consecutive samples, wherever that is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import torch

from orxe_plugins.data.datasets import BadSampleError, Dataset
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.batch_context import CascadeSetup
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.augment import augmented
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.prefetch import prefetch
from orxe_plugins.records.shards import Loaded, ShardBuilder
from orxe_plugins.tasks.task import Task


@dataclass(frozen=True)
class ShardJob:
    """Shards that are to be made of one expert.

    Attributes:
        expert: gives the answers.
        dataset: where the samples come from.
        task: scores the answers.
        options: how to record.
        shards: the samples of each shard, by the shard's number.
        contents: hash of the files of each sample of the data set; None where they are not known.
    """

    expert: Expert
    dataset: Dataset
    task: Task
    options: RecordOptions
    shards: Mapping[int, range]
    contents: Sequence[str] | None = None

    # --- samples ------------------------------------------------------------------------------

    def load(self, index: int) -> Loaded:
        """A sample's part of a batch, or why there is none; in any thread."""
        try:
            image = self.dataset.load(index)
        except BadSampleError as error:
            return Loaded(index, None, str(error))
        if self.options.augment is not None:
            image = augmented(image, self.options.augment, self.dataset.sample_ids[index], self.options.seed)
        view = self.view
        return Loaded(index, image if view is None else view.from_images([image]), None)

    @property
    def view(self) -> ImageView | None:
        """The view that samples are loaded in; None leaves them as original images.

        Of originals, a classifier would make its view of the whole batch at once.
        Making it here, image by image, gives the same values, keeps large originals out of memory
        and does the work in threads.
        """
        if self.options.input_mode == "tensor":
            return self.options.input_view
        expert, own = self.expert, type(self.expert)
        if not isinstance(expert, ClassifierExpert):
            return None
        usual = own.prepare is ClassifierExpert.prepare and own.forward is Expert.forward
        return expert.view if usual else None

    @property
    def setup(self) -> CascadeSetup:
        """What a cascade would decide for the expert: here, which view its batches show."""
        return CascadeSetup(input_view=self.view)

    def builder(self) -> ShardBuilder:
        """What collects the answers on the samples of one shard."""
        return ShardBuilder(self.expert, self.task, self.dataset, self.options, self.setup, self.contents)

    def batch(self, views: list[Any]) -> Any:
        """B loaded samples as one batch on the expert's device."""
        return views if self.view is None else torch.cat(views).to(self.expert.device)


def make_here(job: ShardJob, advance: Callable[[int], None]) -> Iterator[tuple[int, Mapping[str, pa.Array]]]:
    """Make shards in this process, one after the other; samples are loaded in threads meanwhile.

    Args:
        job: what to make.
        advance: told how many more samples are done.

    Returns:
        The number of each shard with its columns.
    """
    job.expert.eval()
    size, workers = job.options.batch_size, job.options.workers
    samples = [sample for shard in job.shards.values() for sample in shard]
    workers = min(os.cpu_count() or 1, 8) if workers is None else workers
    loaded = prefetch(job.load, samples, workers=workers, ahead=size)
    try:
        for index, shard in job.shards.items():
            builder = job.builder()
            for start in range(0, len(shard), size):
                items = list(islice(loaded, min(size, len(shard) - start)))
                builder.add(items, job.batch)
                advance(len(items))
            yield index, builder.columns()
    finally:
        loaded.close()
