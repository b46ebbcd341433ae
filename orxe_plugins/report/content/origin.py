"""How the figures of a report came about: samples, records, cost unit, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.evaluation.samples import IntervalSettings, Samples
from orxe_plugins.report.formats import Formats, cost_unit_meaning

#: what each input mode of the records means
INPUT_MODES = {
    "originals": "every expert prepares its own view from the original image",
    "tensor": "every expert derives its view from the cascade's one input tensor",
}
#: so many of the samples that were left out are named
_LISTED = 5


def evaluation_facts(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """How the figures of an evaluation came about, as (what, how)."""
    return (
        *sample_facts(evaluation.reported_on, evaluation.fitted_on),
        *_choosing_fact(evaluation),
        *figure_facts(evaluation.cost_unit, evaluation.intervals),
        ("Optimism of the chosen policy", _optimism_text(evaluation)),
    )


def sample_facts(reported_on: Samples, fitted_on: Samples) -> tuple[tuple[str, str], ...]:
    """Where samples and records come from."""
    mode = reported_on.path
    return (
        ("Reported on", reported_on.title),
        ("Fitted on", fitted_on.title),
        ("Input of the experts", INPUT_MODES.get(mode, mode) if mode else "not known"),
        *((f"{name} sees", view) for name, view in reported_on.views),
        ("Training-time augmentation in the fitting records", _augmentation_text(fitted_on)),
        ("Samples left out", _skipped_text(reported_on.skipped)),
        *(("Note on the data", note) for note in dict.fromkeys((*reported_on.notes, *fitted_on.notes))),
    )


def figure_facts(cost_unit: str, intervals: IntervalSettings) -> tuple[tuple[str, str], ...]:
    """What the cost unit means and how intervals were made."""
    return ("Cost", cost_unit_meaning(cost_unit)), ("Intervals", intervals_text(intervals))


def intervals_text(settings: IntervalSettings) -> str:
    """How intervals were made."""
    return (
        f"{100 * settings.level:g} %, paired percentile bootstrap over the reporting samples, "
        f"{settings.resamples:,} draws, seed {settings.seed}; exact (Clopper-Pearson) where no sample differs"
    )


def _choosing_fact(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    if not evaluation.promises:
        return ()
    first = evaluation.promises[0].promise
    return (("Promises tested on", f"choosing split, {first.n_samples:,} samples, apart from both; {first.test}"),)


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
    optimism = evaluation.chosen.optimism
    if math.isnan(optimism):
        return "not known"
    difference = Formats.of(evaluation).difference(optimism)
    return f"{difference} (mean score on the fitting split minus that on the reporting split)"
