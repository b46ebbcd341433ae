from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.figures.saver import saver_figure
from orxe_plugins.report.theme import DARK, LIGHT, Theme, save_figure


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_both_models_are_drawn_on_both_splits(
    saver_evaluation: Callable[..., SaverEvaluation], theme: Theme, tmp_path: Path
) -> None:
    evaluation = saver_evaluation()
    figure = saver_figure(evaluation, theme)
    save_figure(figure, tmp_path / "saver.png", theme)
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    for split, curves in (("fitting split", evaluation.fit_curves), ("reporting split", evaluation.report_curves)):
        for name, score in (("tiny", curves.saver_score), ("big", curves.base_score)):
            assert lines[f"{name}, {split}"].get_xydata() == pytest.approx(
                np.column_stack([100 * curves.exit_ratio, 100 * score])
            )


def test_crossings_are_ringed_and_labelled(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    axes = saver_figure(saver_evaluation()).axes[0]
    rings = np.array([line.get_xydata()[0] for line in axes.lines if line.get_label() == "_crossing"])
    assert rings == pytest.approx(np.array([[50.0, 92.0], [60.0, 90.0]]))
    assert [text.get_text() for text in axes.texts] == ["fit: 50 %", "report: 60 %"]


def test_labels_of_close_crossings_do_not_overlap(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    close = saver_evaluation(crossing=0.505)
    figure = saver_figure(close)
    figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in figure.axes[0].texts)
    assert not first.overlaps(second)


def test_no_crossing_is_no_ring(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    axes = saver_figure(saver_evaluation(crossing=0.0)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["fit: 50 %"]


def test_the_first_few_samples_do_not_set_the_limits(saver_evaluation: Callable[..., SaverEvaluation]) -> None:
    plain = saver_evaluation()
    jumpy = plain.report_curves.saver_score.copy()
    jumpy[0] = 0.0
    spoilt = replace(plain, report_curves=replace(plain.report_curves, saver_score=jumpy))
    assert saver_figure(spoilt).axes[0].get_ylim() == saver_figure(plain).axes[0].get_ylim()


def test_scores_that_are_no_percentage_are_drawn_as_they_are(
    saver_evaluation: Callable[..., SaverEvaluation],
) -> None:
    axes = saver_figure(saver_evaluation(percent=False)).axes[0]
    assert axes.get_ylabel() == "top1 on the samples that exit"
    assert axes.get_ylim()[1] < 1.1
