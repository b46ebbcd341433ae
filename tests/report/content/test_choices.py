from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orxe_plugins import Policy, PolicyTable, Records, fit_policies, replay
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Evaluation, OtherPolicy
from orxe_plugins.evaluation.samples import IntervalSettings
from orxe_plugins.report import Evidence, write_report
from orxe_plugins.report.content.choices import chooser_data
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.report.content.tables import policy_table
from orxe_plugins.report.html import to_html
from orxe_plugins.search.pareto import with_choices

HOSTILE = ("</script><script>x()</script>", "a \"quoted\" 'name' & <b>", "]]><!-- {{ 7 * 7 }}")


def some_records(count: int, seed: int = 0) -> Records:
    """Three experts, each better and surer than the one before."""
    rng = np.random.default_rng(seed)
    skill = np.array([0.7, 0.85, 0.95])[:, None]
    confidence = rng.beta(4 * skill, 1.0, size=(3, count))
    score = (rng.random((3, count)) < confidence * 0.3 + skill * 0.7).astype(np.uint8)
    labels = rng.integers(0, 10, count)
    return Records.from_arrays(["small", "medium", "large"], [1, 3, 10], confidence, score, labels=labels)


@pytest.fixture(scope="module")
def fitted() -> tuple[PolicyTable, Records, Evaluation]:
    fit, report = some_records(400), some_records(300, seed=1)
    table = with_choices(fit_policies(fit, np.linspace(0, 1, 9)), fit)
    settings = IntervalSettings(resamples=50)
    return table, report, evaluate(table, report, fitted_on=fit, metric=Metric("top1"), intervals=settings)


def embedded(page: str) -> dict[str, object]:
    """The JSON that a page's script reads."""
    (text,) = re.findall(r'<script type="application/json" id="chooser-data">(.*?)</script>', page, re.DOTALL)
    return dict(json.loads(text))


def test_every_policy_has_the_figures_of_the_evaluation(fitted: tuple[PolicyTable, Records, Evaluation]) -> None:
    table, records, evaluation = fitted
    data = chooser_data(evaluation, Evidence(records, table))
    rows = data["rows"]
    assert len(rows) == len(evaluation.policies) + sum(other.kind == "pareto" for other in evaluation.others)
    for row, policy in zip(rows, evaluation.policies, strict=False):
        result = policy.result
        assert row["fitted"]
        assert (row["preference"], row["fit_cost"], row["fit_score"]) == (
            policy.preference, policy.fit_cost, policy.fit_score
        )  # fmt: skip
        assert row["cost"] == [result.cost.value, result.cost.low, result.cost.high]
        assert row["score"] == [100 * each for each in (result.score.value, result.score.low, result.score.high)]
        assert row["share"] == list(result.exit_share)
    others = [other for other in evaluation.others if other.kind == "pareto"]
    assert others
    for row, other in zip(rows[len(evaluation.policies) :], others, strict=True):
        assert not row["fitted"]
        assert row["score"][0] == pytest.approx(100 * other.score)
        assert row["score"][1] <= row["score"][0] <= row["score"][2]
        assert row["share"] == replay(records, other.policy).exit_share.tolist()


def test_rows_are_looked_up_as_the_table_looks_them_up(fitted: tuple[PolicyTable, Records, Evaluation]) -> None:
    table, records, evaluation = fitted
    rows = chooser_data(evaluation, Evidence(records, table))["rows"]
    assert [row["preference"] for row in rows] == [row.preference for row in (*table, *table.pareto)]
    assert [row["cost_error"] for row in rows] == [row.cost_error for row in (*table, *table.pareto)]


def test_without_records_nothing_is_made_up(evaluation: Callable[..., Evaluation]) -> None:
    between = OtherPolicy("pareto", 0.7, Policy((0.7, None)), 5.0, 0.9, 5.0, 0.91)
    few = replace(between, kind="compact")
    data = chooser_data(evaluation(others=(between, few)))
    (row,) = (row for row in data["rows"] if not row["fitted"])
    assert row["score"] == [90.0, None, None]
    assert row["share"] is None
    assert row["text"]["score_interval"] == ""
    assert [each["kind"] for each in data["baselines"]] == ["mixing"]
    assert not data["safety"]


def test_the_oracle_is_drawn_where_the_metric_is_a_mean(fitted: tuple[PolicyTable, Records, Evaluation]) -> None:
    table, records, evaluation = fitted
    kinds = [each["kind"] for each in chooser_data(evaluation, Evidence(records, table))["baselines"]]
    assert kinds == ["mixing", "oracle"]
    other = Metric("mAP", lambda outcome, samples: 0.5)
    kinds = [each["kind"] for each in chooser_data(evaluation, Evidence(records, table, other))["baselines"]]
    assert kinds == ["mixing"]


