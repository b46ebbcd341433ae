from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from orxe_plugins import Policy
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.figures.shares import shares_figure
from orxe_plugins.report.theme import DARK, LIGHT, Theme


def bands(evaluation: Evaluation, theme: Theme = LIGHT) -> list[StepPatch]:
    """The bands from the bottom to the top."""
    axes = shares_figure(evaluation, theme).axes[0]
    return [patch for patch in axes.patches if isinstance(patch, StepPatch)]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_bands_are_the_exit_shares_and_fill_the_picture(evaluation: Callable[..., Evaluation], theme: Theme) -> None:
    made = evaluation()
    stacked = bands(made, theme)
    shares = np.array([band.get_data().values - band.get_data().baseline for band in stacked])
    assert pytest.approx(np.array([[100, 0, 0], [50, 30, 20], [30, 0, 70]])) == shares.T
    assert stacked[-1].get_data().values == pytest.approx(np.full(3, 100.0))


def test_between_two_preferences_the_nearer_ones_policy_holds(evaluation: Callable[..., Evaluation]) -> None:
    assert bands(evaluation())[0].get_data().edges == pytest.approx(np.array([0, 0.375, 0.75, 1.0]))


def test_a_single_preference_holds_everywhere(evaluation: Callable[..., Evaluation]) -> None:
    rows = ((0.5, Policy((0.6, 0.7)), 4.0, 0.9, (0.5, 0.3, 0.2)),)
    (band, *_) = bands(evaluation(policies=rows, chosen=0))
    assert band.get_data().edges == pytest.approx(np.array([0.0, 1.0]))


def test_an_expert_that_answers_nothing_is_left_out(evaluation: Callable[..., Evaluation]) -> None:
    rows = ((0.0, Policy((0.5, None)), 4.0, 0.9, (0.5, 0.0, 0.5)), (1.0, Policy((None, None)), 10.0, 0.91, (0, 0, 1)))
    figure = shares_figure(evaluation(policies=rows, chosen=0))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["3  large", "1  small"]


def test_numbers_stand_inside_of_their_bands(evaluation: Callable[..., Evaluation]) -> None:
    made = evaluation()
    axes = shares_figure(made).axes[0]
    stacked = {str(i + 1): band.get_data() for i, band in enumerate(bands(made))}
    assert {text.get_text() for text in axes.texts} == {"1", "2", "3"}
    for text in axes.texts:
        x, y = text.get_position()
        values, edges, baseline = stacked[text.get_text()]
        step = int(np.searchsorted(edges, x)) - 1
        assert baseline[step] < y < values[step]


def test_a_band_too_thin_for_its_number_has_none(evaluation: Callable[..., Evaluation]) -> None:
    rows = (
        (0.0, Policy((0.5, 0.5)), 4.0, 0.9, (0.97, 0.01, 0.02)),
        (1.0, Policy((0.6, 0.5)), 5.0, 0.91, (0.96, 0.02, 0.02)),
    )
    axes = shares_figure(evaluation(policies=rows, chosen=0)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1"]
