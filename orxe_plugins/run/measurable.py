"""How samples are split, and whether each part can be measured on at all, known before anything is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.records.records import split_positions
from orxe_plugins.run.recipe import Data
from orxe_plugins.run.run import Run


class _Samples(Protocol):
    """What can be split as records are."""

    def split(self, fraction: float, seed: int = 0) -> Any: ...


_S = TypeVar("_S", bound=_Samples)


def in_parts(data: Data, fit: _S, report: _S) -> tuple[_S, _S, _S | None]:
    """The samples to fit on, to report on and to choose on, as a recipe's ``data`` says.

    Args:
        data: the recipe's data.
        fit: the samples of ``root``, which may be augmented.
        report: the samples to report on; those of ``root`` where there is no ``report_root``.
    """
    share = data.split
    choose = None
    if data.report_root is None and share.fit < 1:
        rest = report.split(share.fit, share.seed)[1]
        fit = fit.split(share.fit, share.seed)[0]
        if share.choose:
            choose, rest = rest.split(share.choose / (1 - share.fit), share.seed + 2)
        report = rest
    elif data.report_root is not None and share.choose:
        choose, fit = fit.split(share.choose, share.seed + 2)
    return fit, report, choose


@dataclass(frozen=True, eq=False)
class _Listed:
    """A data set that is split as its records will be, if none of its samples is skipped."""

    dataset: Dataset

    def split(self, fraction: float, seed: int = 0) -> tuple[_Listed, _Listed]:
        first, second = split_positions(self.dataset.sample_ids, fraction, seed)
        return _Listed(self.dataset.select(first.tolist())), _Listed(self.dataset.select(second.tolist()))


def check_measurable(run: Run) -> None:
    """Raise unless the fitting, the reporting and the choosing split can each be measured on.

    Raises:
        OrxeError: one of them cannot, see :meth:`orxe_plugins.tasks.Task.check`.
    """
    data = run.recipe.data
    fit, report = (_Listed(run.dataset(root)) for root in (data.root, data.report_root or data.root))
    for listed in (fit, report):
        run.task.check(listed.dataset)
    for name, part in zip(("fitting", "reporting", "choosing"), in_parts(data, fit, report), strict=True):
        if part is not None and len(part.dataset):
            run.task.check(part.dataset, f"the {name} split")
