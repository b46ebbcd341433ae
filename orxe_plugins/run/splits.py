"""The third step: which samples thresholds are fitted on, promises tested on and both reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.run.measurable import in_parts
from orxe_plugins.run.recipe import Data
from orxe_plugins.run.recording import Recorded, read_recorded
from orxe_plugins.run.run import Run


@dataclass(frozen=True, eq=False)
class Splits:
    """The records of a run in parts: no sample is in two of them, unless ``same``.

    Attributes:
        fit: the fitting split.
        report: the reporting split.
        same: whether both hold the same samples, so that the report is too favourable.
        gate: what ranking gates are trained on, apart from all others; None if the recipe has none.
        choose: the choosing split, which promises are tested on; None if the recipe has none.
    """

    fit: Records
    report: Records
    same: bool
    gate: Records | None = None
    choose: Records | None = None

    def map(self, function: Callable[[Records], Records]) -> Splits:
        """The splits with ``function`` applied to those that thresholds are fitted, tested and reported on."""
        choose = None if self.choose is None else function(self.choose)
        return replace(self, fit=function(self.fit), report=function(self.report), choose=choose)


def splits_of(run: Run, recorded: Recorded | None = None) -> Splits:
    """The splits of a run, as its recipe asks for them.

    Args:
        run: the run.
        recorded: what was recorded; read from the output folder by default.
    """
    recorded = recorded or read_recorded(run)
    splits = split_records(run.recipe.data, recorded.fit, recorded.report)
    if run.recipe.gates is None:
        return splits
    gate, fit = splits.fit.split(run.recipe.gates.share, seed=run.recipe.data.split.seed + 1)
    return replace(splits, fit=fit, gate=gate)


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
