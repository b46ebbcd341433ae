"""One shard: the answers of one expert on consecutive samples, batch by batch."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from orxe_plugins.confidence.gate import gate_inputs
from orxe_plugins.data.batch import take_rows
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.columns import scatter, to_arrow
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.tasks.task import Task

#: columns of every shard; the task's prediction columns stand beside them
COLUMNS = ("sample_id", "target", "confidence", "score", "error", "gate_input", "content")
#: a shard with fewer samples may be invalid as a whole: the last shard may hold one bad image
_MANY = 8


@dataclass(frozen=True)
class Loaded:
    """One sample, ready for a batch.

    Attributes:
        index: its position in the data set.
        view: its part of a batch; None if it cannot be read.
        error: why it cannot be read; None if it can.
    """

    index: int
    view: Any
    error: str | None


class ShardBuilder:
    """Collects an expert's answers on the samples of one shard.

    Args:
        expert: gives the answers.
        task: scores them and says what is kept of them.
        dataset: where the samples come from.
        options: how much is kept: ``keep``, and with ``features`` what a ranking gate would see, as column
            ``gate_input``.
        setup: what the cascade decides that the expert is recorded for.
        contents: hash of the files of each sample of the data set; None where they are not known.
    """

    def __init__(
        self,
        expert: Expert,
        task: Task,
        dataset: Dataset,
        options: RecordOptions,
        setup: CascadeSetup,
        contents: Sequence[str] | None = None,
    ) -> None:
        self._expert = expert
        self._task = task
        self._dataset = dataset
        self._keep = task.default_keep if options.keep is None else options.keep
        self._features = options.features
        self._contents = contents
        self._setup = setup
        self._gate_inputs: list[np.ndarray] = []
        self._samples: list[int] = []
        self._errors: list[str | None] = []
        self._readable = 0
        self._confidence: list[np.ndarray] = []
        self._score: list[np.ndarray] = []
        self._columns: list[Mapping[str, Any]] = []

    def add(self, items: Sequence[Loaded], to_batch: Callable[[list[Any]], Any]) -> None:
        """Run the expert on a batch.

        Args:
            items: B samples; those that cannot be read are left out of the batch.
            to_batch: makes a batch of the views of the others.
        """
        self._samples += [item.index for item in items]
        readable = [item for item in items if item.error is None]
        self._readable += len(readable)
        errors = {item.index: item.error for item in items}
        if readable:
            batch = to_batch([item.view for item in readable])
            self._expert.measure_cost(batch[:1])
            with torch.inference_mode():
                errors |= self._answer(batch, [item.index for item in readable])
        self._errors += [errors[item.index] for item in items]

    def _answer(self, batch: Any, samples: list[int]) -> dict[int, str]:
        """Keep the answers that can be used; the others' reasons come back."""
        name = self._expert.name
        context = BatchContext(len(samples), self._setup)
        with self._expert.tap_features(context, self._features) as tap:
            answers = self._expert.run(batch, context)
        valid = np.asarray(self._task.valid(answers.outputs), dtype=bool)
        if len(valid) != len(samples) or len(answers.confidence) != len(samples):
            raise OrxeError(f"expert {name!r} gave {len(valid)} answers to a batch of {len(samples)} samples")
        errors = {samples[i]: f"expert {name!r} answered NaN" for i in np.flatnonzero(~valid)}
        if not valid.any():
            return errors
        outputs, kept = answers.outputs, np.flatnonzero(valid)
        if errors:
            outputs = take_rows(outputs, torch.from_numpy(kept))
        confidence = answers.confidence.float().cpu().numpy()[kept]
        # A NaN counts as 0 everywhere, so comparisons have to let it pass.
        if (confidence < 0).any() or (confidence > 1).any():
            raise OrxeError(
                f"the confidence of expert {name!r} lies in [{np.nanmin(confidence):g}, {np.nanmax(confidence):g}]: "
                "expected values in [0, 1]"
            )
        scored = self._task.assess(outputs, [self._dataset.targets[samples[i]] for i in kept], self._keep)
        score = np.asarray(scored.score, np.float64)
        if not np.isfinite(score).all():
            sample = self._dataset.sample_ids[samples[kept[np.flatnonzero(~np.isfinite(score))[0]]]]
            raise OrxeError(f"the score of expert {name!r} on {sample!r} is not finite: check the sample's target")
        self._confidence.append(np.nan_to_num(confidence, nan=0.0))
        self._score.append(score)
        self._columns.append(scored.columns)
        if self._features and tap is not None:
            rows = tap.features(len(samples))[torch.from_numpy(kept).to(self._expert.device)]
            self._gate_inputs.append(gate_inputs(outputs, rows, self._task.gate_summary).float().cpu().numpy())
        return errors

    def columns(self, few: bool = False) -> dict[str, pa.Array]:
        """The finished shard.

        Args:
            few: these are some rows of a shard, of which none need have an answer.

        Raises:
            OrxeError: there is no usable answer to any of many samples; nothing of it is worth keeping.
        """
        valid = np.array([error is None for error in self._errors])
        if not few and not valid.any() and len(valid) >= _MANY:
            self._raise_all_invalid()
        columns = {
            "sample_id": pa.array([self._dataset.sample_ids[i] for i in self._samples], pa.string()),
            "confidence": to_arrow(_spread(self._confidence, valid, np.float32)),
            "score": to_arrow(_spread(self._score, valid, np.float64)),
            "error": pa.array(self._errors, pa.string()),
        }
        if self._contents is not None:
            columns["content"] = pa.array([self._contents[i] for i in self._samples], pa.string())
        targets = _numbers([self._dataset.targets[i] for i in self._samples])
        if targets is not None:
            columns["target"] = pa.array(targets)
        if self._gate_inputs:
            columns["gate_input"] = to_arrow(scatter(_joined(self._gate_inputs), valid))
        for key in self._columns[0] if self._columns else ():
            if key in COLUMNS:
                raise OrxeError(f"task {self._task.kind!r} keeps a column {key!r}, which records have already")
            parts = [part[key] for part in self._columns]
            columns[key] = to_arrow(scatter(_joined(parts), valid))
        return columns

    def _raise_all_invalid(self) -> None:
        count, first = len(self._samples), self._dataset.sample_ids[self._samples[0]]
        if self._readable:
            raise OrxeError(
                f"expert {self._expert.name!r} answered NaN to each of {self._readable} samples from {first!r} on: "
                "check its weights, its preprocessing and its number format"
            )
        raise OrxeError(
            f"none of {count} samples from {first!r} on can be read (the first: {self._errors[0]}): "
            "mend them, or take them out of the data folder"
        )


def _spread(parts: list[np.ndarray], valid: np.ndarray, dtype: Any) -> np.ndarray:
    spread = scatter(np.concatenate([np.zeros(0), *parts]).astype(dtype), valid)
    assert isinstance(spread, np.ndarray)
    return spread


def _joined(parts: list[Any]) -> Any:
    """Rows of several batches in one column."""
    if isinstance(parts[0], np.ndarray) and parts[0].dtype != object:
        return np.concatenate(parts)
    return [row for part in parts for row in part]


def _numbers(targets: Sequence[Any]) -> np.ndarray | None:
    """Targets as an array if each is one number."""
    if all(isinstance(target, numbers.Integral) for target in targets):
        return np.array(targets, dtype=np.int64)
    if all(isinstance(target, numbers.Real) for target in targets):
        return np.array(targets, dtype=np.float64)
    return None
