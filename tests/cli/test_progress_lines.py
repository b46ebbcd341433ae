"""Progress without a terminal: a line for each tenth, but neither silence nor a flood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.cli.progress_lines import ProgressLines, duration


def said(total: int, steps: list[tuple[int, float]], done: int = 0) -> list[str]:
    """What is said of a job; each step is so many samples after so many seconds."""
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, lambda: now[0])
    progress.start(total, "small", done)
    for count, seconds in steps:
        now[0] += seconds
        progress.advance(count)
    return lines


def test_each_tenth_of_a_long_job_has_a_line_with_the_time_left() -> None:
    lines = said(1000, [(10, 1.0)] * 100)
    assert lines[0] == "small: 1,000 to do"
    assert lines[1] == "small: 100 of 1,000 (10 %), about 1 min 30 s left"
    assert lines[-1] == "small: 1,000 done in 1 min 40 s"
    assert len(lines) == 1 + 9 + 1


def test_a_short_job_has_two_lines() -> None:
    assert said(45, [(1, 0.02)] * 45) == ["small: 45 to do", "small: 45 done in 0.9 s"]


def test_a_job_whose_tenths_take_long_is_never_silent_for_long() -> None:
    lines = said(10_000, [(1, 30.0)] * 40)
    assert len(lines) > 15


def test_steps_of_an_earlier_run_do_not_count_into_the_speed() -> None:
    lines = said(100, [(5, 70.0)], done=90)
    assert lines == ["small: 100 to do, 90 done before", "small: 95 of 100 (95 %), about 1 min 10 s left"]


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(1, 50), st.floats(0, 100)), max_size=60))
def test_there_is_one_first_line_and_at_most_one_last_line(total: int, steps: list[tuple[int, float]]) -> None:
    lines = said(total, steps)
    assert lines[0] == f"small: {total:,} to do"
    assert sum("done in" in line for line in lines) == (sum(count for count, _ in steps) >= total)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (90061, "1 d 1 h")]
)
def test_times_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
