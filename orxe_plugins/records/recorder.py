"""The recorder: runs experts over a data set as inference will, shard by shard, and can be resumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.contents import contents_of
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.lock import folder_lock
from orxe_plugins.records.making import ShardJob
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
from orxe_plugins.records.mending import is_new, rows_to_redo, with_rows
from orxe_plugins.records.options import RecordOptions, with_old_arguments
from orxe_plugins.records.records import Records
from orxe_plugins.records.store import RecordStore
from orxe_plugins.records.team import Team
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
    team: Team | None = None,
) -> list[str]:
    """Record as :func:`record` does, but load nothing afterwards: for experts that go into several folders in turn.

    Args:
        experts, dataset, folder, task, options, progress: see :func:`record`.
        team: the processes that record together; this one alone by default.

    Returns:
        Names of these experts, and of those that they need.
    """
    options, team = options or RecordOptions(), team or Team()
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
            if options.fresh_all and team.leads:
                store.remove_expert(expert.name)
            check_expert(store, manifest)
            missing = store.missing_shards(expert.name, count, mark)
            check_batch_size(store, manifest, missing)
        except OrxeError:
            if not (options.fresh and team.leads):
                raise
            store.remove_expert(expert.name)
            missing = list(range(count))
        return _Plan(expert, manifest, mark, missing)

    with folder_lock(store.folder) if team.leads else nullcontext():
        if team.leads:
            store.remove_leftovers()
        setup = setup_of(task, options)
        contents = team.in_turn(lambda: contents_of(dataset, store.folder))
        dataset_manifest = team.in_turn(
            lambda: check_dataset(store, dataset, setup, options.fresh and team.leads, contents)
        )
        plans: Iterable[_Plan] = (team.in_turn(partial(plan, each)) for each in experts)
        if isinstance(experts, Sequence):
            plans = list(plans)
        for each in plans:
            job = ShardJob(each.expert, dataset, task, options, each.shards(team, len(dataset)), contents)
            if team.leads:
                _mend(each, store, dataset_manifest, job)
            _record_expert(each, store, dataset_manifest, job, progress or Silent(), team)
        team.meet()
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

    @property
    def shard_size(self) -> int:
        """Samples of a shard; the last one may have fewer."""
        return int(self.manifest["shard_size"])

    def rows(self, index: int, total: int) -> range:
        """The samples of a shard, of ``total`` in all."""
        return range(index * self.shard_size, min((index + 1) * self.shard_size, total))

    def shards(self, team: Team, total: int) -> dict[int, range]:
        """The missing shards that this process is to see to, with their samples."""
        return {index: self.rows(index, total) for index in team.share(self.missing)}


def _record_expert(
    plan: _Plan,
    store: RecordStore,
    dataset_manifest: dict[str, Any],
    job: ShardJob,
    progress: Progress,
    team: Team,
) -> None:
    """Record those missing shards of one expert that are this process's to see to."""
    expert, total = plan.expert, len(job.dataset)
    count = sum(map(len, job.shards.values()))
    progress.start(total, expert.name, done=total - count)
    if team.leads and len(plan.missing) * plan.shard_size < total:
        _describe(store, plan, dataset_manifest)
    if not count:
        return
    for index, columns in team.make(job, progress.advance):
        _describe(store, plan, dataset_manifest)
        store.write_shard(expert.name, index, columns, plan.mark)


def _mend(plan: _Plan, store: RecordStore, dataset_manifest: dict[str, Any], job: ShardJob) -> None:
    """Record single samples again: those whose files have changed, and those that could not be read."""
    name, total, size = plan.expert.name, len(job.dataset), job.options.batch_size
    for index in sorted({*range(-(-total // plan.shard_size))} - {*plan.missing}):
        samples = plan.rows(index, total)
        contents = None if job.contents is None else job.contents[samples.start : samples.stop]
        rows = rows_to_redo(store, name, index, contents)
        if not rows:
            continue
        plan.expert.eval()
        builder = job.builder()
        for first in range(0, len(rows), size):
            builder.add([job.load(samples[row]) for row in rows[first : first + size]], job.batch)
        before, columns = store.table(name, index), builder.columns(few=True)
        if not is_new(before, rows, columns):
            continue
        after = with_rows(before, rows, columns)
        if after is None:
            raise OrxeError(
                f"{store.shard(name, index)} keeps other columns than expert {name!r} gives now: use --fresh {name}"
            )
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
