"""Recording on a Ray cluster: a task for each expert and shard, made again elsewhere where a worker dies.

The process that was called holds the folder's lock, sends out what is missing and writes what comes back, so that the
workers need to reach the data and the weights, but not the records.
"""

from __future__ import annotations

import contextlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records.making import ShardJob, make_here
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.team import Team
from orxe_plugins.run.run import Run

#: how often a task is made again whose worker died
_RETRIES = 5
#: experts that a worker keeps in memory
_KEPT = 2
_RUNS: dict[bytes, Run] = {}
_EXPERTS: OrderedDict[tuple[bytes, str], Expert] = OrderedDict()


@contextlib.contextmanager
def ray_cluster() -> Iterator[Callable[[Run], RayTeam]]:
    """A connection to a cluster; gives the team for a run.

    Raises:
        OrxeError: Ray is not installed.
    """
    ray = _ray()
    began = not ray.is_initialized()
    if began:
        ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        yield RayTeam
    finally:
        if began:
            ray.shutdown()


class RayTeam(Team):
    """The workers of a cluster.

    Args:
        run: what they work on; each of them makes it again out of its recipe.
    """

    def __init__(self, run: Run) -> None:
        self._ray = _ray()
        self._told = pickle.dumps((run.recipe, run.out.resolve(), run.trust))
        self._run = run
        self._task = self._ray.remote(max_retries=_RETRIES, num_cpus=1)(_make_shard)

    def make(self, job: ShardJob, advance: Callable[[int], None]) -> Iterator[tuple[int, Mapping[str, pa.Array]]]:
        """Send the shards out, and give them back as they come.

        Raises:
            OrxeError: a shard could not be made, by the error of its worker.
        """
        root = self._root_of(job.dataset)
        options = replace(job.options, fresh=False, fresh_all=False)
        shared = self._ray.put((self._told, job.expert.name, root, options, job.contents))
        waiting = {self._task.remote(shared, index, shard): index for index, shard in job.shards.items()}
        try:
            while waiting:
                (done, *_), _ = self._ray.wait(list(waiting), num_returns=1)
                index = waiting.pop(done)
                columns, cost = self._got(done, job.expert.name, index)
                if job.expert.cost is None:
                    job.expert.cost = cost
                advance(len(job.shards[index]))
                yield index, columns
        finally:
            for task in waiting:
                self._ray.cancel(task, force=True)

    def _got(self, task: Any, name: str, index: int) -> tuple[Mapping[str, pa.Array], float | None]:
        try:
            made: tuple[Mapping[str, pa.Array], float | None] = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise OrxeError(f"shard {index} of expert {name!r} could not be made: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise OrxeError(
                f"shard {index} of expert {name!r} could not be made in {_RETRIES + 1} tries: {type(error).__name__}; "
                "the same command goes on where this one stopped"
            ) from error
        return made

    def _root_of(self, dataset: Dataset) -> str:
        """The recipe's name for the folder of a data set: workers list it for themselves."""
        for root in _roots(self._run):
            if self._run.dataset(root).fingerprint == dataset.fingerprint:
                return root
        raise OrxeError(f"data set {dataset.name!r} is none of the recipe's, so that a cluster cannot read it")


def _make_shard(
    shared: tuple[bytes, str, str, RecordOptions, Sequence[str] | None], index: int, shard: range
) -> tuple[dict[str, pa.Array], float | None]:
    """One shard, in a worker; and the expert's cost, which is counted there."""
    told, name, root, options, contents = shared
    run = _RUNS.get(told) or _RUNS.setdefault(told, _run_of(told))
    expert = _expert_of(told, run, name)
    dataset = run.dataset(root)
    task = run.task_of(root)
    task.prepare(expert, dataset)
    job = ShardJob(expert, dataset, task, options, {index: shard}, contents)
    ((_, columns),) = make_here(job, lambda count: None)
    return dict(columns), expert.cost


def _run_of(told: bytes) -> Run:
    recipe, out, trust = pickle.loads(told)
    return Run(recipe, out, trust=trust)


def _expert_of(told: bytes, run: Run, name: str) -> Expert:
    """An expert out of the few that this worker used last."""
    key = (told, name)
    if key not in _EXPERTS:
        spec = next(spec for spec in run.specs if str(spec.name) == name)
        _EXPERTS[key] = load_expert(spec)
    _EXPERTS.move_to_end(key)
    while len(_EXPERTS) > _KEPT:
        _EXPERTS.popitem(last=False)
    return _EXPERTS[key]


def _roots(run: Run) -> list[str]:
    data = run.recipe.data
    return list(dict.fromkeys(root for root in (data.root, data.report_root, data.unlabelled) if root is not None))


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise OrxeError(
            'engine ray needs ray, which is not installed. Install it with\npip install "orxe-plugins[ray]"'
        ) from error
    return ray
