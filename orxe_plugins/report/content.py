"""What the report of an evaluation says: sentences, warnings, tables and facts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orxe_plugins.evaluation.results import Evaluation, ExpertResult, IntervalSettings, PolicyResult, Result, Samples
from orxe_plugins.policies.policy import Policy
from orxe_plugins.report.document import Document, Highlight, Picture
from orxe_plugins.report.figures.frontier import frontier_figure
from orxe_plugins.report.figures.shares import shares_figure
from orxe_plugins.report.formats import Formats, cost_unit_meaning, preference_range, short_names
from orxe_plugins.report.promised import promise_table
from orxe_plugins.report.tables import Column, Table

PATHS = {
    "originals": "every expert prepares its own view from the original image",
    "tensor": "every expert derives its view from the cascade's one input tensor",
}
_LISTED = 5
_EXTRA_HINTS = {"Gap": "objective on the fitting split minus a bound that no policy can be below"}


def evaluation_document(evaluation: Evaluation, title: str = "", more_tables: Sequence[Table] = ()) -> Document:
    """The report of an evaluation.

    Args:
        evaluation: what to report.
        title: head of the report; by default it names the data set.
        more_tables: tables that are shown behind those of the policies and the experts.
    """
    name = evaluation.reported_on.data
    return Document(
        title=title or (f"Cascade on {name}" if name else "Cascade"),
        summary=summary(evaluation),
        warnings=warnings(evaluation.reported_on, evaluation.fitted_on, evaluation.shared_samples),
        tables=(
            policy_table(evaluation),
            *_promises(evaluation),
            expert_table(evaluation),
            threshold_table(evaluation),
            *more_tables,
        ),
        pictures=(
            Picture("frontier", frontier_caption(evaluation), lambda theme: frontier_figure(evaluation, theme)),
            Picture("shares", _SHARES_CAPTION, lambda theme: shares_figure(evaluation, theme)),
        ),
        facts=facts(evaluation),
        highlights=highlights(evaluation),
    )


# --- sentences ----------------------------------------------------------------------------------


def summary(evaluation: Evaluation) -> tuple[str, ...]:
    """What was found, in a few sentences. The policy they speak of was chosen on the fitting split."""
    formats = Formats.of(evaluation)
    chosen, last = evaluation.chosen, evaluation.reference
    result = chosen.result
    samples = evaluation.reported_on
    of_data = f" of {samples.data}" if samples.data else ""
    found = (
        f"On the reporting split ({samples.count:,} samples{of_data}): "
        f"{formats.cost(result.cost.value)} {evaluation.cost_unit} instead of {formats.cost(last.result.cost.value)} "
        f"({formats.change(result.cost_ratio.value)}), "
        f"{evaluation.metric_name} {formats.score_interval(result.score)} "
        f"against {formats.score_interval(last.result.score)} of {short_names([last.name])[0]}, "
        f"paired difference {formats.difference_interval(result.score_difference)}."
    )
    group = next(group for group in evaluation.merged() if chosen in group)
    preferences = preference_range([row.preference for row in group])
    chosen_by = f"That policy was chosen on the fitting split: {evaluation.choice.reason} (preference {preferences})."
    return (found, chosen_by, *_rival(evaluation, formats))


def highlights(evaluation: Evaluation) -> tuple[Highlight, ...]:
    """The chosen policy's figures."""
    formats = Formats.of(evaluation)
    result, last = evaluation.chosen.result, evaluation.reference.result
    unit = " %" if evaluation.percent else ""
    return (
        Highlight(
            f"{evaluation.cost_unit} per sample",
            formats.cost(result.cost.value),
            f"{formats.change(result.cost_ratio.value)}; the last expert: {formats.cost(last.cost.value)}",
        ),
        Highlight(
            evaluation.metric_name,
            formats.score(result.score.value) + unit,
            f"{formats.score(result.score.low)} to {formats.score(result.score.high)}; "
            f"the last expert: {formats.score(last.score.value)}",
        ),
        Highlight(
            "paired difference",
            formats.difference(result.score_difference.value),
            f"{formats.difference(result.score_difference.low)} to {formats.difference(result.score_difference.high)}"
            " points" * evaluation.percent,
        ),
    )


