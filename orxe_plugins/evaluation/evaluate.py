"""Evaluate: replay every policy and every single expert on the reporting split, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.estimates import estimate_policies
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import (
    Choice,
    Evaluation,
    ExpertResult,
    IntervalSettings,
    PolicyResult,
    PromiseResult,
    Result,
    Samples,
)
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import Promise
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records


def evaluate(
    table: PolicyTable,
    records: Records,
    *,
    fitted_on: Records | None = None,
    metric: Metric | None = None,
    selection: Selection | None = None,
    intervals: IntervalSettings | None = None,
    extras: Mapping[str, Sequence[float]] | None = None,
) -> Evaluation:
    """Replay every policy of a table, and every expert alone, on the reporting split.

    The reporting split has no part in any choice: the policy that the summary is about
    is chosen by the table's own figures, which come from the fitting split.

    Args:
        table: policies for the N experts of ``records``, fitted on other samples.
        records: the reporting split.
        fitted_on: the records that the table was fitted on. With them, the report says where they
            come from, whether they were augmented, and whether both splits share samples.
        metric: what the score of a data set is; by default the mean score, called "score".
        selection: which fitted policy the summary is about; by default the cheapest one that loses nothing against the
            last expert, or else the one with the best score.
        intervals: how intervals are made.
        extras: more figures for each row of the table: name -> one number for each row.

    Raises:
        OrxeError: the records are empty, the table is for other experts or another unit of cost, or no fitted policy
            is what ``selection`` asks for.
    """
    table.check_n_experts(records.n_experts)
    if not len(records):
        raise OrxeError("the reporting split holds no sample: there is nothing to report")
    if table.cost_unit != records.cost_unit:
        raise OrxeError(
            f"the policies were fitted to a cost in {table.cost_unit}, but the records count {records.cost_unit}: "
            "fit them again on records of one unit"
        )
    figures = _row_extras(table, extras or {})
    metric = metric or Metric()
    settings = intervals or IntervalSettings()
    alone = [Policy.only(i, records.n_experts) for i in range(records.n_experts)]
    promised = [one.row.policy for one in table.promises if one.row is not None]
    results = estimate_policies([*(row.policy for row in table), *promised, *alone], records, metric, settings)
    return Evaluation(
        policies=tuple(
            PolicyResult(row.preference, row.policy, results[row.policy], row.cost, row.score, extra)
            for row, extra in zip(table, figures, strict=True)
        ),
        experts=tuple(
            ExpertResult(i, name, None if records.params is None else int(records.params[i]), results[alone[i]])
            for i, name in enumerate(records.names)
        ),
        choice=_choose(table, selection),
        metric_name=metric.name,
        percent=metric.percent,
        cost_unit=records.cost_unit,
        reported_on=samples_of(records, "reporting split"),
        fitted_on=_fit_samples(table, fitted_on),
        shared_samples=_shared(records, fitted_on),
        intervals=settings,
        promises=tuple(_promised(promise, results, results[alone[-1]]) for promise in table.promises),
    )


def samples_of(records: Records, split: str) -> Samples:
    """What records say of where their samples come from."""
    known = records.details
    augment = known.get("augment")
    dataset = known.get("dataset") or ""
    return Samples(
        data=str(dataset.get("name", "") if isinstance(dataset, Mapping) else dataset),
        split=split,
        count=len(records),
        path=known.get("path"),
        # The records name their augmentation, or only say that there was one.
        augment=None if not augment else "yes" if augment is True else str(augment),
        augment_known="augment" in known,
        skipped=tuple((str(sample), str(reason)) for sample, reason in records.skipped),
    )


def _fit_samples(table: PolicyTable, fitted_on: Records | None) -> Samples:
    if fitted_on is not None:
        return samples_of(fitted_on, "fitting split")
    return Samples("", "fitting split", table.n_samples)


def _shared(records: Records, fitted_on: Records | None) -> int | None:
    if fitted_on is None:
        return None
    return len(set(records.sample_ids.tolist()) & set(fitted_on.sample_ids.tolist()))


def _promised(promise: Promise, results: Mapping[Policy, Result], last: Result) -> PromiseResult:
    result = None if promise.row is None else results[promise.row.policy]
    return PromiseResult(promise, result, None if result is None else last.mean_score - result.mean_score)


def _row_extras(table: PolicyTable, extras: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    for name, values in extras.items():
        if len(values) != len(table):
            raise OrxeError(f"extras[{name!r}] has {len(values)} numbers: expected {len(table)}, one for each policy")
    return [{name: float(values[i]) for name, values in extras.items()} for i in range(len(table))]


def _choose(table: PolicyTable, selection: Selection | None) -> Choice:
    # The report has a row for each fitted preference: what lies between them is not chosen here.
    table = replace(table, pareto=(), compact=(), promises=())
    if selection is not None:
        return _chosen(table, selection)
    try:
        return _chosen(table, Selection(max_drop=0.0))
    except OrxeError:
        best = max(table.rows, key=lambda each: (each.score, -each.cost))
        reason = "the one with the best score there, as every policy loses more than is allowed"
        return Choice(table.rows.index(best), reason)


def _chosen(table: PolicyTable, selection: Selection) -> Choice:
    row = table.choose(selection)
    reasons = {
        "preference": f"the one of preference {row.preference:g}",
        "budget": f"the one with the best score that costs at most {selection.budget} {table.cost_unit} there",
        "target": f"the cheapest one that scores at least {selection.target} there",
        "max_drop": f"the cheapest one that loses {_points(selection.max_drop)} against the last expert there",
    }
    return Choice(table.rows.index(row), reasons[selection.goal])


def _points(max_drop: float | None) -> str:
    return f"at most {100 * max_drop:g} points" if max_drop else "nothing"
