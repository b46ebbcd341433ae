from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.evaluation.samples import Samples
from orxe_plugins.report.content.sentences import highlights, summary, warnings


def test_the_verdict_comes_first_then_the_figures_of_the_chosen_policy(
    evaluation: Callable[..., Evaluation],
) -> None:
    verdict, more, found, chosen_by, _ = summary(evaluation())
    assert (verdict, more) == ("The cascade saves 60 % of the GMACs.", "Well done.")
    assert found == (
        "On the reporting split (1,000 samples of pets): 4.00 GMACs instead of 10.0 (-60 %), "
        "top1 90.0 (88.0 to 92.0) against 91.0 (89.0 to 93.0) of large, paired difference -1.0 (-2.0 to 0.0)."
    )
    assert chosen_by == (
        "That policy (preference 0.50) was chosen on the fitting split: the cheapest one within a point of the last "
        "expert."
    )


def test_preferences_with_the_same_policy_are_named_together(evaluation: Callable[..., Evaluation]) -> None:
    for chosen in (0, 1):
        *_, chosen_by = summary(evaluation(chosen=chosen))
        assert chosen_by.startswith("That expert (preference 0.00-0.25) was chosen")


def test_the_best_single_expert_that_costs_no_more_is_named(evaluation: Callable[..., Evaluation]) -> None:
    rival = summary(evaluation())[-1]
    assert rival == "The best single expert at no higher cost, medium, has 86.0 (84.0 to 88.0) at 3.00 GMACs."
    cheap = summary(evaluation(scores=(0.88, 0.86, 0.91)))[-1]
    assert "at no higher cost, small, has 88.0" in cheap


def test_no_rival_is_named_where_every_single_expert_costs_more(evaluation: Callable[..., Evaluation]) -> None:
    sentences = summary(evaluation(costs=(4.5, 6.0, 10.0)))
    assert len(sentences) == 4
    # The last expert is what the policy is compared to, and no rival.
    assert len(summary(evaluation(costs=(0.5, 0.5, 0.5), scores=(0.1, 0.2, 0.9)))) == 5


def test_a_data_set_without_a_name_is_not_named(evaluation: Callable[..., Evaluation]) -> None:
    found = summary(evaluation(reported_on=Samples("", "reporting split", 50)))[2]
    assert found.startswith("On the reporting split (50 samples): ")


def test_a_score_that_is_no_percentage_is_written_as_it_is(evaluation: Callable[..., Evaluation]) -> None:
    found = summary(evaluation(percent=False, metric_name="R2", cost_unit="ms"))[2]
    assert "4.00 ms instead of 10.0" in found
    assert "R2 0.900 (0.880 to 0.920) against 0.910" in found
    assert "paired difference -0.010 (-0.020 to 0.000)" in found


@pytest.mark.parametrize(("percent", "note"), [(True, "-2.0 to 0.0 points"), (False, "-0.020 to 0.000")])
def test_the_large_numbers_carry_their_intervals(
    evaluation: Callable[..., Evaluation], percent: bool, note: str
) -> None:
    cost, score, difference = highlights(evaluation(percent=percent))
    assert (cost.label, cost.value, cost.note) == ("GMACs per sample", "4.00", "-60 %; the last expert: 10.0")
    assert score.value == ("90.0 %" if percent else "0.900")
    assert "to" in score.note and "the last expert" in score.note
    assert difference.note == note


def test_a_sound_report_has_no_warning(evaluation: Callable[..., Evaluation]) -> None:
    sound = evaluation()
    assert warnings(sound.reported_on, sound.fitted_on, 0) == ()
    assert warnings(sound.reported_on, sound.fitted_on, None) == ()


def test_each_reason_to_trust_figures_less_is_a_warning(evaluation: Callable[..., Evaluation]) -> None:
    sound = evaluation()
    augmented = replace(sound.reported_on, augment="rand-m9", path="tensor")
    shared, augment, path = warnings(augmented, sound.fitted_on, 7)
    assert shared.startswith("7 of the 1,000 samples reported on were fitted on too")
    assert "(rand-m9)" in augment
    assert "'originals'" in path and "'tensor'" in path


def test_samples_that_are_left_out_are_counted_in_a_warning(evaluation: Callable[..., Evaluation]) -> None:
    sound = evaluation()
    skipped = (("a.jpg", "damaged"), ("b.jpg", "empty"))
    reported, fitted = replace(sound.reported_on, skipped=skipped), replace(sound.fitted_on, skipped=skipped)
    (warning,) = warnings(reported, fitted, 0)
    assert warning.startswith("2 samples of the reporting split are left out")
    _, other = warnings(reported, replace(fitted, skipped=skipped[:1]), 0)
    assert other.startswith("1 samples of the fitting split")


def test_an_unknown_input_mode_is_no_reason_to_warn(evaluation: Callable[..., Evaluation]) -> None:
    sound = evaluation()
    assert warnings(replace(sound.reported_on, path=None), sound.fitted_on, 0) == ()
