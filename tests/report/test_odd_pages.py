"""Pages of odd records, in a real browser: they say what the table of policies says, and nothing is cut or cryptic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import Policy, PolicyRow, PolicyTable, Records, Selection, fit_policies
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.evaluation.samples import IntervalSettings
from orxe_plugins.report import Evidence, write_report
from orxe_plugins.report.content.tables import thresholds_text
from orxe_plugins.report.formats import Formats
from orxe_plugins.search.pareto import with_choices

pytestmark = pytest.mark.long

#: what no reader should see
CRYPTIC = re.compile(r"\b(NaN|Infinity|undefined|null)\b|- to -|\d(\.\d+)?e[-+]?\d")
HIDDEN = "a\u202eb\u200b"
RIGHT_TO_LEFT = "\u05d0\u05d1 \u05d2"


def records_of(names: list[str], costs: list[float], unit: str = "GMACs", confident: bool = False) -> Records:
    """Experts that get better and surer with their cost, on 160 samples."""
    rng = np.random.default_rng(3)
    n, count = len(names), 160
    level = rng.random((n, count))
    skill = np.linspace(0.5, 0.9, n)[:, None]
    score = (rng.random((n, count)) < skill * (0.6 + 0.4 * level)).astype(np.uint8)
    confidence = 1 - 10.0 ** -(1 + 7 * level) if confident else level
    return Records.from_arrays(names, costs, confidence, score, cost_unit=unit)


RECORDS: dict[str, Callable[[], Records]] = {
    "tiny costs": lambda: records_of(["a", "b", "c"], [1e-9, 1e-7, 3e-6]),
    "huge costs": lambda: records_of(["a", "b", "c"], [1e9, 1e12, 3e13], "<b>pJ</b> for 1,000 requests to a service"),
    "six orders": lambda: records_of([f"expert {i}" for i in range(7)], list(10.0 ** np.arange(-3, 4))),
    "free": lambda: records_of(["a", "b"], [0.0, 10.0], "ms"),
    "sure": lambda: records_of(["a", "b", "c"], [1.0, 3.0, 10.0], "ms", confident=True),
    "equal": lambda: records_of(["a", "b", "c"], [1.0, 1.0, 1.0]),
    "names": lambda: records_of([HIDDEN, RIGHT_TO_LEFT, "long_name_" * 9 + "<script>x()</script>"], [1.0, 3.0, 10.0]),
}


@pytest.fixture(scope="module", params=list(RECORDS))
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, PolicyTable, Path]:
    """What is reported, its table, and its page."""
    fit, report = RECORDS[request.param]().split(0.5)
    table = with_choices(fit_policies(fit, np.linspace(0, 1, 11)), fit)
    evaluation = evaluate(table, report, fitted_on=fit, metric=Metric("top1"), intervals=IntervalSettings(resamples=20))
    files = write_report(evaluation, tmp_path_factory.mktemp("odd"), evidence=Evidence(report, table, Metric("top1")))
    return evaluation, table, files.html


@pytest.fixture(scope="module")
def empty_browser(open_browser: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def browser(empty_browser: Any, made: tuple[Evaluation, PolicyTable, Path]) -> Iterator[Any]:
    empty_browser.complaints.clear()
    empty_browser.resize(1280)
    empty_browser.open(made[2])
    yield empty_browser
    assert empty_browser.complaints == []


def enter(browser: Any, element: str, value: object) -> None:
    browser.say(
        f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.getElementById('{element}'))"
    )


class Chosen:
    """Stands in for a cascade and for timm: executes the lines that the page offers."""

    def __init__(self, table: PolicyTable) -> None:
        self.table = table
        self.policies: list[Any] = []

    def set_preference(self, *asked: Any, **more: Any) -> None:
        self.policies.append(self.table.choose(*asked, **more).policy)

    def create_model(self, name: str, cascade: Any, preference: float) -> None:
        self.set_preference(preference)

    def policies_of(self, lines: str) -> list[Any]:
        self.policies.clear()
        exec(lines, {"cascade": self, "timm": self, "cascade_folder": None, "Selection": Selection})
        return self.policies


def check(browser: Any, evaluation: Evaluation, table: PolicyTable, row: Any) -> None:
    """Thresholds, cost, score, shares and the lines to copy are those of a row of the table."""
    assert browser.text("choice-thresholds") == thresholds_text(row.policy)
    found = [each for each in evaluation.policies if (each.preference, each.policy) == (row.preference, row.policy)]
    others = [each for each in evaluation.others if (each.preference, each.policy) == (row.preference, row.policy)]
    cost, score = (
        (found[0].result.cost.value, found[0].result.score.value) if found else (others[0].cost, others[0].score)
    )
    formats = Formats.of(evaluation)
    assert browser.text("choice-cost") == formats.cost(cost)
    assert browser.text("choice-score") == f"{formats.score(score)} %"
    if found:
        said = browser.say("document.getElementById('choice-shares').getAttribute('aria-label')")
        written = [formats.share(share) for share in found[0].result.exit_share if share]
        assert re.findall(r"(\d+\.\d) %", said) == written
    lines = browser.text("snippet")
    assert not CRYPTIC.search(lines)
    executed = Chosen(table).policies_of(lines)
    assert executed and all(policy == row.policy for policy in executed)


def test_a_preference_gives_the_row_of_the_table(browser: Any, made: tuple[Evaluation, PolicyTable, Path]) -> None:
    evaluation, table, _ = made
    for preference in np.linspace(0, 1, 26).round(3):
        enter(browser, "preference", preference)
        check(browser, evaluation, table, table.at(float(preference)))


def test_a_budget_gives_the_row_of_the_table(browser: Any, made: tuple[Evaluation, PolicyTable, Path]) -> None:
    evaluation, table, _ = made
    costs = sorted({row.cost for row in table.offered})
    for cost in costs[:: max(1, len(costs) // 8)]:
        for budget in (cost, cost * (1 + 1e-7), cost * (1 - 1e-7), 1.3 * cost):
            typed = np.format_float_positional(budget, trim="-")
            enter(browser, "budget", typed)
            try:
                row = table.at_budget(float(typed))
            except OrxeError:
                # What the note names as enough is enough.
                cheapest = re.search(r"the cheapest one costs ([\d.]+) ", browser.text("budget-note"))
                assert cheapest is not None and table.at_budget(float(cheapest[1]))
                continue
            check(browser, evaluation, table, row)
            assert not CRYPTIC.search(browser.text("budget-note"))


def test_what_is_no_budget_is_said_and_changes_nothing(
    browser: Any, made: tuple[Evaluation, PolicyTable, Path]
) -> None:
    before = browser.text("choice-thresholds"), browser.text("snippet")
    for typed, said in (
        ("abc", "abc is no number"), ("-1", "No policy costs at most -1 "), ("1e999", "too large"),
        ("1,2,3", "no number"),
        ("1,500", "1,500 can be read in two ways: write 1500 or 1.500."), ("1.5.2", "no number"), ("--1", "no number"),
    ):  # fmt: skip
        enter(browser, "budget", typed)
        assert said in browser.text("budget-note")
        assert browser.text("budget-note").endswith("The choice stays as it is.")
        assert browser.say("document.getElementById('budget').getAttribute('aria-invalid')") == "true"
        assert (browser.text("choice-thresholds"), browser.text("snippet")) == before
    enter(browser, "budget", "")
    assert browser.text("budget-note") == ""
    assert "budget" not in browser.text("snippet")


def test_numbers_are_read_as_people_write_them(browser: Any, made: tuple[Evaluation, PolicyTable, Path]) -> None:
    for typed, meant in (
        ("90000000000000,5", "90000000000000.5"), ("90,000,000,000,000", "90000000000000"),
        (" 9e13 ", "90000000000000"),
        ("90 000 000 000 000", "90000000000000"), ("90,000,000,000,000.5", "90000000000000.5"),
    ):  # fmt: skip
        enter(browser, "budget", typed)
        assert browser.text("snippet").splitlines()[0] == f"cascade.set_preference(budget={meant})"
    enter(browser, "budget", "")
    # The policy stays, without the budget.
    assert "budget" not in browser.text("snippet")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_text_of_the_chart_is_cut_covered_or_cryptic(browser: Any, width: int) -> None:
    browser.resize(width)
    assert browser.say("document.documentElement.scrollWidth") <= width
    boxes = browser.say(
        "(svg => [svg, ...svg.querySelectorAll('text')].map(e => [e.tagName === 'svg' ? '' : e.textContent, "
        "(b => [b.left, b.top, b.right, b.bottom])(e.getBoundingClientRect())]))"
        "(document.querySelector('#chart-box svg'))"
    )
    (_, (left, top, right, bottom)), *texts = boxes
    assert texts
    for text, (x0, y0, x1, y1) in texts:
        assert x0 >= left - 1 and y0 >= top - 1 and x1 <= right + 1 and y1 <= bottom + 1, text
    for k, (text, a) in enumerate(texts):
        for other, b in texts[:k]:
            # Boxes of letters are higher than the letters.
            assert min(a[2], b[2]) - max(a[0], b[0]) < 1 or min(a[3], b[3]) - max(a[1], b[1]) < 4, (text, other)
    seen = browser.say("document.body.innerText")
    assert not CRYPTIC.search(seen), CRYPTIC.search(seen)


def test_no_name_turns_the_figures_behind_it(browser: Any) -> None:
    assert not re.search("[\u202a-\u202e\u200b]", browser.say("document.body.textContent"))
    assert browser.say("document.querySelectorAll('script').length") == 2


def test_many_experts_and_policies_take_at_most_three_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"timm:vit_large_patch14_clip_224.of_some_weights_{i:02d}" for i in range(20)]
    level, skill = rng.random((20, 10_000)), np.linspace(0.4, 0.9, 20)[:, None]
    records = Records.from_arrays(names, np.geomspace(0.1, 100, 20), level, rng.random(level.shape) < skill)

    def row(preference: float) -> PolicyRow:
        policy = Policy(tuple(np.sort(rng.random(19)).tolist()), tuple((0.5 * rng.random(19)).tolist()))
        return PolicyRow(preference, policy, 1 + 90 * preference, 0.4 + 0.5 * preference)

    between = tuple(row(preference) for preference in rng.random(300).tolist())
    table = PolicyTable(tuple(row(preference) for preference in np.linspace(0, 1, 101).tolist()), pareto=between)
    evaluation = evaluate(table, records, metric=Metric("top1"), intervals=IntervalSettings(resamples=5))
    files = write_report(evaluation, tmp_path, evidence=Evidence(records, table, Metric("top1"), images=False))
    assert files.html.stat().st_size <= 3_000_000
