"""What a policy and single experts take in time, and what the verdict makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from orxe_plugins import Policy, Records, fit_policies, replay
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.evaluation.times import tails_of, timed, with_times
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.search.pareto import with_choices

DETAILS = {"machine": "a made-up machine", "dtype": "fp32", "backend": "eager"}


def records(seed: int, m: int = 600) -> Records:
    rng = np.random.default_rng(seed)
    margin = 3 * (np.array([[0.75], [0.8], [0.97]]) - rng.random(m)) + rng.normal(0, 0.2, (3, m))
    confidence = 1 / (1 + np.exp(-3 * margin))
    return Records.from_arrays(["a", "b", "c"], [1, 3, 10], confidence, margin > 0, [f"{seed}-{i}" for i in range(m)])


def table(a: float, b: float, c: float) -> LatencyTable:
    """Times that grow with the batch."""
    times = {"a": a, "b": b, "c": c}
    single = {name: (ms, ms, 2 * ms) for name, ms in times.items()}
    return LatencyTable((1, 64), {name: (ms, 64 * ms) for name, ms in times.items()}, DETAILS, single=single)


def evaluation() -> tuple[Evaluation, Records]:
    fit, report = records(1), records(2)
    found = with_choices(fit_policies(fit, (0.3, 0.6, 0.9)), fit)
    return evaluate(found, report, fitted_on=fit, metric=Metric("top1")), report


def test_where_one_expert_is_faster_and_as_good_the_first_sentence_says_so() -> None:
    found, report = evaluation()
    assert found.verdict.kind == "cascade" and len(found.chosen.policy.reachable) > 1
    # The costliest in GMACs is the fastest in time.
    timed_so = with_times(found, report, TimeCost(table(2.0, 3.0, 1.0)))
    assert timed_so.verdict.kind == "expert" and timed_so.times is not None and timed_so.times.fastest == 2
    assert timed_so.verdict.sentence.startswith("In time no cascade pays here: c alone takes 1")
    assert timed_so.verdict.more[0] == found.verdict.sentence
    assert evaluation_document(timed_so).summary[0] == timed_so.verdict.sentence


def test_where_the_cascade_is_faster_the_rival_is_named_beside_it() -> None:
    found, report = evaluation()
    timed_so = with_times(found, report, TimeCost(table(1.0, 3.0, 10.0)))
    assert timed_so.verdict.sentence == found.verdict.sentence and timed_so.verdict.kind == "cascade"
    assert timed_so.verdict.more[0].startswith("In time, the policy takes")
    assert timed_so.times is not None
    assert timed_so.times.chosen.ms == pytest.approx(replay(report, found.chosen.policy).cost)
    assert timed_so.to_dict()["times"]["where"] == "a made-up machine, fp32, eager"
    shown = next(each for each in evaluation_document(timed_so).tables if each.title.startswith("Time"))
    assert [column.title for column in shown.columns][2:5] == ["GMACs", "ms", "Samples/s"]
    assert len(shown.rows) == 4 and shown.rows[0][0] == "the chosen policy"


def test_tails_of_one_expert_are_those_of_its_measured_times() -> None:
    _, report = evaluation()
    single = timed(Policy.only(2, 3), report, TimeCost(table(1.0, 3.0, 10.0)))
    assert single.tails == pytest.approx((10, 20, 20)) and single.gmacs == 10


def test_tails_of_a_cascade_follow_its_routes() -> None:
    report = records(3)
    steady = LatencyTable((1,), {"a": (1.0,), "b": (3.0,), "c": (10.0,)}, {}, single={"a": (1.0,), "c": (10.0,)})
    # The fifth of the samples that are least sure go on to c.
    cut = float(np.quantile(report.confidence[0], 0.2))
    p50, p95, p99 = tails_of(replay(report, Policy((cut, None))), TimeCost(steady))
    assert (p50, p95, p99) == pytest.approx((1, 11, 11))
    assert tails_of(replay(report, Policy((cut, 0.5))), TimeCost(steady)) == (), "b has no times of one sample"
