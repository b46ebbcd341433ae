from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.report.charts import Axis, Chart, ChartGroup, Series, histogram, round_values
from orxe_plugins.report.document import Document
from orxe_plugins.report.html import split_interval, to_html


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_few_rising_and_inside(low: float, span: float) -> None:
    values = round_values(low, low + span)
    assert 2 <= len(values) <= 7
    assert values == sorted(set(values))
    slack = 1e-6 * (abs(low) + span)
    assert low - slack <= values[0] and values[-1] <= low + span + slack


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_histogram_holds_every_value(values: list[float]) -> None:
    assert sum(top for *_, top in histogram(values)) == pytest.approx(100)


def test_points_lie_inside_of_the_chart() -> None:
    series = Series("line", ((-5.0, 200.0), (0.5, 50.0), (7.0, -1.0)), "cascade")
    chart = Chart("t", "c", Axis("x", 0, 1), Axis("y", 0, 100), (series,))
    numbers = np.array(chart.path(series).replace("M", "").replace("L", " ").split(), dtype=float).reshape(-1, 2)
    assert (numbers >= [chart.left, chart.top]).all() and (numbers <= [chart.right, chart.bottom]).all()
    ((x, y, width, height),) = chart.rectangles(Series("bar", ((0.25, 0.75, 0.0, 50.0),), "cascade"))
    assert (x + width / 2, width) == pytest.approx(((chart.left + chart.right) / 2, (chart.right - chart.left) / 2))
    assert y + height == pytest.approx(chart.bottom)


def test_texts_of_charts_are_escaped() -> None:
    nasty = "<script>\"'&"
    chart = Chart(nasty, nasty, Axis(nasty, 0, 1), Axis(nasty, 0, 1), (Series("dot", ((0.5, 0.5),), "cascade", nasty),))
    page = to_html(Document("t", (), (), (), (), (), charts=(ChartGroup(nasty, (chart,), nasty),)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 8


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("91.1 (88.3 to 93.5)", ("91.1", "(88.3 to 93.5)")),
        ("-0.4 (-1.6 to +0.8)", ("-0.4", "(-1.6 to +0.8)")),
        ("0.0223", ("0.0223", "")),
        ("", ("", "")),
    ],
)
def test_a_figure_is_parted_from_its_interval(cell: str, parts: tuple[str, str]) -> None:
    assert split_interval(cell) == parts