def _rival(evaluation: Evaluation, formats: Formats) -> tuple[str, ...]:
    """How the best single expert at no higher cost does: what people would take instead."""
    result = evaluation.chosen.result
    cheap = [e for e in evaluation.experts[:-1] if e.result.cost.value <= result.cost.value]
    if not cheap:
        return ()
    rival = max(cheap, key=lambda expert: expert.result.score.value)
    name = short_names(evaluation.names)[rival.index]
    return (
        f"The best single expert at no higher cost, {name}, has {formats.score_interval(rival.result.score)} "
        f"at {formats.cost(rival.result.cost.value)} {evaluation.cost_unit}.",
    )


def warnings(reported_on: Samples, fitted_on: Samples, shared_samples: int | None) -> tuple[str, ...]:
    """What makes the figures less worth than they look."""
    found = []
    if shared_samples:
        found.append(
            f"{shared_samples:,} of the {reported_on.count:,} samples reported on were fitted on too: "
            "the figures flatter the cascade."
        )
    if reported_on.augment is not None:
        found.append(
            f"the reporting split was recorded with training-time augmentation ({reported_on.augment}): "
            "scores on clean images differ."
        )
    paths = (fitted_on.path, reported_on.path)
    if None not in paths and paths[0] != paths[1]:
        found.append(f"policies were fitted along the path {paths[0]!r}, but are reported along {paths[1]!r}.")
    return tuple(found)


# --- tables -------------------------------------------------------------------------------------


def policy_table(evaluation: Evaluation) -> Table:
    """One row for each policy; adjacent preferences with the same policy are merged."""
    formats = Formats.of(evaluation)
    groups = evaluation.merged()
    used = [i for i in range(len(evaluation.experts)) if any(g[0].result.exit_share[i] for g in groups)]
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
    marked = frozenset(i for i, group in enumerate(groups) if evaluation.chosen in group)
    return Table(
        f"Policies ({evaluation.reported_on.title})", columns, rows, marked,
        "#1, #2, ... are the experts below, cheapest first. The marked row was chosen on the fitting split.",
    )  # fmt: skip


def _promises(evaluation: Evaluation) -> tuple[Table, ...]:
    if not evaluation.promises:
        return ()
    choosing = evaluation.promises[0].promise.n_samples
    return (promise_table(evaluation.promises, Formats.of(evaluation), evaluation.metric_name, choosing),)


def _policy_row(
    group: Sequence[PolicyResult], formats: Formats, used: Sequence[int], extras: Sequence[str]
) -> tuple[str, ...]:
    first = group[0]
    share = first.result.exit_share
    answering = ", ".join(f"#{i + 1} {formats.share(share[i])}" for i in used if share[i])
    return (
        preference_range([row.preference for row in group]),
        *_figures(first.result, formats),
        formats.difference(first.optimism),
        *(f"{first.extras[name]:.4g}" if name in first.extras else "" for name in extras),
        answering,
        *(formats.share(share[i]) for i in used),
    )


def threshold_table(evaluation: Evaluation) -> Table:
    """The thresholds of each policy; it is for files alone."""
    groups = evaluation.merged()
    rows = tuple((preference_range([row.preference for row in g]), thresholds_text(g[0].policy)) for g in groups)
    columns = (Column("Preference", numeric=False), Column("Experts and thresholds", numeric=False))
    marked = frozenset(i for i, group in enumerate(groups) if evaluation.chosen in group)
    note = "A sample exits at the first expert that runs on it with a confidence of at least the exit threshold."
    return Table("Thresholds", columns, rows, marked, note, in_terminal=False)


def thresholds_text(policy: Policy) -> str:
    """The thresholds in words: "#1 exits at 0.620, #3 exits at 0.801 and is skipped below 0.200, #8"."""
    parts = []
    for place, i in enumerate(policy.enabled[:-1]):
        text = f"#{i + 1} exits at {policy.exit_thresholds[i]:.3f}"
        # Nobody has a confidence before the first expert that runs.
        if place and policy.skip_thresholds[i] > 0:
            text += f" and is skipped below {policy.skip_thresholds[i]:.3f}"
        parts.append(text)
    return ", ".join([*parts, f"#{policy.n_experts}"])


