"""What a task is, and how it is named in recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.expert import Expert
from orxe_plugins.tasks.names import BUILT_IN, TASK_GROUP, installed_tasks
from orxe_plugins.util.registry import Registry


@dataclass(frozen=True, eq=False)
class Scored:
    """What a task makes of an expert's outputs for B samples.

    Attributes:
        score: performance of each sample, higher is better, float64 (B,).
        columns: what records keep of the outputs: arrays with B rows, by the column's name.
    """

    score: np.ndarray
    columns: Mapping[str, np.ndarray]


class Task:
    """A score per sample, a metric per data set and a default confidence.

    The search works on scores alone; the metric is what reports print. Subclass it, register the
    subclass by :func:`register_task`, and every command works on the new task. A subclass implements :meth:`assess`,
    or, where the recorded columns do not depend on the targets, :meth:`score` and :meth:`predictions` one by one.
    """

    kind: ClassVar[str]
    #: what tables and axes call the metric
    metric_name: ClassVar[str]
    #: what tables call the mean of the per-sample scores; they differ where the metric is no mean
    score_name: ClassVar[str] = "score"
    #: what ranking gates see of an expert's output, see orxe_plugins.confidence.summary
    gate_summary: ClassVar[str] = "values"
    #: whether reports write scores and metric times 100
    percent: ClassVar[bool] = True
    #: whether images are turned as the camera's note (EXIF) says; else they are taken as stored
    turns_images: ClassVar[bool] = False
    #: how much of the outputs records keep where it is not said; see :meth:`assess`
    default_keep: ClassVar[str] = "top5"
    #: whether answers are recorded without labels, to be scored against the last expert's; see tasks.unlabelled
    unlabelled: ClassVar[bool] = False

    def dataset(self, root: Path, class_map: str | None = None) -> Dataset:
        """The labelled samples in a user's folder.

        A task whose images may lie elsewhere also takes ``images``, the folder that a recipe names so.
        """
        raise NotImplementedError

    def check(self, dataset: Dataset, part: str = "") -> None:
        """Raise if nothing can be measured on some samples; before anything is recorded.

        Args:
            dataset: the samples.
            part: what they are for, where they are a part of a data set, as errors call it.

        Raises:
            OrxeError: no metric can be made of their targets.
        """

    def label_names(self, dataset: Dataset) -> tuple[str, ...]:
        """Names of the classes of a data set, in their order; empty where it names none."""
        return ()

    def with_classes(self, dataset: Dataset, experts: Sequence[Expert]) -> Dataset:
        """The data set with only those classes that all these experts know: what ``classes: intersect`` measures on.

        Raises:
            OrxeError: the task has no classes, or none is left.
        """
        raise OrxeError(f"task {self.kind!r} has no `classes: intersect`: leave it out")

    def default_confidence(self) -> ConfidenceProvider:
        """The confidence of an expert that names none."""
        raise NotImplementedError

    def prepare(self, expert: Expert, dataset: Dataset) -> None:
        """Make an expert ready to answer on a data set, before it is recorded; most tasks do nothing.

        Raises:
            OrxeError: the expert cannot answer what the data set asks.
        """

    def assess(self, outputs: Any, targets: Sequence[Any], keep: str) -> Scored:
        """Score each sample, and give the columns that records keep of the outputs.

        Args:
            outputs: an expert's outputs for B samples.
            targets: what the data set says of them, B elements.
            keep: how much to keep: "none" keeps no column; what else there is depends on the task, such as "top5" or
                "all" for classification.
        """
        return Scored(self.score(outputs, targets), self.predictions(outputs, keep))

    def score(self, outputs: Any, targets: Sequence[Any]) -> np.ndarray:
        """The score of each sample alone, float64 (B,); see :meth:`assess`."""
        if type(self).assess is Task.assess:
            raise NotImplementedError(f"{type(self).__name__} implements neither assess nor score")
        return self.assess(outputs, targets, "none").score

    def predictions(self, outputs: Any, keep: str) -> Mapping[str, np.ndarray]:
        """The columns alone, of a task whose columns do not depend on the targets; see :meth:`assess`."""
        raise NotImplementedError(f"{type(self).__name__} gives its columns by assess")

    def valid(self, outputs: Any) -> np.ndarray:
        """Whether each sample's output can be used at all (no NaN), bool of shape (B,)."""
        raise NotImplementedError

    def describe(self, outputs: Any) -> list[str]:
        """Each sample's answer in a few words, to be read: B texts."""
        raise NotImplementedError

    def values(self, outputs: Any) -> list[dict[str, Any]]:
        """Each sample's answer as plain values by their names, for programs: B of them; by default nothing but text."""
        return [{} for _ in self.describe(outputs)]

    @property
    def metric_is_mean(self) -> bool:
        """Whether the metric is the mean score, so that resampling it is fast."""
        return type(self).metric is Task.metric

    def metric(self, score: np.ndarray, predictions: Mapping[str, np.ndarray], targets: Sequence[Any]) -> float:
        """The metric of a data set of M samples; the mean score unless a task knows better.

        Args:
            score: score of each sample under the expert that answered it, (M,).
            predictions: the answering expert's columns, arrays with M rows; may be empty.
            targets: what the data set says, M elements.
        """
        return float(np.mean(score))

    def scores_in_data(self, predictions: Mapping[str, Any], targets: Sequence[Any]) -> np.ndarray | None:
        """Scores that take the data set into account: what each answer does to the metric, (N, M).

        None unless the metric is more than a mean of the recorded scores, or where the columns say too little.

        Args:
            predictions: the columns of all experts, arrays (N, M, ...).
            targets: what the data set says, M elements.
        """
        return None

    def metric_of_routing(
        self, predictions: Mapping[str, Any], targets: Sequence[Any]
    ) -> Callable[[np.ndarray], float] | None:
        """The metric of any routing (M,), fast enough for a search to try many; None where it is the mean score."""
        return None

    def routed_metric(
        self, predictions: Mapping[str, Any], targets: Sequence[Any]
    ) -> Callable[[np.ndarray, np.ndarray], float] | None:
        """A fast way to the metric of many routings of the same samples; None if :meth:`metric` is it.

        Args:
            predictions: the columns of all experts, arrays (N, M, ...).
            targets: what the data set says, M elements.

        Returns:
            A function of the expert that answers each sample, (M,), and of the samples that count,
            positions (K,) of which some may come more than once.
        """
        return None


_TASKS: Registry[Task] = Registry("task", BUILT_IN)


def register_task(kind: str) -> Callable[[type[Task]], type[Task]]:
    """Class decorator: offer a task under the name ``kind``.

    Raises:
        ValueError: another task has that name.
    """

    def register(cls: type[Task]) -> type[Task]:
        _TASKS.register(kind)(cls)
        cls.kind = kind
        return cls

    return register


def task_names() -> tuple[str, ...]:
    """The tasks that are built in or registered, and those of other packages."""
    return tuple(sorted({*_TASKS.names(), *installed_tasks()}))


def task_named(kind: str) -> Task:
    """The task called ``kind``; a package may offer one by an entry point in the group ``orxe_plugins.tasks``.

    Raises:
        OrxeError: no task has that name.
    """
    if _TASKS.find(kind) is None:
        for point in entry_points(group=TASK_GROUP, name=kind):
            point.load()
    task = _TASKS.find(kind)
    if task is None:
        raise OrxeError(
            f"{unknown('task', kind, task_names())}. A task of your own is registered by a recipe's `plugin: FILE`, "
            "by `orxe predict --plugin FILE`, or by a package that is installed"
        )
    return task()
