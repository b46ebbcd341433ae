from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.evaluation.results import Estimate
from orxe_plugins.report.formats import (
    Formats,
    cost_unit_meaning,
    metric_axis,
    metric_head,
    preference_range,
    short_names,
    significant,
    threshold_text,
)

TOP1 = Formats.for_samples(1000, percent=True, cost_unit="GMACs")
SIZES = st.floats(1e-12, 1e12)


@given(SIZES, st.booleans(), st.integers(1, 6))
def test_significant_digits_survive_writing_and_reading(size: float, negative: bool, digits: int) -> None:
    value = -size if negative else size
    text = significant(value, digits)
    read = float(text.replace(",", ""))
    # Rounding to so many digits moves a number by at most half of the last one.
    assert abs(read - value) <= 0.5000001 * 10.0 ** (math.floor(math.log10(size)) - digits + 1)
    assert significant(read, digits) == text
    assert "e" not in text


@given(st.floats(1e-9, 1), st.integers(1, 6))
def test_a_small_number_has_exactly_the_digits_asked_for(value: float, digits: int) -> None:
    text = significant(value * 0.999, digits)
    assert len(text.replace(".", "").lstrip("0")) == digits or float(text) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01357, "0.0136"), (0.8596, "0.860"), (115.2, "115"), (1149.6, "1,150"), (9.996, "10.0"), (0.0, "0"),
     (float("nan"), "-"), (float("inf"), "-")],
)  # fmt: skip
def test_costs_have_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == TOP1.cost(value) == text


@given(st.floats(-1, 1))
def test_a_difference_shows_its_sign_unless_it_is_written_as_zero(value: float) -> None:
    text = TOP1.difference(value)
    assert float(text) == pytest.approx(100 * value, abs=0.05 + 1e-9)
    assert text[0] in "+-" if float(text) else text == "0.0"


@given(st.integers(1, 10**7), st.booleans(), st.floats(0, 1))
def test_scores_have_as_many_digits_as_the_samples_support(count: int, percent: bool, value: float) -> None:
    formats = Formats.for_samples(count, percent, "ms")
    text = formats.score(value)
    assert len(text.partition(".")[2]) == (2 if count >= 5000 else 1) + (0 if percent else 2)
    # One digit of a percentage is as fine as three digits of a fraction.
    assert float(text) / formats.scale == pytest.approx(value, abs=0.51 * 10 ** -(4 if count >= 5000 else 3))


def test_what_is_not_known_is_a_dash() -> None:
    nan = float("nan")
    assert [TOP1.score(nan), TOP1.difference(nan), TOP1.change(nan), TOP1.cost(nan)] == ["-"] * 4


def test_intervals_follow_their_value() -> None:
    assert TOP1.score_interval(Estimate(0.911, 0.883, 0.935)) == "91.1 (88.3 to 93.5)"
    assert TOP1.difference_interval(Estimate(-0.004, -0.016, 0.008)) == "-0.4 (-1.6 to +0.8)"
    assert TOP1.cost_interval(Estimate(0.21, 0.177, 0.252)) == "0.210 (0.177 to 0.252)"
    assert TOP1.change_interval(Estimate(0.36, 0.3, 0.41)) == "-64 % (-70 % to -59 %)"


def test_what_does_not_vary_has_no_interval() -> None:
    fixed = Estimate(0.5, 0.5, 0.5)
    assert TOP1.cost_interval(fixed) == "0.500"
    assert TOP1.cost_ends(fixed) == ""
    assert TOP1.change_interval(fixed) == "-50 %"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.36, "-64 %"), (1.0, "0 %"), (1.004, "0 %"), (1.5, "+50 %"), (0.002, "-99.8 %"), (0, "-100 %")],
)
def test_a_ratio_is_written_as_a_change(ratio: float, text: str) -> None:
    assert TOP1.change(ratio) == text


def test_a_share_of_no_sample_differs_from_a_small_share() -> None:
    assert [TOP1.share(0.0), TOP1.share(0.0001), TOP1.share(0.6213)] == [".", "0.0", "62.1"]


@pytest.mark.parametrize(
    ("preferences", "text"),
    [([0.35, 0.4, 0.5], "0.35-0.50"), ([0.85], "0.85"), ([0.125, 0.25], "0.125-0.250"), ([1.0], "1.00")],
)
def test_a_group_of_preferences_is_a_range(preferences: list[float], text: str) -> None:
    assert preference_range(preferences) == text


def test_names_lose_adapter_and_options_only_where_they_stay_different() -> None:
    assert short_names(["timm:resnet18?img=160", "ultralytics:yolov8n.pt"]) == ("resnet18", "yolov8n.pt")
    assert short_names(["timm:resnet18?a=1", "timm:resnet18?a=2"]) == ("timm:resnet18?a=1", "timm:resnet18?a=2")
    assert short_names(["timm:", "x"]) == ("timm:", "x")


def test_long_names_are_cut_in_the_middle_only_where_they_stay_different() -> None:
    start, end = "efficientnet_" * 3, "_in21k_ft_in1k"
    (cut,) = short_names([f"{start}b0{end}"], width=20)
    assert len(cut) == 20
    assert cut.startswith("efficient") and cut.endswith("1k") and "…" in cut
    pair = (f"{start}b0{end}", f"{start}b1{end}")
    assert short_names(pair, width=20) == pair


@given(st.lists(st.text("ab:?=.-_/0", min_size=1, max_size=40), min_size=1, max_size=6, unique=True))
def test_short_names_stay_different(names: list[str]) -> None:
    shown = short_names(names, width=12)
    assert len(set(shown)) == len(names)
    assert all(shown)


def test_units_and_metrics_are_labelled() -> None:
    assert cost_unit_meaning("GMACs").endswith("1 MAC = 2 FLOPs")
    assert cost_unit_meaning("euros") == "euros per sample"
    assert (metric_head("top1", True), metric_axis("top1", True)) == ("top1 %", "top1 (%)")
    assert (metric_head("R2", False), metric_axis("R2", False)) == ("R2", "R2")


@given(st.floats(1e-9, 1 - 1e-9))
def test_a_threshold_is_never_written_as_one_that_answers_all_or_nothing(value: float) -> None:
    text = threshold_text(value)
    assert 0 < float(text) < 1
    assert "e" not in text
    assert float(text) == pytest.approx(value, abs=0.0005)
    assert len(text) == 5 or float(f"{value:.3f}") in (0, 1)


@given(st.floats(1e-9, 1e9), st.booleans())
def test_scores_of_any_size_are_told_from_nothing(size: float, negative: bool) -> None:
    value = -size if negative else size
    text = Formats.for_samples(100, False, "ms", [value, 0.5 * value]).score(value)
    assert float(text) == pytest.approx(value, rel=0.051)
    assert len(text) <= 14


def test_nothing_has_no_sign_and_what_is_not_known_no_interval() -> None:
    assert Formats(False, 3, "ms").score(-1e-9) == "0.000"
    nan = float("nan")
    assert TOP1.score_interval(Estimate(nan, nan, nan)) == "-"
    assert TOP1.difference_interval(Estimate(0.01, nan, nan)) == "+1.0"
