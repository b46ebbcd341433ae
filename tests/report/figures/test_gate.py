from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.evaluation.results import Estimate
from orxe_plugins.report.figures.gate import gate_figure
from orxe_plugins.report.theme import DARK, LIGHT, Theme, save_figure

GAIN = Estimate(0.04, 0.02, 0.06)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_every_curve_is_drawn_and_can_be_told_from_the_others(
    gate_evaluation: Callable[..., GateEvaluation], theme: Theme, tmp_path: Path
) -> None:
    evaluation = gate_evaluation(GAIN, [GAIN])
    figure = gate_figure(evaluation, theme)
    save_figure(figure, tmp_path / "gates.png", theme)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == [curve.name for curve in evaluation.curves]
    for line, curve in zip(lines, evaluation.curves, strict=True):
        assert line.get_xydata() == pytest.approx(np.column_stack([curve.cost, 100 * curve.score]))
    assert len({line.get_color() for line in lines}) == len(lines)
    assert len({str(line._dash_pattern) for line in lines}) == len(lines)  # type: ignore[attr-defined]


def test_axes_are_labelled_with_metric_and_unit(gate_evaluation: Callable[..., GateEvaluation]) -> None:
    axes = gate_figure(gate_evaluation(GAIN, [GAIN])).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cost per sample (GMACs)", "mean top1 (%)")
    plain = gate_figure(gate_evaluation(GAIN, [GAIN], percent=False)).axes[0]
    assert plain.get_ylabel() == "mean top1"
    assert plain.get_ylim()[1] < 1
