"""Wrong arguments of the functions for arrays and records: an error that names the argument, never a raw one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import (
    OrxeError,
    Policy,
    PolicyRow,
    PolicyTable,
    Records,
    Selection,
    evaluate,
    fit_policies,
    frontier_figure,
    load_records,
    replay,
    saver_figure,
    select_pool,
    select_saver,
    shares_figure,
)
from orxe_plugins.evaluation import (
    IntervalSettings,
    bootstrap,
    clopper_pearson,
    common_threshold,
    evaluate_saver,
    oracle,
    random_mixing,
    single_experts,
)
from orxe_plugins.report import write_report
from orxe_plugins.search import choose_experts, with_choices

RNG = np.random.default_rng(0)
RECORDS = Records.from_arrays("abc", [1, 2, 4], RNG.random((3, 40)), RNG.random((3, 40)) < 0.7, params=[3, 4, 5])
TABLE = fit_policies(RECORDS, [0.2, 0.8])
EVALUATION = evaluate(TABLE, RECORDS, intervals=IntervalSettings(20))
POLICY = TABLE[0].policy
#: of these, most fit nowhere
ODD: list[Any] = [
    None, 3, -1, 2.5, float("nan"), "x", b"x", [], [1, 2], ["a"], {}, {"a": 1}, object(), np.zeros(3), np.zeros((2, 2)),
    RECORDS, TABLE, EVALUATION, POLICY, TABLE[0], len, True, Path("/nonexistent/x"), Selection(0.5), (0.5,), (None,),
]  # fmt: skip
FEW = IntervalSettings(20)
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (Policy, {"exit_thresholds": (0.5, None), "skip_thresholds": (0.0, 0.0)}),
    (Policy.never, {"n_experts": 3}),
    (Policy.only, {"expert": 1, "n_experts": 3}),
    (Policy.uniform, {"threshold": 0.5, "n_experts": 3}),
    (PolicyRow, {"preference": 0.5, "policy": POLICY, "cost": 1.0, "score": 0.5}),
    (PolicyTable, {"rows": TABLE.rows, "cost_unit": "ms", "reference_cost": 4.0, "n_samples": 4, "pareto": ()}),
    (TABLE.choose, {"preference": 0.5}),
    (TABLE.choose, {"budget": 5.0, "max_experts": 2}),
    (TABLE.at, {"preference": 0.5}),
    (Selection, {"max_drop": 0.1, "confidence": 0.9, "max_params": 3}),
    (
        Records.from_arrays,
        {"names": "ab", "cost": [1, 2], "confidence": [[0.5], [0.5]], "score": [[1], [1]], "sample_ids": ["x"],
         "needs": [None, None], "labels": [1], "params": [1, 2], "order": "sort"},
    ),
    (RECORDS.experts, {"names": ["a"]}),
    (RECORDS.split, {"fraction": 0.5, "seed": 0}),
    (replay, {"records": RECORDS, "policy": POLICY}),
    (fit_policies, {"records": RECORDS, "preferences": [0.5], "skip_gates": True, "seed": 0, "threads": 1, "alpha": 1}),
    (evaluate, {"table": TABLE, "records": RECORDS, "selection": Selection(0.5), "intervals": FEW, "extras": {}}),
    (frontier_figure, {"evaluation": EVALUATION, "mixing": True, "baselines": []}),
    (shares_figure, {"evaluation": EVALUATION}),
    (saver_figure, {"evaluation": evaluate_saver(RECORDS, RECORDS, "c", intervals=FEW)}),
    (evaluate_saver, {"fit": RECORDS, "report": RECORDS, "base": "c", "drops": (0.01,), "intervals": FEW}),
    (select_saver, {"records": RECORDS, "base": "c"}),
    (select_pool, {"records": RECORDS, "k": 3, "preferences": [0.5], "seed": 0}),
    (choose_experts, {"records": RECORDS, "preferences": [0.5], "max_experts": 1, "max_params": 9, "seed": 0}),
    (with_choices, {"table": TABLE, "records": RECORDS, "max_rows": 5, "expansions": 1, "seed": 0}),
    (load_records, {"folder": "/nonexistent/x"}),
    (oracle, {"records": RECORDS}),
    (random_mixing, {"records": RECORDS}),
    (single_experts, {"records": RECORDS}),
    (common_threshold, {"records": RECORDS, "thresholds": [0.5]}),
    (bootstrap, {"series": np.zeros((2, 5)), "n": 10, "level": 0.9}),
    (clopper_pearson, {"successes": 3, "trials": 5, "level": 0.9}),
    (write_report, {"evaluation": EVALUATION}),
]  # fmt: skip


@pytest.mark.parametrize(("call", "good"), CALLS, ids=[f"{i}-{call.__name__}" for i, (call, _) in enumerate(CALLS)])
def test_a_wrong_argument_is_an_error_of_ours(call: Callable[..., Any], good: dict[str, Any], tmp_path: Path) -> None:
    raw = []
    extra = {"folder": tmp_path} if call is write_report else {}
    for name in good:
        for odd in ODD:
            if call in (frontier_figure, shares_figure, write_report) and odd is EVALUATION:
                continue  # is right, and takes its time
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call(**{**good, **extra, name: odd})
            except OrxeError:
                pass
            except Exception as error:
                raw.append(f"{name}={odd!r:.40}: {type(error).__name__}: {error}")
    assert not raw, "\n".join(raw)


def test_the_way_out_is_named() -> None:
    for call, message in [
        (lambda: Policy(0.4), r"exit_thresholds is 0.4: .*such as \(0.4,\)"),  # type: ignore[arg-type]
        (lambda: fit_policies(RECORDS, 50), r"preferences is 50: .*numpy.linspace\(0, 1, 50\)"),  # type: ignore[arg-type]
        (lambda: fit_policies(RECORDS, [-0.5]), r"preference is -0.5: expected a number in \[0, 1\]"),
        (lambda: TABLE.at(budget=3), r"use table.choose\(budget=3\)"),
        (lambda: frontier_figure(TABLE), r"expected an Evaluation; evaluate\(table, records\) gives one"),  # type: ignore[arg-type]
        (lambda: replay(RECORDS, Policy((0.5,))), "1 exit_thresholds for 3 experts: expected 2"),
        (lambda: evaluate(TABLE, RECORDS.experts([0, 2])), "2 exit_thresholds for 2 experts"),
        (lambda: RECORDS.experts("a"), r"names is 'a': expected several experts, such as \['a'\]"),
    ]:
        with pytest.raises(OrxeError, match=message):
            call()


def test_what_was_a_type_error_still_is_one() -> None:
    with pytest.raises(TypeError):
        frontier_figure(TABLE)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fit_policies(RECORDS, 50)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [RECORDS, TABLE, TABLE[0], POLICY, EVALUATION, Selection(0.5), oracle(RECORDS)])
def test_reprs_are_short_and_dump_no_array(value: Any) -> None:
    assert len(repr(value)) < 250
    assert "array(" not in repr(value) and "\n" not in repr(value)
