from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from orxe_plugins.report.lettering import shown, shown_values, visible

#: letters that the direction of a text depends on, with others between them
TURNING = st.text(st.sampled_from("ab 1.%\u05d0\u0628\u202e\u2067\u2069\u200f\u200b\ufeff\u00ad"), max_size=30)
ISOLATES = ("\u2068", "\u2069")


@given(TURNING)
def test_no_letter_of_a_name_turns_what_stands_around_it(text: str) -> None:
    inside = 0
    for letter in shown(text):
        inside += {"\u2068": 1, "\u2069": -1}.get(letter, 0)
        assert inside in (0, 1)
        if letter not in ISOLATES:
            assert unicodedata.category(letter) not in ("Cf", "Cc")
            # A letter that is written from right to left is kept to itself.
            assert inside or unicodedata.bidirectional(letter) not in ("R", "AL")
    assert inside == 0


@given(st.text(st.characters(max_codepoint=0x4FF, categories=("L", "N", "P", "S"))))
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert visible(text) == shown(text) == text


def test_a_long_text_without_spaces_takes_no_long_time() -> None:
    picture = "data:image/jpeg;base64," + 3_000_000 * "A"
    assert shown(picture) == picture


def test_words_side_by_side_are_one_stretch_and_figures_stay_outside() -> None:
    assert shown("#1 \u05d0 \u05d1-x 3.5 % \u05d2") == "#1 \u2068\u05d0 \u05d1-x\u2069 3.5 % \u2068\u05d2\u2069"


def test_all_texts_of_plain_values_are_shown_but_no_markup() -> None:
    values = {"a": ["x\u202e", 1, None, ("\u200b",)], "b": Markup("<b>\u200b</b>")}
    assert shown_values(values) == {"a": ["x\\u202e", 1, None, ["\\u200b"]], "b": Markup("<b>\u200b</b>")}
