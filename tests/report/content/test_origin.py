from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orxe_plugins.evaluation.results import Evaluation, PromiseResult
from orxe_plugins.evaluation.samples import IntervalSettings, Samples
from orxe_plugins.report.content.origin import evaluation_facts, intervals_text, sample_facts


def test_facts_name_the_splits_the_unit_and_the_optimism(evaluation: Callable[..., Evaluation]) -> None:
    facts = dict(evaluation_facts(evaluation()))
    assert facts["Reported on"] == "pets, reporting split, 1,000 samples"
    assert facts["Fitted on"] == "pets, fitting split, 800 samples"
    assert facts["Input of the experts"] == "every expert prepares its own view from the original image"
    assert facts["Cost"].startswith("GMACs")
    assert facts["Optimism of the chosen policy"].startswith("+1.0 (")
    assert "Promises tested on" not in facts


def test_promises_name_the_split_that_they_were_tested_on(
    evaluation: Callable[..., Evaluation], promised: Callable[..., PromiseResult]
) -> None:
    plain = evaluation()
    facts = dict(evaluation_facts(replace(plain, promises=(promised(plain),))))
    assert facts["Promises tested on"] == "choosing split, 300 samples, apart from both; an exact test"


def test_notes_of_the_data_set_are_shown_once(evaluation: Callable[..., Evaluation]) -> None:
    notes = ("2 of 12 files are left out, as they are no images: notes.txt, a.heic",)
    plain = evaluation()
    told = replace(plain, reported_on=replace(plain.reported_on, notes=notes),
                   fitted_on=replace(plain.fitted_on, notes=(*notes, "classes stand in natural order")))  # fmt: skip
    assert [how for what, how in evaluation_facts(told) if what == "Note on the data"] == [
        *notes, "classes stand in natural order",
    ]  # fmt: skip


def test_what_is_not_known_is_said_to_be_unknown(evaluation: Callable[..., Evaluation]) -> None:
    unknown = evaluation(reported_on=Samples("", "split", 9), fitted_on=Samples("", "split", 9))
    object.__setattr__(unknown.chosen, "fit_score", float("nan"))
    facts = dict(evaluation_facts(unknown))
    assert facts["Input of the experts"] == "not known"
    assert facts["Training-time augmentation in the fitting records"] == "not known"
    assert facts["Optimism of the chosen policy"] == "not known"


@pytest.mark.parametrize(
    ("augment", "known", "text"), [(None, True, "no"), (None, False, "not known"), ("rand-m9", True, "rand-m9")]
)
def test_augmentation_is_that_of_the_fitting_records(augment: str | None, known: bool, text: str) -> None:
    fitted = Samples("d", "fitting split", 9, augment=augment, augment_known=known)
    facts = dict(sample_facts(Samples("d", "reporting split", 9, augment="other", augment_known=True), fitted))
    assert facts["Training-time augmentation in the fitting records"] == text


@pytest.mark.parametrize("count", [0, 1, 5, 6, 1200])
def test_samples_left_out_are_counted_and_the_first_ones_named(count: int) -> None:
    skipped = tuple((f"{i}.jpg", "empty") for i in range(count))
    text = dict(sample_facts(Samples("d", "s", 9, skipped=skipped), Samples("d", "s", 9)))["Samples left out"]
    assert text.count("(empty)") == min(count, 5)
    assert text.endswith("; ...") == (count > 5)
    assert text.startswith(f"{count:,}: 0.jpg (empty)") if count else text == "none"


def test_intervals_name_level_draws_and_seed() -> None:
    text = intervals_text(IntervalSettings(resamples=1234, level=0.9, seed=5))
    assert text.startswith("90 %, paired percentile bootstrap")
    assert "1,234 draws, seed 5" in text
