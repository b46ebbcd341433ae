from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from orxe_plugins import OrxeError, Policy
from orxe_plugins.evaluation.baselines import Baseline
from orxe_plugins.evaluation.results import Evaluation, OtherPolicy
from orxe_plugins.report.figures.curves import CASCADE
from orxe_plugins.report.figures.frontier import CHOSEN, MAX_NAMED, cost_axis, frontier_figure
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.theme import DARK, DPI, LIGHT, Theme, save_figure

#: what lies so close above the cheapest experts that the cascade needs a panel of its own
FAR_APART = {"scores": (0.10, 0.86, 0.91)}


def pool(evaluation: Callable[..., Evaluation], n: int, name: str = "timm:expert{}") -> Evaluation:
    """N experts on a rising curve with some scatter, and a cascade that runs through the first and the last one."""
    rng = np.random.default_rng(n)
    costs = np.geomspace(0.1, 50, n).tolist()
    scores = (0.6 + 0.3 * np.linspace(0, 1, n) ** 0.7 + rng.normal(0, 0.01, n)).tolist()
    rows = []
    for preference in np.linspace(0, 1, 9).tolist():
        share = np.zeros(n)
        share[0], share[-1] = 1 - preference, preference
        cost = float((share * costs).sum()) + 0.1 * preference
        score = 0.6 + 0.32 * preference**0.5
        rows.append((preference, Policy((1 - preference, *[None] * (n - 2))), cost, score, share.tolist()))
    return evaluation([name.format(i) for i in range(n)], costs, scores, rows, chosen=5)


def labels_of(axes: Axes, texts: list[str]) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation) and text.get_text() in texts]


def drawn(axes: Axes) -> np.ndarray:
    """Everything that a label must not cover, in pixels: the curves, and the experts' marks and bars."""
    lines = [line.get_xydata() for line in axes.lines if line.get_linestyle() != "None" or line.get_marker() == "D"]
    bars = [bar for each in axes.collections if isinstance(each, LineCollection) for bar in each.get_segments()]
    corners = [axes.transData.transform(line) for line in (*lines, *bars)]
    dense = [np.linspace(a, b, 50) for line in corners for a, b in pairwise(line)]
    return np.concatenate([*corners, *dense])


def check_labels(figure: Figure, evaluation: Evaluation, free: bool = True) -> int:
    """Check that labels lie inside their axes, on no other label and, if ``free``, on no line; return their number."""
    # As it is in the file.
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    numbers = [str(i + 1) for i in range(len(evaluation.names))]
    texts = [*short_names(evaluation.names), *numbers]
    count = 0
    for axes in figure.axes:
        frame = axes.get_window_extent()
        boxes = [label.get_window_extent() for label in labels_of(axes, texts)]
        for i, box in enumerate(boxes):
            assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1
            assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1
            assert not free or box.count_contains(drawn(axes)) == 0
            assert not any(box.overlaps(other) for other in boxes[:i])
        count += len(boxes)
    return count


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("n", [3, MAX_NAMED, 20])
def test_every_expert_has_a_label_on_free_ground(evaluation: Callable[..., Evaluation], n: int, theme: Theme) -> None:
    made = pool(evaluation, n)
    assert check_labels(frontier_figure(made, theme), made) >= n


@pytest.mark.parametrize("name", ["timm:tf_efficientnetv2_{}.in1k", "timm:tf_efficientnetv2_{}.in21k_ft_in1k"])
def test_long_names_stay_inside_and_apart(evaluation: Callable[..., Evaluation], name: str) -> None:
    """Where names are this long, there may be no place for them without a line."""
    made = pool(evaluation, 7, name)
    assert check_labels(frontier_figure(made), made, free=False) >= 7


def test_many_experts_are_numbered_and_listed_in_a_key(evaluation: Callable[..., Evaluation]) -> None:
    made = pool(evaluation, MAX_NAMED + 1)
    figure = frontier_figure(made)
    assert len(labels_of(figure.axes[0], [str(i + 1) for i in range(MAX_NAMED + 1)])) == MAX_NAMED + 1
    (key,) = [text.get_text() for text in figure.axes[-1].texts if text.get_text().startswith("experts, GMACs")]
    assert [line.split()[1].rstrip(",") for line in key.splitlines()[1:]] == list(short_names(made.names))


def lines_of(axes: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}


def test_steps_marks_and_ring_lie_where_the_figures_are(evaluation: Callable[..., Evaluation]) -> None:
    axes = frontier_figure(evaluation()).axes[0]
    lines = lines_of(axes)
    corners = [(1, 80), (4, 80), (4, 90), (7, 90), (7, 91), (10, 91)]
    assert lines[CASCADE] == pytest.approx(np.array(corners, dtype=float))
    assert lines[CHOSEN] == pytest.approx(np.array([[4.0, 90.0]]))
    marks = np.array([line.get_xydata()[0] for line in axes.lines if line.get_marker() == "D"])
    assert marks == pytest.approx(np.array([[1.0, 80.0], [3.0, 86.0], [10.0, 91.0]]))


