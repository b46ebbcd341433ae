"""The recorder: runs experts over a data set along the path of inference, shard by shard, and can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orxe_plugins.data.datasets import BadSampleError, Dataset
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.augment import Augmentation, augmented
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.lock import folder_lock
from orxe_plugins.records.manifest import (
    check_batch_size,
    check_dataset,
    check_expert,
    expert_manifest,
    recording_mark,
    setup_of,
)
from orxe_plugins.records.prefetch import prefetch
from orxe_plugins.records.records import Records
from orxe_plugins.records.shards import Loaded, ShardBuilder
from orxe_plugins.records.store import RecordStore
from orxe_plugins.tasks import Task
from orxe_plugins.util.progress import Progress, Silent

PATHS = ("originals", "tensor")
#: above this many samples, shards grow so that an expert never has many more than 256 of them
_SAMPLES_OF_SMALL_SHARDS = 65536


def record(
    experts: Iterable[Expert],
    dataset: Dataset,
    folder: str | Path,
    *,
    task: Task,
    path: str = "originals",
    input_view: ImageView | None = None,
    to_tensor: Callable[[Sequence[Any]], Tensor] | None = None,
    keep: str | None = None,
    features: bool = False,
    augment: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 64,
    shard_size: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    cost_unit: str = "GMACs",
    fresh: bool = False,
) -> Records:
    """Record what experts say of a data set, along the path that inference will take.

    One expert after another, one shard of consecutive samples after another; a shard is put in
    place whole. A run that was stopped, even by kill -9, goes on where it was: it loses the shard
    in work, and ends with the same content as a run that was never stopped. Experts may be added
    later; what is recorded is not recorded again. A sample that cannot be read, or on which an
    expert answers NaN, is listed in ``Records.skipped``.

    Args:
        experts: whom to record; their names are distinct. An iterator may build each of them when it
            is asked for it, so that only one is in memory; a list is checked before the first one runs.
        dataset: the samples.
        folder: the records folder; made if it is missing. One process at a time may write to it.
        task: scores the answers and says what is kept of them.
        path: "originals" hands every expert a list of B original images; "tensor" hands all of them
            one tensor (B, C, H, W), as frameworks hand it to a cascade.
        input_view: for "tensor": the view that the tensor is made by (``Cascade.input_view``).
        to_tensor: for "tensor": makes the tensor of a list of images instead of ``input_view``, if
            a framework's own transform shall do it; classifiers still take ``input_view``, if it is
            given, for the view that the tensor shows. Each image is handed over alone, in a thread.
        keep: how much of the outputs is kept, see the task's ``predictions``; its ``default_keep`` by default.
        features: also keep what ranking gates are trained on, see :func:`load_gate_inputs`.
        augment: changes every image before it is handed over.
        seed: of the augmentation; together with a sample's id it settles the random numbers.
        batch_size: samples per batch; batches do not go across shards.
        shard_size: samples per shard; by default 256, and more for very large data sets.
        workers: threads that load images; by default one per core and at most 8.
        progress: is told how far the recording is.
        cost_unit: unit of the experts' costs.
        fresh: remove what the folder holds of these experts, and all of it if it is of another
            data set or was recorded otherwise, instead of going on.

    Returns:
        The records of these experts, and of those that they need, cheapest first, as :func:`load_records` gives
        them.

    Raises:
        OrxeError: the folder holds another data set, an expert with other weights, or was recorded
            otherwise; another process writes to it; an expert answers NaN on a whole shard; or an
            argument is out of range.
    """
    _check_arguments(dataset, path, input_view, to_tensor, batch_size, shard_size)
    keep = task.default_keep if keep is None else keep
    setup = setup_of(task, path, input_view, to_tensor, augment, seed, keep, features)
    size = shard_size or default_shard_size(len(dataset))
    workers = min(os.cpu_count() or 1, 8) if workers is None else workers
    store = RecordStore(folder)
    store.make()
    names: list[str] = []
    needed: list[str] = []

    def plan(expert: Expert) -> _Job:
        if expert.name in names:
            raise OrxeError(f"two experts to record are called {expert.name!r}: give each a name of its own")
        names.append(expert.name)
        needed.extend(filter(None, [expert.needs]))
        task.prepare(expert, dataset)
        manifest = expert_manifest(expert, size, batch_size, cost_unit)
        check_expert(store, manifest, fresh)
        mark = recording_mark(dataset_manifest, manifest)
        missing = store.missing_shards(expert.name, -(-len(dataset) // size), mark)
        check_batch_size(store, manifest, missing)
        return _Job(expert, manifest, mark, missing)

    with folder_lock(store.folder):
        store.remove_leftovers()
        dataset_manifest = check_dataset(store, dataset, setup, fresh)
        jobs: Iterable[_Job] = map(plan, experts)
        if isinstance(experts, Sequence):
            jobs = list(jobs)
        for job in jobs:
            feed = _Feed(job.expert, dataset, path, input_view, to_tensor, augment, seed)
            builder = partial(ShardBuilder, job.expert, task, dataset, keep, features)
            _record_expert(job, store, dataset_manifest, feed, builder, workers, progress or Silent())
    if not names:
        raise OrxeError("no expert to record is given: expected at least one")
    return load_records(folder, list(dict.fromkeys([*needed, *names])))


def default_shard_size(n_samples: int) -> int:
    """256 samples; for more than 65,536 samples a 256th of them."""
    return 256 * max(1, -(-n_samples // _SAMPLES_OF_SMALL_SHARDS))


@dataclass(frozen=True)
class _Job:
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
    path: str
    input_view: ImageView | None
    to_tensor: Callable[[Sequence[Any]], Tensor] | None
    augment: Augmentation | None
    seed: int

    def load(self, index: int) -> Loaded:
        """A sample's part of a batch, or why there is none."""
        try:
            image = self.dataset.load(index)
        except BadSampleError as error:
            return Loaded(index, None, str(error))
        if self.augment is not None:
            image = augmented(image, self.augment, self.dataset.sample_ids[index], self.seed)
        if self.to_tensor is not None:
            return Loaded(index, self.to_tensor([image]), None)
        view = self.view
        return Loaded(index, image if view is None else view.from_images([image]), None)

    @property
    def view(self) -> ImageView | None:
        """The view that samples are loaded in; None leaves them as original images.

        Along the path of originals, a classifier would make its view of the whole batch at once.
        Making it here, image by image, gives the same values, keeps large originals out of memory
        and does the work in threads.
        """
        if self.path == "tensor":
            return self.input_view
        expert, own = self.expert, type(self.expert)
        if not isinstance(expert, ClassifierExpert):
            return None
        usual = own.prepare is ClassifierExpert.prepare and own.forward is Expert.forward
        return expert.view if usual else None

    def batch(self, views: list[Any]) -> Any:
        """B loaded samples as one batch on the expert's device."""
        if self.path == "originals" and self.view is None:
            return views
        return torch.cat(views).to(self.expert.device)

    @contextmanager
    def told(self) -> Iterator[None]:
        """The expert knows, inside a ``with`` block, by which view its batches are made."""
        if self.view is None or not isinstance(self.expert, ClassifierExpert):
            yield
            return
        before, self.expert.input_view = self.expert.input_view, self.view
        try:
            yield
        finally:
            self.expert.input_view = before


