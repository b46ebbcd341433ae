"""Real routed inference over a data set, to set beside replay."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.data.batch import batch_of
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.records.options import INPUT_MODES
from orxe_plugins.records.records import Records
from orxe_plugins.search.replay import replay
from orxe_plugins.tasks.task import Task
from orxe_plugins.util.progress import Progress, Silent


@dataclass(frozen=True, eq=False)
class RoutedOutcome:
    """What a cascade answered to M samples.

    Attributes:
        sample_ids: M ids.
        expert: index of the expert that answered, (M,).
        cost: cost per sample, (M,).
        score: score per sample, (M,).
    """

    sample_ids: np.ndarray
    expert: np.ndarray
    cost: np.ndarray
    score: np.ndarray

    def exit_share(self, n_experts: int) -> np.ndarray:
        """Share of the samples that each expert answered, (N,)."""
        return np.bincount(self.expert, minlength=n_experts) / max(len(self.expert), 1)


@torch.inference_mode()
def run_routed(
    cascade: Cascade,
    dataset: Dataset,
    task: Task,
    *,
    input_mode: str = "originals",
    batch_size: int = 64,
    progress: Progress | None = None,
) -> RoutedOutcome:
    """Send a data set through a cascade, under the policy in force.

    Args:
        cascade: the cascade, in evaluation mode.
        dataset: the samples; unreadable ones are an error here, leave them out by ``select``.
        task: says what a sample's score is.
        input_mode: "originals" hands over images, "tensor" one float tensor of the cascade's input view.
        batch_size: samples that an expert is handed at once, see :meth:`orxe_plugins.Cascade.stream`.
        progress: draws progress; silent by default.
    """
    if input_mode not in INPUT_MODES:
        raise OrxeError(f"input_mode is {input_mode!r}: expected one of {', '.join(INPUT_MODES)}")
    view = cascade.input_view if input_mode == "tensor" else None
    if input_mode == "tensor" and view is None:
        raise OrxeError("this cascade has no classifiers that share one tensor: use the input mode 'originals'")
    bar = progress or Silent()
    bar.start(len(dataset), f"routed inference ({input_mode})")
    images = (dataset.load(i) for i in range(len(dataset)))
    samples = images if view is None else (view.from_images([image])[0] for image in images)
    answers = cascade.stream(samples, batch_size)
    expert, cost, score = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0)]
    while some := list(islice(answers, batch_size)):
        expert.append(np.array([answer.expert for answer in some]))
        cost.append(np.array([answer.cost for answer in some]))
        targets = [dataset.targets[answer.index] for answer in some]
        score.append(task.score(batch_of([answer.output for answer in some]), targets))
        bar.advance(len(some))
    ids = np.array(list(dataset.sample_ids), dtype=object)
    return RoutedOutcome(ids, np.concatenate(expert), np.concatenate(cost), np.concatenate(score))


def disagreements(
    routed: RoutedOutcome, records: Records, policy: Policy | PolicyRow, tolerance: float = 1e-4
) -> list[str]:
    """Ids of samples that routed inference and replay send to different experts.

    A sample with any confidence within ``tolerance`` of a threshold in force is left out: batch
    composition moves floating-point results by that little.

    Args:
        routed: the outcome of real inference on the same samples, in the order of ``records``.
        records: what was recorded of them.
        policy: the policy that both were under.
    """
    if routed.sample_ids.tolist() != records.sample_ids.tolist():
        raise OrxeError("routed inference and records are of different samples, or in a different order")
    policy = as_policy(policy)
    replayed = replay(records, policy).expert
    thresholds = np.array([t for t in (*policy.exit_thresholds, *policy.skip_thresholds) if t])
    if len(thresholds):
        distance = np.abs(records.confidence[:, :, None] - thresholds).min(axis=(0, 2))  # (M,)
    else:
        distance = np.full(len(records), np.inf)
    differ = (routed.expert != replayed) & (distance > tolerance)
    return [str(i) for i in records.sample_ids[differ]]
