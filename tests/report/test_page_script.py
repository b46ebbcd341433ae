"""The page's script, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import PolicyTable, Records, fit_policies
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.samples import IntervalSettings
from orxe_plugins.report import Evidence, write_report
from orxe_plugins.report.content.tables import thresholds_text
from orxe_plugins.search.pareto import with_choices

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def table_and_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[PolicyTable, Path]:
    rng = np.random.default_rng(0)
    skill = np.array([0.7, 0.85, 0.95])[:, None]
    confidence = rng.beta(4 * skill, 1.0, size=(3, 800))
    score = (rng.random((3, 800)) < confidence * 0.3 + skill * 0.7).astype(np.uint8)
    names = ["</script><script>x()</script>", 'medium\'s "own"', "large"]
    records = Records.from_arrays(names, [1, 3, 10], confidence, score, labels=rng.integers(0, 3, 800))
    fit, report = records.split(0.5)
    table = with_choices(fit_policies(fit, np.linspace(0, 1, 11)), fit)
    evaluation = evaluate(
        table, report, fitted_on=fit, metric=Metric("top1"), intervals=IntervalSettings(resamples=100)
    )
    folder = tmp_path_factory.mktemp("page")
    return table, write_report(evaluation, folder, evidence=Evidence(report, table, Metric("top1"))).html


@pytest.fixture(scope="module")
def browser(
    table_and_page: tuple[PolicyTable, Path], open_browser: Callable[[Path], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:  # fmt: skip
    """The page in a browser, with what tests do with it: see ``browser.py`` beside this file."""
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(1280)
        opened.open(table_and_page[1])
        yield opened
        assert opened.complaints == []
        assert [url for url in opened.requests if not url.startswith(("data:", "file:"))] == []


def set_value(browser: Any, element: str, value: object) -> None:
    """Set an input's value as typing does."""
    browser.say(
        f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.getElementById('{element}'))"
    )


def state(browser: Any) -> tuple[str, ...]:
    return tuple(browser.text(f"choice-{name}") for name in ("cost", "score", "thresholds"))


def test_a_click_on_the_slider_changes_figures_and_marker(browser: Any) -> None:
    seen = []
    for across in (0.02, 0.5, 0.98):
        browser.click("preference", across)
        marker = browser.say("document.getElementById('marker').getAttribute('cx')")
        seen.append((*state(browser), browser.text("snippet"), marker))
    assert len(set(seen)) == 3
    costs = [float(each[0]) for each in seen]
    assert costs == sorted(costs)


def test_arrow_keys_go_to_the_next_policy(browser: Any) -> None:
    browser.click("preference", 0.5)
    start = state(browser)
    browser.key("ArrowRight")
    after = state(browser)
    assert after[2] != start[2]
    browser.key("ArrowLeft")
    assert state(browser)[2] == start[2]
    browser.key("Home")
    assert browser.text("preference-value") == "0.000"
    browser.key("End")
    assert browser.text("preference-value") == "1.000"


def test_a_preference_picks_the_row_that_the_table_picks(
    browser: Any, table_and_page: tuple[PolicyTable, Path]
) -> None:
    for preference in np.linspace(0, 1, 101).round(3):
        set_value(browser, "preference", preference)
        assert state(browser)[2] == thresholds_text(table_and_page[0].at(float(preference)).policy)
        said = browser.text("snippet").splitlines()[0]
        given = float(said.removeprefix("cascade.set_preference(").removesuffix(")"))
        assert table_and_page[0].at(given).policy == table_and_page[0].at(float(preference)).policy


def test_a_budget_picks_the_row_that_the_table_picks(browser: Any, table_and_page: tuple[PolicyTable, Path]) -> None:
    for budget in np.linspace(0.5, 11, 43).round(2):
        before = state(browser)
        set_value(browser, "budget", budget)
        try:
            row = table_and_page[0].at_budget(float(budget))
        except OrxeError:
            assert "No policy costs at most" in browser.text("budget-note")
            assert state(browser) == before
            continue
        assert state(browser)[2] == thresholds_text(row.policy)
        assert browser.text("snippet").startswith(f"cascade.set_preference(budget={budget:g})")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(browser: Any, width: int) -> None:
    browser.resize(width)
    assert browser.say("document.documentElement.scrollWidth") <= width
    size = browser.say("parseFloat(getComputedStyle(document.querySelector('#chart-box text')).fontSize)")
    drawn = browser.say("(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
                        "(document.querySelector('#chart-box svg'))")  # fmt: skip
    assert size * drawn >= 11


def test_names_are_text(browser: Any) -> None:
    assert "</script><script>x()</script>" in browser.say("document.querySelector('.keys').textContent")


def test_the_choice_is_seen_wherever_it_lies_and_a_sheet_is_drawn_as_wide_as_it_is(browser: Any) -> None:
    browser.resize(1280)
    assert browser.say("document.getElementById('enlarge').checked")
    inside = "(m => { const b = document.querySelector('#chart-box svg').viewBox.baseVal; " \
        "return m.cx.baseVal.value > 0 && m.cx.baseVal.value < b.width && m.cy.baseVal.value > 0 && " \
        "m.cy.baseVal.value < b.height; })(document.getElementById('marker'))"  # fmt: skip
    for preference in (0, 0.5, 1):
        set_value(browser, "preference", preference)
        assert browser.say(inside)
    wide = "document.querySelector('#chart-box svg').viewBox.baseVal.width"
    before = browser.say(wide)
    browser.say("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.say(wide) == 660
    browser.say("window.dispatchEvent(new Event('afterprint'))")
    assert browser.say(wide) == before > 660