def test_every_policy_that_can_be_chosen_is_drawn(evaluation: Callable[..., Evaluation]) -> None:
    """Those between the fitted ones belong to the steps, unless another one beats them where they were fitted."""
    others = (
        OtherPolicy("pareto", 0.6, Policy((0.7, 0.7)), 5.0, 0.905, 5.0, 0.915),
        OtherPolicy("pareto", 0.7, Policy((0.8, 0.7)), 6.0, 0.95, 6.0, 0.90),
        OtherPolicy("compact", 0.5, Policy((0.6, None)), 6.5, 0.88, 6.5, 0.88),
    )
    lines = lines_of(frontier_figure(evaluation(others=others)).axes[0])
    assert lines["policies between them"] == pytest.approx(np.array([[5, 90.5], [6, 95.0]]))
    assert lines["policies of few experts"] == pytest.approx(np.array([[6.5, 88.0]]))
    assert [5.0, 90.5] in lines[CASCADE].round(6).tolist()
    assert 6.0 not in lines[CASCADE][:, 0]


def test_two_hundred_policies_leave_every_label_readable(evaluation: Callable[..., Evaluation]) -> None:
    cost = np.linspace(1, 9.9, 200)
    others = tuple(
        OtherPolicy("pareto", 0.5, Policy((0.6, 0.7)), float(c), 0.8 + 0.1 * float(c / 10) ** 0.5, float(c), float(c))
        for c in cost
    )
    made = evaluation(others=others)
    assert check_labels(frontier_figure(made), made) >= 3


def test_baselines_are_drawn_with_their_names(evaluation: Callable[..., Evaluation]) -> None:
    line = Baseline("oracle", np.array([1.0, 4.0]), np.array([0.8, 0.99]))
    points = Baseline("one common threshold", np.array([2.0, 3.0]), np.array([0.7, 0.8]), steps=True)
    axes = frontier_figure(evaluation(), baselines=[line, points]).axes[0]
    lines = lines_of(axes)
    assert lines["oracle"] == pytest.approx(np.array([[1, 80], [4, 99.0]]))
    (marks,) = [each for each in axes.lines if each.get_label() == "one common threshold"]
    assert marks.get_linestyle() == "None"


def test_what_is_no_evaluation_is_refused_by_name(evaluation: Callable[..., Evaluation]) -> None:
    with pytest.raises(OrxeError, match=r"evaluation is 3, an int: expected an Evaluation; evaluate\(table"):
        frontier_figure(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a baseline is 'oracle'"):
        frontier_figure(evaluation(), baselines=["oracle"])  # type: ignore[list-item]


def test_mixing_is_drawn_unless_it_is_not_wanted(evaluation: Callable[..., Evaluation]) -> None:
    for mixing in (True, False):
        axes = frontier_figure(evaluation(), mixing=mixing).axes[0]
        assert ("random mixing of experts" in [line.get_label() for line in axes.lines]) == mixing


@pytest.mark.parametrize(("costs", "scale"), [((1.0, 3.0, 10.0), "linear"), ((0.1, 3.0, 10.0), "log")])
def test_costs_far_apart_are_on_a_logarithmic_axis(
    evaluation: Callable[..., Evaluation], costs: tuple[float, ...], scale: str
) -> None:
    axes = frontier_figure(evaluation(costs=costs)).axes[0]
    assert axes.get_xscale() == scale
    low, high = axes.get_xlim()
    assert low <= costs[0] and high >= costs[-1]


def test_scores_far_apart_get_an_enlarged_panel(evaluation: Callable[..., Evaluation]) -> None:
    assert len(frontier_figure(evaluation()).axes) == 1
    _, enlarged = frontier_figure(evaluation(**FAR_APART)).axes
    low, high = enlarged.get_ylim()
    # The last expert with its interval is in it, the cheapest one is not.
    assert 10 < low < 89
    assert high > 93
    assert [text.get_text() for text in labels_of(enlarged, ["small", "medium", "large"])][-1] == "large"


def test_one_policy_is_drawn_with_its_bar(evaluation: Callable[..., Evaluation]) -> None:
    rows = ((0.5, Policy((0.6, 0.7)), 4.0, 0.9, (0.5, 0.3, 0.2)),)
    axes = frontier_figure(evaluation(policies=rows, chosen=0)).axes[0]
    (interval,) = [container for container in axes.containers if container.get_label() == "fitted policies"]
    (bar,) = interval.lines[2]  # type: ignore[attr-defined]
    assert bar.get_segments()[0] == pytest.approx(np.array([[4.0, 88.0], [4.0, 92.0]]))


def test_one_evaluation_gives_the_same_picture_every_time(
    evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    made = pool(evaluation, 6)
    for name in ("a.svg", "b.svg"):
        save_figure(frontier_figure(made), tmp_path / name, LIGHT)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_axes_are_labelled_with_metric_and_unit(evaluation: Callable[..., Evaluation]) -> None:
    axes = frontier_figure(evaluation(percent=False, metric_name="R2", cost_unit="ms")).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cost per sample (ms)", "R2")
    assert frontier_figure(evaluation()).axes[0].get_ylabel() == "top1 (%)"
    assert cost_axis("GMACs").endswith("1 MAC = 2 FLOPs)")
