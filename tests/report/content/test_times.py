from __future__ import annotations

from orxe_plugins.evaluation.times import Timed, TimeResult
from orxe_plugins.report.content.times import disagreements


def times_of(*experts: tuple[float | None, float]) -> TimeResult:
    timed = tuple(Timed(ms, gmacs=gmacs) for gmacs, ms in experts)
    return TimeResult("batches of 64", "a machine", timed[0], timed, None)


def test_the_pair_that_misleads_most_is_named() -> None:
    (said,) = disagreements(["a", "b", "c"], times_of((1.0, 8.0), (2.0, 7.0), (4.0, 2.0)))
    assert said == "GMACs and time disagree: c has 4.00 GMACs against 1.00 of a, but takes 2.00 ms against 8.00."


def test_nothing_is_said_where_both_agree_or_one_is_not_known() -> None:
    assert disagreements(["a", "b"], times_of((1.0, 2.0), (4.0, 8.0))) == ()
    assert disagreements(["a", "b"], times_of((1.0, 2.0), (1.01, 1.0))) == ()
    assert disagreements(["a", "b"], times_of((None, 2.0), (4.0, 1.0))) == ()
    assert disagreements(["a", "b"], times_of((1.0, 2.0), (4.0, 0.0))) == ()
