"""What was found: the sentences and the large numbers at the head of a report, and its warnings."""

from __future__ import annotations

import math

from orxe_plugins.evaluation.results import Evaluation, Samples
from orxe_plugins.report.document import Highlight
from orxe_plugins.report.formats import Formats, preference_range, short_names


def summary(evaluation: Evaluation) -> tuple[str, ...]:
    """What was found, the verdict first. The policy that they speak of was chosen on the fitting split."""
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
    verdict = evaluation.verdict
    chosen_by = f"{_subject(evaluation)} was chosen on the fitting split: {evaluation.choice.reason}."
    return (verdict.sentence, *verdict.more, found, chosen_by, *_rival(evaluation, formats))


def _subject(evaluation: Evaluation) -> str:
    """What was chosen: "That policy (preference 0.35-0.50)"."""
    chosen = evaluation.chosen
    what = "That expert" if len(chosen.policy.reachable) == 1 else "That policy"
    group = next((group for group in evaluation.merged() if chosen in group), None)
    if group is not None:
        return f"{what} (preference {preference_range([round(row.preference, 3) for row in group])})"
    if evaluation.choice.kind == "expert":
        return what
    return f"{what} (between the fitted preferences, at {chosen.preference:.3f})"


def _rival(evaluation: Evaluation, formats: Formats) -> tuple[str, ...]:
    """What a user could take instead of the cascade: the best single expert at no higher cost."""
    rival = evaluation.rival
    # One expert alone is compared with all others by the choice itself.
    if rival is None or len(evaluation.chosen.policy.reachable) == 1:
        return ()
    name = short_names(evaluation.names)[rival.index]
    return (
        f"The best single expert at no higher cost, {name}, has {formats.score_interval(rival.result.score)} "
        f"at {formats.cost(rival.result.cost.value)} {evaluation.cost_unit}.",
    )


def highlights(evaluation: Evaluation) -> tuple[Highlight, ...]:
    """The cost, the score and the paired difference of the chosen policy."""
    formats = Formats.of(evaluation)
    result, last = evaluation.chosen.result, evaluation.reference.result
    unit = " %" if evaluation.percent and math.isfinite(result.score.value) else ""
    interval = formats.score_ends(result.score)
    ends = formats.difference_ends(result.score_difference)
    return (
        Highlight(
            f"{evaluation.cost_unit} per sample",
            formats.cost(result.cost.value),
            f"{formats.change(result.cost_ratio.value)}; the last expert: {formats.cost(last.cost.value)}",
        ),
        Highlight(
            evaluation.metric_name,
            formats.score(result.score.value) + unit,
            f"{interval}{'; ' if interval else ''}the last expert: {formats.score(last.score.value)}",
        ),
        Highlight(
            "paired difference",
            formats.difference(result.score_difference.value),
            f"{ends}{' points' if ends and evaluation.percent else ''}",
        ),
    )


def warnings(reported_on: Samples, fitted_on: Samples, shared_samples: int | None) -> tuple[str, ...]:
    """Reasons to trust the figures less.

    Args:
        reported_on, fitted_on: the two splits.
        shared_samples: how many samples lie in both splits; None if that is not known.
    """
    found = []
    for samples in {reported_on.split: reported_on, fitted_on.split: fitted_on}.values():
        # Both splits of one recording name the same samples.
        if samples.skipped and (samples is reported_on or samples.skipped != reported_on.skipped):
            found.append(
                f"{len(samples.skipped):,} samples of the {samples.split} are left out, as an expert could not answer "
                "them: they are listed below."
            )
    if shared_samples:
        found.append(
            f"{shared_samples:,} of the {reported_on.count:,} samples reported on were fitted on too: "
            "the cascade looks better than it is."
        )
    if reported_on.augment is not None:
        found.append(
            f"the reporting split was recorded with training-time augmentation ({reported_on.augment}): "
            "scores on clean images differ."
        )
    paths = (fitted_on.path, reported_on.path)
    if None not in paths and paths[0] != paths[1]:
        found.append(
            f"the fitting split was recorded with the input mode {paths[0]!r}, the reporting split with {paths[1]!r}: "
            "record both in the same way."
        )
    return tuple(found)
