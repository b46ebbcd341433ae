from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orxe_plugins.evaluation.results import Evaluation, PromiseResult
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.report.content.promises import promise_table


def test_a_promise_shows_what_was_tested_and_what_came_of_it(
    evaluation: Callable[..., Evaluation], promised: Callable[..., PromiseResult]
) -> None:
    plain = evaluation()
    table = promise_table(replace(plain, promises=(promised(plain),)))
    assert table.title == "Promised drops (choosing split, 300 samples)"
    (row,) = table.rows
    assert row[:5] == ("0.5", "95 %", "0.500", "4.00 (3.60 to 4.40)", "90.0 (88.0 to 92.0)")
    assert row[5:] == ("+0.2", "-1.0 (-2.0 to 0.0)", "0.031", "4")


def test_a_drop_that_cannot_be_promised_says_why(
    evaluation: Callable[..., Evaluation], promised: Callable[..., PromiseResult]
) -> None:
    plain = evaluation()
    table = promise_table(replace(plain, promises=(promised(plain), promised(plain, kept=False))))
    assert table.rows[1][:3] == ("0.5", "95 %", "none")
    assert table.note.endswith("no policy keeps 0.005 here.")


def test_only_a_report_with_promises_has_the_table(
    evaluation: Callable[..., Evaluation], promised: Callable[..., PromiseResult]
) -> None:
    plain = evaluation()
    titles = [table.title for table in evaluation_document(replace(plain, promises=(promised(plain),))).tables]
    assert titles[1].startswith("Promised drops")
    assert len(evaluation_document(plain).tables) == len(titles) - 1
