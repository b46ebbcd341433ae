from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.util.wording import plain

RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text: str) -> float:
    """The number that a text of ``plain`` says."""
    head, _, power = text.partition(" × 10")
    return float(head) * 10.0 ** int(power.translate(RAISED) or 0)


@given(value=st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30), digits=st.integers(2, 8))
def test_a_number_is_written_for_people_and_keeps_its_digits(value: float, digits: int) -> None:
    text = plain(value, digits)
    assert "e" not in text and "^" not in text
    assert read(text) == pytest.approx(value, rel=0.6 * 10 ** (1 - digits))
    assert len(text.strip("-0.")) <= 32


@given(value=st.integers(-(10**14), 10**14))
def test_whole_numbers_are_written_whole(value: int) -> None:
    assert plain(value) == str(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.457e-05, "0.00002457"), (12345.6, "12346"), (0.5, "0.5"), (9.99996, "10"), (float("nan"), "-"),
     (float("inf"), "-"), (1.5e-12, "1.5 × 10⁻¹²"), (2e20, "2 × 10²⁰"), (2.4e-8, "0.000000024")],
)  # fmt: skip
def test_numbers_of_every_size(value: float, text: str) -> None:
    assert plain(value) == text
