"""The recorder: runs experts over a data set as inference will, shard by shard, and can be resumed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from orxe_plugins.data.datasets import BadSampleError, Dataset
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import CascadeSetup
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.augment import augmented
from orxe_plugins.records.contents import contents_of
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.lock import folder_lock
from orxe_plugins.records.manifest import (
    OF_FILES,
    SAID,
    check_batch_size,
    check_dataset,
    check_expert,
    expert_manifest,
    recording_mark,
    setup_of,
)
from orxe_plugins.records.mending import rows_to_redo, with_rows
from orxe_plugins.records.options import RecordOptions, with_old_arguments
from orxe_plugins.records.prefetch import prefetch
from orxe_plugins.records.records import Records
from orxe_plugins.records.shards import Loaded, ShardBuilder
from orxe_plugins.records.store import RecordStore
from orxe_plugins.tasks.task import Task
from orxe_plugins.util.progress import Progress, Silent

#: above this many samples, shards grow so that an expert never has many more than 256 of them
_SAMPLES_OF_SMALL_SHARDS = 65536


def record(
    experts: Iterable[Expert],
    dataset: Dataset,
    folder: str | Path,
    *,
    task: Task,
    options: RecordOptions | None = None,
    progress: Progress | None = None,
    **deprecated: Any,
) -> Records:
    """Record what experts answer on a data set, in the input mode that inference will use.

    One expert after another, one shard of consecutive samples after another; a shard is put in
    place whole. A run that was stopped, even by kill -9, goes on where it was: it loses the shard
    in work, and ends with the same content as a run that was never stopped. Experts may be added
    later; what is recorded is not recorded again. A sample that cannot be read, or on which an
    expert answers NaN, is listed in ``Records.skipped``.

    Args:
        experts: the experts; their names are distinct. An iterator may build each of them when it
            is asked for it, so that only one is in memory; a list is checked before the first one runs.
        dataset: the samples.
        folder: the records folder; made if it is missing. One process at a time may write to it.
        task: scores the answers and says what is kept of them.
        options: how to record; the defaults of :class:`RecordOptions` where it is None.
        progress: shows how far the recording is.
        **deprecated: single options, as version 0.1 took them; they warn.

    Returns:
        The records of these experts, and of those that they need, cheapest first, as :func:`load_records` gives
        them.

    Raises:
        OrxeError: the folder holds another data set, an expert with other weights, or was recorded
            otherwise; another process writes to it; an expert answers NaN on a whole shard; or an
            argument is out of range.
    """
    options = with_old_arguments(options or RecordOptions(), deprecated)
    names = write_records(experts, dataset, folder, task=task, options=options, progress=progress)
    return load_records(folder, names)


def write_records(
    experts: Iterable[Expert],
    dataset: Dataset,
    folder: str | Path,
    *,
    task: Task,
    options: RecordOptions | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Record as :func:`record` does, but load nothing afterwards: for experts that go into several folders in turn.

    Returns:
        Names of these experts, and of those that they need.
    """
    options = options or RecordOptions()
    if not len(dataset):
        raise OrxeError(f"data set {dataset.name!r} has no samples")
    task.check(dataset)
    options = replace(options, keep=task.default_keep if options.keep is None else options.keep)
    size = options.shard_size or default_shard_size(len(dataset))
    store = RecordStore(folder)
    store.make()
    names: list[str] = []
    needed: list[str] = []

    def plan(expert: Expert) -> _Plan:
        if expert.name in names:
            raise OrxeError(f"two experts to record are called {expert.name!r}: give each a name of its own")
        names.append(expert.name)
        needed.extend(filter(None, [expert.needs]))
        task.prepare(expert, dataset)
        manifest = expert_manifest(expert, size, options.batch_size, options.cost_unit, options.plugin)
        mark, count = recording_mark(dataset_manifest, manifest), -(-len(dataset) // size)
        try:
            if options.fresh_all:
                store.remove_expert(expert.name)
            check_expert(store, manifest)
            missing = store.missing_shards(expert.name, count, mark)
            check_batch_size(store, manifest, missing)
        except OrxeError:
            if not options.fresh:
                raise
            store.remove_expert(expert.name)
            missing = list(range(count))
        return _Plan(expert, manifest, mark, missing)

    with folder_lock(store.folder):
        store.remove_leftovers()
        contents = contents_of(dataset, store.folder)
        dataset_manifest = check_dataset(store, dataset, setup_of(task, options), options.fresh, contents)
        plans: Iterable[_Plan] = map(plan, experts)
        if isinstance(experts, Sequence):
            plans = list(plans)
        for each in plans:
            feed = _Feed(each.expert, dataset, options, contents)
            _record_expert(each, store, dataset_manifest, feed, task, progress or Silent())
    if not names:
        raise OrxeError("no expert to record is given: expected at least one")
    return list(dict.fromkeys([*needed, *names]))


def default_shard_size(n_samples: int) -> int:
    """256 samples; for more than 65,536 samples a 256th of them."""
    return 256 * max(1, -(-n_samples // _SAMPLES_OF_SMALL_SHARDS))


@dataclass(frozen=True)
class _Plan:
    """One expert, what is written of it, and which shards are missing."""

    expert: Expert
    manifest: dict[str, Any]
    mark: str
    missing: list[int]


@dataclass(frozen=True)
class _Feed:
    """Loads samples the way one expert wants them, in any thread."""

    expert: Expert
    dataset: Dataset
    options: RecordOptions
    contents: list[str] | None = None

    def load(self, index: int) -> Loaded:
        """A sample's part of a batch, or why there is none."""
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

    def batch(self, views: list[Any]) -> Any:
        """B loaded samples as one batch on the expert's device."""
        return views if self.view is None else torch.cat(views).to(self.expert.device)


def _record_expert(
    plan: _Plan,
    store: RecordStore,
    dataset_manifest: dict[str, Any],
    feed: _Feed,
    task: Task,
    progress: Progress,
) -> None:
    """Record the missing shards of one expert."""
    expert, manifest, options = plan.expert, plan.manifest, feed.options
    total, size, batch_size = len(feed.dataset), manifest["shard_size"], manifest["batch_size"]
    shards: dict[int, Sequence[int]] = {
        index: range(index * size, min((index + 1) * size, total)) for index in plan.missing
    }
    _mend(plan, store, dataset_manifest, feed, task)
    samples = [sample for shard in shards.values() for sample in shard]
    progress.start(total, expert.name, done=total - len(samples))
    if len(samples) < total:
        _describe(store, plan, dataset_manifest)
    if not samples:
        return
    expert.eval()
    workers = min(os.cpu_count() or 1, 8) if options.workers is None else options.workers
    loaded = prefetch(feed.load, samples, workers=workers, ahead=batch_size)
    try:
        for index, shard in shards.items():
            builder = ShardBuilder(expert, task, feed.dataset, options, feed.setup, feed.contents)
            for start in range(0, len(shard), batch_size):
                items = list(islice(loaded, min(batch_size, len(shard) - start)))
                builder.add(items, feed.batch)
                progress.advance(len(items))
            columns = builder.columns()
            _describe(store, plan, dataset_manifest)
            store.write_shard(expert.name, index, columns, plan.mark)
    finally:
        loaded.close()


def _mend(plan: _Plan, store: RecordStore, dataset_manifest: dict[str, Any], feed: _Feed, task: Task) -> None:
    """Record single samples again: those whose files have changed, and those that could not be read."""
    name, size, total = plan.expert.name, plan.manifest["shard_size"], len(feed.dataset)
    for index in sorted({*range(-(-total // size))} - {*plan.missing}):
        start, stop = index * size, min((index + 1) * size, total)
        rows = rows_to_redo(store, name, index, None if feed.contents is None else feed.contents[start:stop])
        if not rows:
            continue
        plan.expert.eval()
        builder = ShardBuilder(plan.expert, task, feed.dataset, feed.options, feed.setup, feed.contents)
        for first in range(0, len(rows), feed.options.batch_size):
            items = [feed.load(start + row) for row in rows[first : first + feed.options.batch_size]]
            builder.add(items, feed.batch)
        before = store.table(name, index)
        after = with_rows(before, rows, builder.columns(few=True))
        if after is None:
            raise OrxeError(
                f"{store.shard(name, index)} keeps other columns than expert {name!r} gives now: use --fresh {name}"
            )
        if not after.equals(before):
            _describe(store, plan, dataset_manifest)
            store.rewrite_shard(name, index, after, plan.mark)


def _describe(store: RecordStore, plan: _Plan, dataset_manifest: dict[str, Any]) -> None:
    """See to it that both manifests stand beside the shards.

    The cost may become known or be given anew at any time: no answer depends on it.
    """
    dataset = store.dataset()
    if dataset is None or any(dataset.get(key, []) != dataset_manifest.get(key, []) for key in (*SAID, *OF_FILES)):
        store.write_dataset(dataset_manifest)
    there = store.expert(plan.expert.name) or {}
    cost = there.get("cost") if plan.expert.cost is None else float(plan.expert.cost)
    manifest = {**plan.manifest, "cost": cost, "batch_size": there.get("batch_size", plan.manifest["batch_size"])}
    if any(there.get(key) != value for key, value in manifest.items()):
        store.write_expert(manifest)
