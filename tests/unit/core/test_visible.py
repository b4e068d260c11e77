"""Nothing that is shown can steer a terminal, hide, or pretend to be other text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import visible

ANY_TEXT = st.text(
    st.characters(codec=None) | st.sampled_from("\x00\x07\x1b\x7f\x9b\x9d\u200b\u202e\u2066\ud800\n\r\t")
)
NEVER = {"Cc", "Cs", "Zl", "Zp"}
DIRECTION = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(ANY_TEXT)
def test_a_name_is_one_line_of_visible_characters(text: str) -> None:
    shown = visible.one_line(text)
    assert not {unicodedata.category(mark) for mark in shown} & NEVER
    assert not set(shown) & (DIRECTION | set("\u200b\u200d\u2060\ufeff\u00ad\u3164"))
    assert visible.one_line(shown) == shown
    shown.encode()


@given(ANY_TEXT)
def test_longer_texts_keep_their_lines_and_nothing_else(text: str) -> None:
    shown = visible.lines(text)
    assert not {unicodedata.category(mark) for mark in shown if mark not in "\n\t"} & NEVER
    assert not set(shown) & DIRECTION
    assert shown.count("\n") == text.count("\n")
    shown.encode()


@given(ANY_TEXT)
def test_output_holds_nothing_for_the_terminal(text: str) -> None:
    assert not any(
        (mark < " " and mark not in "\n\t") or "\x7f" <= mark <= "\x9f" for mark in visible.without_sequences(text)
    )


@pytest.mark.parametrize(
    "text", ["calm-heron-42", "Données à l’œuvre", "результаты", "結果", "naïve – 5 €", "⚙ ok", "a\\nb"]
)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible.one_line(text) == visible.lines(text) == visible.without_sequences(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x\ntouch PWNED", r"x\ntouch PWNED"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\tb", r"a\r\tb"),
        ("\x9b31m", r"\x9b31m"),
        ("report\u202efdp.exe", r"report\u202efdp.exe"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_the_rest_is_written_out(text: str, shown: str) -> None:
    assert visible.one_line(text) == shown
