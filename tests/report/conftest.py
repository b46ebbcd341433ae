"""Evaluations made by hand, so that a test can say exactly what a report is made of."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import Policy, PolicyRow
from orxe_plugins.evaluation.gate import Curve, GateEvaluation, RankingResult
from orxe_plugins.evaluation.results import (
    Choice,
    Estimate,
    Evaluation,
    ExpertResult,
    PolicyResult,
    PromiseResult,
    Result,
    Verdict,
)
from orxe_plugins.evaluation.samples import IntervalSettings, Samples
from orxe_plugins.evaluation.saver import ChosenThreshold, SaverEvaluation
from orxe_plugins.policies.row import Promise
from orxe_plugins.search.savers import SaverCurves, SaverRow, SaverTable

REPORTED = Samples("pets", "reporting split", 1000, path="originals", augment_known=True)
FITTED = Samples("pets", "fitting split", 800, path="originals", augment_known=True)


def around(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)


def result_of(cost: float, score: float, share: Sequence[float], last_cost: float, last_score: float) -> Result:
    alone = max(share) == 1
    spread = 0.0 if alone else 0.1 * cost
    difference = Estimate(0.0, 0.0, 0.0) if score == last_score else around(score - last_score, 0.01)
    return Result(
        score=around(score, 0.02),
        cost=around(cost, spread),
        score_difference=difference,
        cost_ratio=around(cost / last_cost, spread / last_cost),
        mean_score=score,
        exit_share=tuple(share),
    )


def make_evaluation(
    names: Sequence[str] = ("timm:small", "timm:medium", "timm:large"),
    costs: Sequence[float] = (1.0, 3.0, 10.0),
    scores: Sequence[float] = (0.80, 0.86, 0.91),
    policies: Sequence[tuple[float, Policy, float, float, Sequence[float]]] | None = None,
    chosen: int = 2,
    **changes: Any,
) -> Evaluation:
    """An evaluation; each of ``policies`` is (preference, policy, cost, score, exit shares)."""
    rows = policies or (
        (0.0, Policy((0.0, None)), 1.0, 0.80, (1.0, 0.0, 0.0)),
        (0.25, Policy((0.0, None)), 1.0, 0.80, (1.0, 0.0, 0.0)),
        (0.5, Policy((0.6, 0.7), (0.0, 0.2)), 4.0, 0.90, (0.5, 0.3, 0.2)),
        (1.0, Policy((0.9, None)), 7.0, 0.91, (0.3, 0.0, 0.7)),
    )
    n, last = len(names), (costs[-1], scores[-1])
    results = tuple(
        PolicyResult(p, policy, result_of(cost, score, share, *last), fit_cost=cost, fit_score=score + 0.01)
        for p, policy, cost, score, share in rows
    )
    return replace(
        Evaluation(
            policies=results,
            experts=tuple(
                ExpertResult(i, names[i], None, result_of(costs[i], scores[i], np.eye(n)[i].tolist(), *last))
                for i in range(n)
            ),
            choice=Choice(results[chosen], "fitted", "the cheapest one within a point of the last expert"),
            verdict=Verdict("cascade", "The cascade saves 60 % of the GMACs.", "no loss was shown", ("Well done.",)),
            metric_name="top1",
            percent=True,
            cost_unit="GMACs",
            reported_on=REPORTED,
            fitted_on=FITTED,
            shared_samples=0,
            intervals=IntervalSettings(),
        ),
        **changes,
    )


def make_promise(evaluation: Evaluation, kept: bool = True) -> PromiseResult:
    """A promise of a drop of at most half a point, which the third policy keeps or none does."""
    held = evaluation.policies[2]
    row = PolicyRow(held.preference, held.policy, held.fit_cost, held.fit_score)
    if not kept:
        return PromiseResult(Promise(0.005, 0.95, 300, 4, reason="no policy keeps 0.005 here."), None, None)
    promise = Promise(0.005, 0.95, 300, 4, (row,), (0.002,), (0.031,), "an exact test")
    return PromiseResult(promise, held.result, 0.003)


def make_saver_evaluation(crossing: float = 0.6, threshold: float | None = 0.7, **changes: Any) -> SaverEvaluation:
    """A saver and its base, whose curves cross at ``crossing`` on the reporting split."""
    ratio = np.linspace(0.01, 1, 100)
    curves = SaverCurves(
        exit_ratio=ratio,
        saver_score=0.99 - 0.2 * ratio,
        base_score=0.95 - 0.05 * ratio,
        threshold=1 - ratio,
        crossing=crossing,
        crossing_score=0.9 if crossing else float("nan"),
    )
    first = SaverRow("timm:tiny", "timm:big", 0.55, -0.45, threshold, 1.0, 10.0, 0.79, 0.90)
    second = SaverRow("timm:mid<dle>", "timm:big", 0.0, 0.5, None, 5.0, 10.0, 0.80, 0.90)
    pair = result_of(5.0, 0.895, (0.6, 0.4), 10.0, 0.90)
    return replace(
        SaverEvaluation(
            base="timm:big",
            candidates=(first, second),
            saver=first,
            fit_curves=replace(curves, crossing=0.5, crossing_score=0.92),
            report_curves=curves,
            table=SaverTable("timm:tiny", "timm:big", 1.0, 10.0, 0.79, 0.90, (0.01, 0.0), (None, 4.5), 0.904, 6.0),
            chosen=(ChosenThreshold(0.01, 0.65, pair),),
            metric_name="top1",
            percent=True,
            cost_unit="GMACs",
            reported_on=REPORTED,
            fitted_on=FITTED,
            shared_samples=0,
            intervals=IntervalSettings(),
        ),
        **changes,
    )


def make_gate_evaluation(gain: Estimate, tau_gains: Sequence[Estimate], **changes: Any) -> GateEvaluation:
    """Gates with this gain over the native confidence, one expert for each gain of Kendall's tau."""
    cost = np.array([1.0, 4.0, 10.0])
    curves = tuple(
        Curve(name, cost, np.array([0.5, top, 0.8]), around(top, 0.01))
        for name, top in (
            ("ranking gates", 0.7),
            ("native confidence", 0.66),
            ("random exit", 0.6),
            ("oracle (perfect ranking)", 0.78),
        )
    )
    rankings = tuple(
        RankingResult(
            f"timm:expert{i}", around(0.4, 0.05), around(0.3, 0.05), tau_gain,
            around(0.8, 0.05), around(0.7, 0.05), around(0.1, 0.02), gate_share=0.0123,
        )
        for i, tau_gain in enumerate(tau_gains)
    )  # fmt: skip
    return replace(
        GateEvaluation(
            rankings=rankings,
            curves=curves,
            span=(1.0, 10.0),
            gain=gain,
            over_random=Estimate(0.05, 0.03, 0.07),
            metric_name="top1",
            percent=True,
            cost_unit="GMACs",
            reported_on=REPORTED,
            fitted_on=FITTED,
            trained_on=Samples("pets", "gates' training split", 500),
            intervals=IntervalSettings(),
        ),
        **changes,
    )


@pytest.fixture(scope="session")
def open_browser() -> Callable[[Path], Any]:
    """``open_browser(empty_folder)``: a browser to open pages in, see ``browser.py`` beside this file."""
    pytest.importorskip("websockets", reason="the browser is asked over a web socket")
    spec = importlib.util.spec_from_file_location("report_browser", Path(__file__).with_name("browser.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    program = module.chromium()
    if program is None:
        pytest.skip("no Chromium is installed")
    return lambda profile: module.Browser(program, profile)


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Evaluation]:
    """``evaluation(...)``: see :func:`make_evaluation`."""
    return make_evaluation


@pytest.fixture(scope="session")
def promised() -> Callable[..., PromiseResult]:
    """``promised(evaluation, kept=True)``: see :func:`make_promise`."""
    return make_promise


@pytest.fixture(scope="session")
def saver_evaluation() -> Callable[..., SaverEvaluation]:
    """``saver_evaluation(...)``: see :func:`make_saver_evaluation`."""
    return make_saver_evaluation


@pytest.fixture(scope="session")
def gate_evaluation() -> Callable[..., GateEvaluation]:
    """``gate_evaluation(gain, tau_gains)``: see :func:`make_gate_evaluation`."""
    return make_gate_evaluation