def _record_expert(
    job: _Job,
    store: RecordStore,
    dataset_manifest: dict[str, Any],
    feed: _Feed,
    new_shard: Callable[[], ShardBuilder],
    workers: int,
    progress: Progress,
) -> None:
    """Record the missing shards of one expert."""
    expert, manifest = job.expert, job.manifest
    total, size, batch_size = len(feed.dataset), manifest["shard_size"], manifest["batch_size"]
    shards = {index: range(index * size, min((index + 1) * size, total)) for index in job.missing}
    samples = [sample for shard in shards.values() for sample in shard]
    progress.start(total, expert.name, done=total - len(samples))
    if len(samples) < total:
        _describe(store, job, dataset_manifest)
    if not samples:
        return
    expert.eval()
    loaded = prefetch(feed.load, samples, workers=workers, ahead=batch_size)
    try:
        with feed.told():
            for index, shard in shards.items():
                builder = new_shard()
                for start in range(0, len(shard), batch_size):
                    items = list(islice(loaded, min(batch_size, len(shard) - start)))
                    builder.add(items, feed.batch)
                    progress.advance(len(items))
                columns = builder.columns()
                _describe(store, job, dataset_manifest)
                store.write_shard(expert.name, index, columns, job.mark)
    finally:
        loaded.close()


def _describe(store: RecordStore, job: _Job, dataset_manifest: dict[str, Any]) -> None:
    """See to it that both manifests stand beside the shards.

    The cost may become known or be given anew at any time: no answer depends on it.
    """
    if store.dataset() is None:
        store.write_dataset(dataset_manifest)
    there = store.expert(job.expert.name) or {}
    cost = there.get("cost") if job.expert.cost is None else float(job.expert.cost)
    manifest = {**job.manifest, "cost": cost, "batch_size": there.get("batch_size", job.manifest["batch_size"])}
    if any(there.get(key) != value for key, value in manifest.items()):
        store.write_expert(manifest)


def _check_arguments(
    dataset: Dataset,
    path: str,
    input_view: ImageView | None,
    to_tensor: Any,
    batch_size: int,
    shard_size: int | None,
) -> None:
    if not len(dataset):
        raise OrxeError(f"data set {dataset.name!r} has no samples")
    if path not in PATHS:
        raise OrxeError(f"path is {path!r}: expected one of {', '.join(PATHS)}")
    if path == "tensor" and input_view is None and to_tensor is None:
        raise OrxeError("path 'tensor' needs input_view=, such as a cascade's input_view, or to_tensor=")
    if path == "originals" and (input_view is not None or to_tensor is not None):
        raise OrxeError("path 'originals' makes no input tensor: leave input_view and to_tensor out")
    for name, value in (("batch_size", batch_size), ("shard_size", shard_size)):
        if value is not None and value < 1:
            raise OrxeError(f"{name} is {value!r}: expected at least 1")
