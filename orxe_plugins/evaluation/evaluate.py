"""Evaluate: replay every policy and every single expert on the reporting split, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.evaluation.candidates import (
    Candidate,
    candidates_of,
    choose,
    choose_asked,
    mixture,
    negligible_drop,
)
from orxe_plugins.evaluation.estimates import Estimates, estimates, points
from orxe_plugins.evaluation.formats import Formats
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.oddities import (
    aimless_experts,
    odd_choice,
    odd_experts,
    odd_preferences,
    odd_samples,
    odd_shift,
)
from orxe_plugins.evaluation.powered import powered_sentence, with_unlabelled
from orxe_plugins.evaluation.results import (
    Choice,
    Evaluation,
    ExpertResult,
    OtherPolicy,
    PolicyResult,
    PromiseResult,
    Result,
)
from orxe_plugins.evaluation.samples import IntervalSettings, Samples, samples_of
from orxe_plugins.evaluation.verdict import Mixing, Words, asked_alone, judge
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import Promise
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.model import ExpectedScores


def evaluate(
    table: PolicyTable,
    records: Records,
    *,
    fitted_on: Records | None = None,
    metric: Metric | None = None,
    selection: Selection | None = None,
    intervals: IntervalSettings | None = None,
    extras: Mapping[str, Sequence[float]] | None = None,
    unlabelled: Records | None = None,
) -> Evaluation:
    """Replay every policy of a table, and every expert alone, on the reporting split.

    The reporting split has no part in any choice: the policy that the summary is about is chosen by figures of the
    fitting split, among the fitted rows, those between them and every single expert.

    Args:
        table: policies for the N experts of ``records``, fitted on other samples.
        records: the reporting split.
        fitted_on: the records that the table was fitted on. With them, every single expert competes (the last one
            does anyway), and the report says where they come from, whether they were augmented, and whether both
            splits share samples.
        metric: what the score of a data set is; by default the mean score, called "score".
        selection: which row of the table the summary is about; by default the best one in the sense of
            :func:`orxe_plugins.evaluation.candidates.choose`.
        intervals: how intervals are made.
        unlabelled: more samples of the same experts, without labels. With ``fitted_on``, and a metric that is a mean,
            scores and differences are then prediction-powered (:mod:`orxe_plugins.evaluation.powered`).
        extras: more figures for each row of the table: name -> one number for each row.

    Raises:
        OrxeError: the records are empty, the table is for other experts or another unit of cost, or no fitted policy
            is what ``selection`` asks for.
    """
    _check(table, records, fitted_on)
    metric = Metric() if metric is None else metric
    settings = IntervalSettings() if intervals is None else intervals
    check_type("metric", metric, Metric, "such as Metric('top1')")
    check_type("intervals", settings, IntervalSettings, "such as IntervalSettings(resamples=2000)")
    if selection is not None:
        check_type("selection", selection, Selection, "such as Selection(budget=1.2)")
    figures = _row_extras(table, {} if extras is None else extras)
    candidates = candidates_of(table, fitted_on)
    if selection is None:
        chosen = choose(candidates, fitted_on, negligible_drop(table))
    else:
        chosen = choose_asked(table, candidates, selection)
    alone = [Policy.only(i, records.n_experts) for i in range(records.n_experts)]
    promised = [one.row.policy for one in table.promises if one.row is not None]
    wanted = [*(row.policy for row in table), *promised, chosen.candidate.policy, *alone]
    estimated = estimates(wanted, records, metric, settings)
    results = estimated.results
    said: tuple[str, ...] = ()
    if unlabelled is not None:
        said = (powered_sentence(records, unlabelled),)
        results = with_unlabelled(results, records, unlabelled, _expects(fitted_on, metric), settings.level)
    experts = tuple(
        ExpertResult(i, name, None if records.params is None else int(records.params[i]), results[alone[i]])
        for i, name in enumerate(records.names)
    )
    policies = tuple(
        PolicyResult(row.preference, row.policy, results[row.policy], row.cost, row.score, extra)
        for row, extra in zip(table, figures, strict=True)
    )
    result = _chosen_result(chosen.candidate, policies, results)
    scores = [expert.result.score.value for expert in experts]
    formats = Formats.for_samples(len(records), metric.percent, records.cost_unit, scores)
    relative_to = str(records.details.get("relative_to", ""))
    words = Words.of(formats, metric.name, records.names, settings.level, relative_to)
    verdict = judge(chosen, result, experts, _mixing(result, experts, alone, estimated), words)
    return Evaluation(
        policies=policies,
        experts=experts,
        choice=Choice(result, chosen.candidate.kind, chosen.reason),
        verdict=replace(verdict, more=(*verdict.more, *said)),
        metric_name=metric.name,
        percent=metric.percent,
        cost_unit=records.cost_unit,
        reported_on=samples_of(records, "reporting split"),
        fitted_on=_fit_samples(table, fitted_on),
        shared_samples=_shared(records, fitted_on),
        intervals=settings,
        promises=tuple(_promised(promise, results, results[alone[-1]]) for promise in table.promises),
        others=_others(candidates, records, metric),
        notes=(
            *odd_choice(chosen, experts[-1].result.cost.value, words.names, records.cost_unit),
            *aimless_experts(records),
            *odd_experts(records),
            *odd_samples(records),
            *odd_shift(fitted_on, records),
            *odd_preferences(table),
        ),
    )


def _check(table: PolicyTable, records: Records, fitted_on: Records | None) -> None:
    """Refuse records that a table cannot be reported on."""
    check_type("table", table, PolicyTable, "fit_policies(records, preferences) gives one")
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    if fitted_on is not None:
        check_type("fitted_on", fitted_on, Records, "give the records that the table was fitted on")
    table.check_n_experts(records.n_experts)
    if not len(records):
        raise OrxeError("the reporting split holds no sample: there is nothing to report")
    if table.cost_unit != records.cost_unit:
        raise OrxeError(
            f"the policies were fitted to a cost in {table.cost_unit}, but the records count {records.cost_unit}: "
            "fit them again on records of one unit"
        )
    if fitted_on is not None and fitted_on.names != records.names:
        raise OrxeError(
            f"fitted_on has the experts {', '.join(fitted_on.names)}, but the reporting split has "
            f"{', '.join(records.names)}: give records of the same experts, in the same order"
        )


def _expects(fitted_on: Records | None, metric: Metric) -> ExpectedScores:
    """What expects the scores of unlabelled samples."""
    if fitted_on is None or metric.function is not None:
        why = f"{metric.name} is no mean of scores" if fitted_on is not None else "fitted_on is not given"
        raise OrxeError(f"unlabelled samples help where scores can be expected and averaged, but {why}")
    return ExpectedScores.fit(fitted_on)


def _chosen_result(
    candidate: Candidate, policies: Sequence[PolicyResult], results: Mapping[Policy, Result]
) -> PolicyResult:
    for one in policies:
        if one.policy == candidate.policy:
            return one
    return PolicyResult(
        candidate.preference, candidate.policy, results[candidate.policy], candidate.cost, candidate.score
    )


def _mixing(
    result: PolicyResult, experts: Sequence[ExpertResult], alone: Sequence[Policy], estimated: Estimates
) -> Mixing | None:
    """What random mixing of single experts reaches at the policy's cost on the reporting split."""
    cost = [expert.result.cost.value for expert in experts]
    score = [expert.result.score.value for expert in experts]
    if len(experts) < 2 or not np.isfinite(score).all() or asked_alone(result) is not None:
        return None
    parts = mixture(cost, score, result.result.cost.value)
    gain = estimated.above_mixture(result.policy, [(alone[i], share) for i, share in parts])
    return Mixing(tuple(i for i, _ in parts), gain)


def _others(candidates: Sequence[Candidate], records: Records, metric: Metric) -> tuple[OtherPolicy, ...]:
    """The policies between the fitted ones, on the reporting split."""
    between = [each for each in candidates if each.kind in ("pareto", "compact")]
    figures = points([each.policy for each in between], records, metric)
    return tuple(
        OtherPolicy(each.kind, each.preference, each.policy, cost, score, each.cost, each.score)
        for each, (cost, score) in zip(between, figures, strict=True)
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
    check_type("extras", extras, Mapping, "such as {'gap': [...]}, one number for each row")
    for name, values in extras.items():
        check_type(f"extras[{name!r}]", values, (Sequence, np.ndarray), "one number for each row")
        if len(values) != len(table):
            raise OrxeError(f"extras[{name!r}] has {len(values)} numbers: expected {len(table)}, one for each policy")
    return [{name: float(values[i]) for name, values in extras.items()} for i in range(len(table))]
