"""The third step: which samples thresholds are fitted on, promises tested on and both reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.run.measurable import in_parts
from orxe_plugins.run.recipe import Data
from orxe_plugins.run.recording import Recorded, read_recorded
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Splits:
    """The records of a run in parts: no sample is in two of them, unless ``same``.

    Attributes:
        fit: the fitting split.
        report: the reporting split.
        same: whether both hold the same samples, so that the report is too favourable.
        gate: what ranking gates are trained on, apart from all others; None if the recipe has none.
        choose: the choosing split, which promises are tested on; None if the recipe has none.
        targets: what the data set says of the fitting split's samples, where policies are polished by the task's
            metric; empty elsewhere.
        unlabelled: samples of ``data.unlabelled``, whose scores mean nothing; None if the recipe has none.
    """

    fit: Records
    report: Records
    same: bool
    gate: Records | None = None
    choose: Records | None = None
    targets: tuple[Any, ...] = ()
    unlabelled: Records | None = None

    def map(self, function: Callable[[Records], Records]) -> Splits:
        """The splits with ``function`` applied to all but what gates are trained on."""
        choose, unlabelled = (None if part is None else function(part) for part in (self.choose, self.unlabelled))
        return replace(self, fit=function(self.fit), report=function(self.report), choose=choose, unlabelled=unlabelled)


def splits_of(run: Run, recorded: Recorded | None = None) -> Splits:
    """The splits of a run, as its recipe asks for them.

    Args:
        run: the run.
        recorded: what was recorded; read from the output folder by default.
    """
    recorded = recorded or read_recorded(run)
    splits = split_records(run.recipe.data, recorded.fit, recorded.report)
    splits = replace(splits, unlabelled=recorded.unlabelled)
    if run.recipe.gates is not None:
        gate, fit = splits.fit.split(run.recipe.gates.share, seed=run.recipe.data.split.seed + 1)
        splits = replace(splits, fit=fit, gate=gate)
    return _scored_in_data(run, recorded, splits)


def _scored_in_data(run: Run, recorded: Recorded, splits: Splits) -> Splits:
    """The splits with scores that take their samples as one data set, of tasks that have such.

    The choosing split keeps its recorded scores: a promise needs scores in [0, 1] that do not depend on other samples.
    """
    known: dict[int, Records] = {}
    targets: tuple[Any, ...] = ()

    def scored(records: Records, fitting: bool) -> Records:
        nonlocal targets
        if id(records) not in known:
            said = samples_of(run, records, recorded, fitting).targets
            score = run.task.scores_in_data(records.predictions, said)
            known[id(records)] = records if score is None else replace(records, score=score)
            if score is not None and records is splits.fit:
                targets = tuple(said)
        return known[id(records)]

    if type(run.task).scores_in_data is Task.scores_in_data:
        return splits
    fit, gate = scored(splits.fit, True), None if splits.gate is None else scored(splits.gate, True)
    return replace(splits, fit=fit, gate=gate, report=scored(splits.report, False), targets=targets)


def split_records(data: Data, fit: Records, report: Records) -> Splits:
    """Split what was recorded as a recipe's ``data`` says.

    Args:
        data: the recipe's data.
        fit: the recording for fitting, which may be augmented.
        report: the recording for reporting; of the same samples where there is no ``report_root``. The
            choosing split is then taken from it, so that promises are about images as they are reported on.

    Raises:
        OrxeError: a split is empty.
    """
    fit, report, choose = in_parts(data, fit, report)
    if not len(fit) or not len(report) or (choose is not None and not len(choose)):
        between = "" if choose is None else f", {len(choose)} to choose on"
        raise OrxeError(
            f"{len(fit)} samples to fit on{between} and {len(report)} to report on: expected some for "
            + ("both" if choose is None else "each")
        )
    return Splits(fit, report, data.report_root is None and data.split.fit == 1, choose=choose)