def test_what_is_not_a_number_is_not_in_the_json(evaluation: Callable[..., Evaluation]) -> None:
    odd = evaluation(scores=(float("nan"), 0.86, 0.91))
    object.__setattr__(odd.policies[0], "fit_score", float("nan"))
    object.__setattr__(odd.policies[0], "fit_cost", float("nan"))
    json.dumps(chooser_data(odd), allow_nan=False)


def test_shares_are_written_as_in_the_table_of_policies(fitted: tuple[PolicyTable, Records, Evaluation]) -> None:
    table, records, _ = fitted
    # 1 of 16 samples is 6.25 %: what is half-way is rounded by one rule on the whole page.
    few = evaluate(table, records.samples(np.arange(16)), intervals=IntervalSettings(resamples=20))
    rows = chooser_data(few)["rows"]
    written = policy_table(few).for_files()
    shares = [place for place, each in enumerate(written.columns) if re.fullmatch(r"#\d+ %", each.title)]
    seen = set()
    for group, line in zip(few.merged(), written.rows, strict=False):
        row = next(row for row in rows if row["preference"] == group[0].preference)
        said = [text for text in row["text"]["shares"] if text != "."]
        assert said == [line[place] for place in shares if line[place] != "."]
        seen.update(said)
    assert any(float(text) % 12.5 for text in seen)


def test_policies_are_told_apart_by_more_than_their_text(evaluation: Callable[..., Evaluation]) -> None:
    policies = tuple(Policy((threshold, None)) for threshold in (0.5, 0.50001, 0.5))
    rows = tuple((p, policy, 4.0, 0.9, (0.5, 0.0, 0.5)) for p, policy in zip((0.0, 0.5, 1.0), policies, strict=True))
    assert [row["policy"] for row in chooser_data(evaluation(policies=rows))["rows"]] == [0, 1, 0]


def test_the_chosen_policy_has_its_interval_wherever_it_lies(evaluation: Callable[..., Evaluation]) -> None:
    whole = evaluation()
    between = OtherPolicy("pareto", 0.7, Policy((0.7, None)), 5.0, 0.9, 5.0, 0.91)
    result = replace(whole.chosen, policy=between.policy, preference=0.7)
    chosen = replace(whole, others=(between,), choice=replace(whole.choice, chosen=result, kind="pareto"))
    (row,) = (row for row in chooser_data(chosen)["rows"] if not row["fitted"])
    assert row["text"]["score_interval"] == "88.0 to 92.0"


def test_timm_is_named_for_cascades_of_classifiers_alone(fitted: tuple[PolicyTable, Records, Evaluation]) -> None:
    table, records, evaluation = fitted
    classes = np.zeros((3, len(records), 1), dtype=np.int32)
    for predictions, labels, classifies in (
        ({}, records.labels, True),
        ({"classes": classes}, None, True),
        ({"values": classes.astype(np.float32)}, None, False),
        ({"confusion": classes}, None, False),
        ({}, np.zeros(len(records)), False),
    ):
        some = replace(records, predictions=predictions, labels=labels)
        assert chooser_data(evaluation, Evidence(some, table))["classifies"] is classifies


def test_the_page_holds_the_data_that_the_json_file_holds(
    fitted: tuple[PolicyTable, Records, Evaluation], tmp_path: Path
) -> None:
    table, records, evaluation = fitted
    files = write_report(evaluation, tmp_path, evidence=Evidence(records, table))
    page = embedded(files.html.read_text(encoding="utf-8"))
    assert page == json.loads(json.dumps(chooser_data(evaluation, Evidence(records, table))))
    written = json.loads(files.json.read_text(encoding="utf-8"))
    for row, policy in zip(page["rows"], written["policies"], strict=False):  # type: ignore[call-overload]
        assert row["cost"][0] == policy["cost"]["value"]
        assert row["score"][0] == 100 * policy["score"]["value"]
        assert row["text"]["score"] == f"{100 * policy['score']['value']:.1f}"
        assert row["preference"] == policy["preference"]


def test_hostile_names_stay_text(evaluation: Callable[..., Evaluation]) -> None:
    page = to_html(evaluation_document(evaluation(names=HOSTILE)))
    assert "x()</script>" not in page
    assert page.count("<script") == 2
    assert "<b>" not in page
    assert [each["name"] for each in embedded(page)["experts"]] == list(HOSTILE)  # type: ignore[attr-defined]


def test_ten_thousand_samples_take_at_most_three_megabytes(
    fitted: tuple[PolicyTable, Records, Evaluation], tmp_path: Path
) -> None:
    table, _, _ = fitted
    records = some_records(10_000, seed=2)
    evaluation = evaluate(table, records, metric=Metric("top1"), intervals=IntervalSettings(resamples=20))
    files = write_report(evaluation, tmp_path, evidence=Evidence(records, table, images=False))
    assert files.html.stat().st_size <= 3_000_000