def expert_table(evaluation: Evaluation) -> Table:
    """One row for each expert that answers everything alone."""
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
    return Table(f"Single experts ({evaluation.reported_on.title})", columns, rows)


def _expert_row(expert: ExpertResult, name: str, formats: Formats, with_params: bool) -> tuple[str, ...]:
    params = "" if expert.params is None else f"{expert.params / 1e6:.1f}"
    return (str(expert.index + 1), name, *((params,) if with_params else ()), *_figures(expert.result, formats))


def _figure_columns(evaluation: Evaluation) -> tuple[Column, ...]:
    last = short_names(evaluation.names)[-1]
    metric = f"{evaluation.metric_name} %" if evaluation.percent else evaluation.metric_name
    return (
        Column(evaluation.cost_unit, in_files=False),
        Column("Interval", in_files=False, drop=3),
        Column(evaluation.cost_unit, hint=cost_unit_meaning(evaluation.cost_unit), in_terminal=False),
        Column("Cost change", drop=1, hint=f"cost against {last}"),
        Column(metric, hint="with its interval"),
        Column("Paired difference", drop=2, hint=f"score minus that of {last} on the same samples"),
    )


def _figures(result: Result, formats: Formats) -> tuple[str, ...]:
    return (
        formats.cost(result.cost.value),
        formats.cost_ends(result.cost),
        formats.cost_interval(result.cost),
        formats.change(result.cost_ratio.value),
        formats.score_interval(result.score),
        formats.difference_interval(result.score_difference),
    )


# --- facts --------------------------------------------------------------------------------------


def facts(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """How the figures came about."""
    return (
        *sample_facts(evaluation.reported_on, evaluation.fitted_on),
        *_choosing_fact(evaluation),
        ("Cost", cost_unit_meaning(evaluation.cost_unit)),
        ("Intervals", intervals_text(evaluation.intervals)),
        ("Optimism of the chosen policy", _optimism_text(evaluation)),
    )


def _choosing_fact(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    if not evaluation.promises:
        return ()
    first = evaluation.promises[0].promise
    return (("Promises tested on", f"choosing split, {first.n_samples:,} samples, apart from both; {first.test}"),)


def sample_facts(reported_on: Samples, fitted_on: Samples) -> tuple[tuple[str, str], ...]:
    """Where samples and records come from."""
    path = reported_on.path
    return (
        ("Reported on", reported_on.title),
        ("Fitted on", fitted_on.title),
        ("Path of the images", PATHS.get(path, path) if path else "not known"),
        ("Training-time augmentation in the fitting records", _augmentation_text(fitted_on)),
        ("Samples left out", _skipped_text(reported_on.skipped)),
    )


def intervals_text(settings: IntervalSettings) -> str:
    """How intervals were made."""
    return (
        f"{100 * settings.level:g} %, paired percentile bootstrap over the reporting samples, "
        f"{settings.resamples:,} draws, seed {settings.seed}; exact (Clopper-Pearson) where no sample differs"
    )


def frontier_caption(evaluation: Evaluation) -> str:
    """Caption of the picture of score against cost."""
    return (
        f"{evaluation.metric_name} against cost ({evaluation.reported_on.title}). The band and the bars are "
        f"{100 * evaluation.intervals.level:g} % intervals; the dashed line is reached by answering a random share of "
        f"the samples with one expert and the rest with another. {cost_unit_meaning(evaluation.cost_unit)}."
    )


_SHARES_CAPTION = (
    "Share of the samples that each expert answers, against the preference; between two preferences the nearer "
    "one's policy holds."
)


def _augmentation_text(samples: Samples) -> str:
    if samples.augment is not None:
        return samples.augment
    return "no" if samples.augment_known else "not known"


def _skipped_text(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return "none"
    listed = "; ".join(f"{sample} ({reason})" for sample, reason in skipped[:_LISTED])
    return f"{len(skipped):,}: {listed}" + ("; ..." if len(skipped) > _LISTED else "")


def _optimism_text(evaluation: Evaluation) -> str:
    formats, optimism = Formats.of(evaluation), evaluation.chosen.optimism
    if math.isnan(optimism):
        return "not known"
    return f"{formats.difference(optimism)} (mean score on the fitting split minus that on the reporting split)"
