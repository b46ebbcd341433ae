"""The tables of an evaluation: its policies, their thresholds, the single experts."""

from __future__ import annotations

from collections.abc import Sequence

from orxe_plugins.evaluation.results import Evaluation, ExpertResult, PolicyResult, Result
from orxe_plugins.policies.policy import Policy
from orxe_plugins.report.formats import (
    Formats,
    cost_unit_meaning,
    metric_head,
    plain,
    preference_range,
    short_names,
    threshold_text,
)
from orxe_plugins.report.tables import Column, Table

_EXTRA_HINTS = {"Gap": "objective on the fitting split minus a lower bound for every policy"}


def policy_table(evaluation: Evaluation) -> Table:
    """One row for each policy; adjacent preferences with the same policy share a row."""
    formats = Formats.of(evaluation)
    groups = evaluation.merged()
    shown = [*(group[0] for group in groups), *_chosen_between(evaluation)]
    used = [i for i in range(len(evaluation.experts)) if any(row.result.exit_share[i] for row in shown)]
    names = short_names(evaluation.names)
    extras = list(dict.fromkeys(key for row in evaluation.policies for key in row.extras))
    columns = (
        Column("Preference", numeric=False),
        *_figure_columns(evaluation),
        Column("Optimism", drop=4, hint="mean score on the fitting split minus that on the reporting split"),
        *(Column(name, drop=4, hint=_EXTRA_HINTS.get(name, "given by the search")) for name in extras),
        Column("Exit share %", numeric=False, in_files=False),
        *(Column(f"#{i + 1} %", hint=f"share of the samples that {names[i]} answers", in_terminal=False) for i in used),
    )
    rows = tuple(_policy_row(group, formats, used, extras) for group in groups)
    between = _chosen_between(evaluation)
    if between:
        rows += (_policy_row(between, formats, used, extras),)
    note = "#1, #2, ... are the experts below, cheapest first. The marked row was chosen on the fitting split."
    return Table(f"Policies ({evaluation.reported_on.title})", columns, rows, _chosen_row(evaluation), note)


def threshold_table(evaluation: Evaluation) -> Table:
    """The thresholds of each policy; only files show it."""
    groups = [*evaluation.merged(), *((between,) if (between := _chosen_between(evaluation)) else ())]
    rows = tuple((_preferences(g), thresholds_text(g[0].policy)) for g in groups)
    columns = (Column("Preference", numeric=False), Column("Experts and thresholds", numeric=False))
    note = "A sample exits at the first expert that runs on it with a confidence of at least the exit threshold."
    return Table("Thresholds", columns, rows, _chosen_row(evaluation), note, in_terminal=False)


def thresholds_text(policy: Policy) -> str:
    """The thresholds in words: "#1 exits at 0.620, #3 exits at 0.801 and is skipped below 0.200, #8 answers the rest".

    Experts that no sample can reach are left out.
    """
    parts: list[str] = []
    for i in policy.enabled:
        # Before the first expert that runs there is no confidence that could be below a skip threshold.
        skipped = bool(parts) and i < policy.n_experts - 1 and policy.skip_thresholds[i] > 0
        if i == policy.n_experts - 1 or (policy.exit_thresholds[i] == 0 and not skipped):
            return ", ".join([*parts, f"#{i + 1} answers {'the rest' if parts else 'all'}"])
        below = f" and is skipped below {threshold_text(policy.skip_thresholds[i])}" if skipped else ""
        parts.append(f"#{i + 1} exits at {threshold_text(policy.exit_thresholds[i] or 0.0)}{below}")
    raise AssertionError("the last expert always runs")


def expert_table(evaluation: Evaluation) -> Table:
    """One row for each expert, which answers all samples alone."""
    formats = Formats.of(evaluation)
    with_params = any(expert.params is not None for expert in evaluation.experts)
    columns = (
        Column("#"),
        Column("Expert", numeric=False),
        *((Column("Params (M)", drop=5, hint="millions of parameters"),) if with_params else ()),
        *_figure_columns(evaluation),
    )
    names = short_names(evaluation.names, width=48)
    rows = tuple(_expert_row(expert, names[expert.index], formats, with_params) for expert in evaluation.experts)
    marked = frozenset({i for i in range(len(rows)) if evaluation.choice.kind == "expert" and _answers(evaluation, i)})
    return Table(f"Single experts ({evaluation.reported_on.title})", columns, rows, marked)


def _answers(evaluation: Evaluation, expert: int) -> bool:
    return evaluation.chosen.policy.reachable == (expert,)


def _chosen_row(evaluation: Evaluation) -> frozenset[int]:
    groups = [*evaluation.merged(), _chosen_between(evaluation)]
    return frozenset(i for i, group in enumerate(groups) if evaluation.chosen in group)


def _chosen_between(evaluation: Evaluation) -> tuple[PolicyResult, ...]:
    """The chosen policy, where it is a row between the fitted ones: it has a line of its own at the end."""
    return () if evaluation.choice.kind in ("fitted", "expert") else (evaluation.chosen,)


def _preferences(group: Sequence[PolicyResult]) -> str:
    return preference_range([round(row.preference, 3) for row in group])


def _policy_row(
    group: Sequence[PolicyResult], formats: Formats, used: Sequence[int], extras: Sequence[str]
) -> tuple[str, ...]:
    first = group[0]
    share = first.result.exit_share
    answering = ", ".join(f"#{i + 1} {formats.share(share[i])}" for i in used if share[i])
    return (
        _preferences(group),
        *_figures(first.result, formats),
        formats.difference(first.optimism),
        *(plain(first.extras[name]) if name in first.extras else "" for name in extras),
        answering,
        *(formats.share(share[i]) for i in used),
    )


def _expert_row(expert: ExpertResult, name: str, formats: Formats, with_params: bool) -> tuple[str, ...]:
    params = "" if expert.params is None else f"{expert.params / 1e6:.1f}"
    return (str(expert.index + 1), name, *((params,) if with_params else ()), *_figures(expert.result, formats))


def _figure_columns(evaluation: Evaluation) -> tuple[Column, ...]:
    last = short_names(evaluation.names)[-1]
    head = metric_head(evaluation.metric_name, evaluation.percent)
    return (
        # On a phone, what stands to the right is off the screen: files have the score first.
        Column(head, hint="with its interval", in_terminal=False),
        Column(evaluation.cost_unit, in_files=False),
        Column("Interval", in_files=False, drop=3),
        Column(evaluation.cost_unit, hint=cost_unit_meaning(evaluation.cost_unit), in_terminal=False),
        Column("Cost change", drop=1, hint=f"cost against {last}"),
        Column(head, hint="with its interval", in_files=False),
        Column("Paired difference", drop=2, hint=f"score minus that of {last} on the same samples"),
    )


def _figures(result: Result, formats: Formats) -> tuple[str, ...]:
    return (
        formats.score_interval(result.score),
        formats.cost(result.cost.value),
        formats.cost_ends(result.cost),
        formats.cost_interval(result.cost),
        formats.change(result.cost_ratio.value),
        formats.score_interval(result.score),
        formats.difference_interval(result.score_difference),
    )
