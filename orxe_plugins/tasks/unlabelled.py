"""A task on images without labels: what the last expert answers takes their place once all experts are recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.unlabelled import UnlabelledImages
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.tasks.classification import Classification
from orxe_plugins.tasks.detection import Detection
from orxe_plugins.tasks.task import Scored, Task


class Unlabelled(Task):
    """Classification or detection on images without labels.

    Answers are recorded with a score of 0; records get their scores, relative to their last expert, when they are
    loaded: see :func:`orxe_plugins.records.agreement.agreement_records`. Targets that are given, as they are where the
    last expert's answers stand for labels, are scored as the task itself scores them.

    Args:
        base: the task.

    Raises:
        OrxeError: it is neither classification nor detection, so that nothing says what agreement is.
    """

    unlabelled = True

    def __init__(self, base: Task) -> None:
        if not isinstance(base, (Classification, Detection)):
            raise OrxeError(
                f"task {base.kind!r} cannot do without labels: nothing says how far two of its answers agree. "
                "Leave out labels: none"
            )
        self.base = base
        self.kind = base.kind  # type: ignore[misc]
        self.percent, self.gate_summary = base.percent, base.gate_summary  # type: ignore[misc]
        self.turns_images, self.default_keep = base.turns_images, base.default_keep  # type: ignore[misc]
        boxes = isinstance(base, Detection)
        self.metric_name = f"relative {base.metric_name}" if boxes else "agreement"  # type: ignore[misc]
        self.score_name = f"relative {base.score_name}" if boxes else "agreement"  # type: ignore[misc]
        self._names: tuple[str, ...] = ()

    def dataset(self, root: Path, class_map: str | None = None) -> UnlabelledImages:
        """All images below a folder."""
        if class_map is not None:
            raise OrxeError(f"data.class_map is {class_map!r}, but labels: none looks at no class folder: leave it out")
        return UnlabelledImages(root, turn=self.turns_images)

    def default_confidence(self) -> ConfidenceProvider:
        return self.base.default_confidence()

    def prepare(self, expert: Expert, dataset: Dataset) -> None:
        """Let detectors answer in the labels of the first one; a classifier answers as it is.

        Raises:
            OrxeError: a detector has other labels than the first one, which ``remap`` does not explain.
        """
        if isinstance(expert, DetectorExpert):
            self._names = self._names or expert.answer_names
            expert.remap_to(self._names)

    def assess(self, outputs: Any, targets: Sequence[Any], keep: str) -> Scored:
        if all(target is None for target in targets):
            return Scored(np.zeros(len(targets)), self.base.predictions(outputs, keep))
        return self.base.assess(outputs, targets, keep)

    def valid(self, outputs: Any) -> np.ndarray:
        return self.base.valid(outputs)

    def describe(self, outputs: Any) -> list[str]:
        return self.base.describe(outputs)

    def values(self, outputs: Any) -> list[dict[str, Any]]:
        return self.base.values(outputs)

    @property
    def metric_is_mean(self) -> bool:
        return self.base.metric_is_mean

    def metric(self, score: np.ndarray, predictions: Mapping[str, np.ndarray], targets: Sequence[Any]) -> float:
        return self.base.metric(score, predictions, targets)

    def scores_in_data(self, predictions: Mapping[str, Any], targets: Sequence[Any]) -> np.ndarray | None:
        return self.base.scores_in_data(predictions, targets)

    def metric_of_routing(
        self, predictions: Mapping[str, Any], targets: Sequence[Any]
    ) -> Callable[[np.ndarray], float] | None:
        return self.base.metric_of_routing(predictions, targets)

    def routed_metric(
        self, predictions: Mapping[str, Any], targets: Sequence[Any]
    ) -> Callable[[np.ndarray, np.ndarray], float] | None:
        return self.base.routed_metric(predictions, targets)
