"""The language of a process, and numbers in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from run_qarnot.core import language


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    language.set_language("en")


def test_numbers_are_written_and_read_as_people_do() -> None:
    for spoken, half in (("en", "0.5"), ("fr", "0,5")):
        language.set_language(spoken)
        assert language.spoken() == spoken
        assert language.number(0.5) == language.written("0.5") == half
        assert language.read(half) == "0.5"
        assert language.number(2.0) == "2"
    assert language.number(2, places=1) == "2,0"
    assert language.number(0.555, places=2) in {"0,55", "0,56"}


def test_a_language_that_is_not_there_changes_nothing() -> None:
    language.set_language("fr")
    language.set_language("de")
    assert language.spoken() == "fr"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ch, en", "fr"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("en;q=0.8, fr;q=0.9", "fr"),
        ("fr;q=0.5, en;q=0.7", "en"),
        ("de, fr;q=0.1", "fr"),
        ("fr;q=0, de", "en"),
        ("fr;q=x, de", "en"),
        ("de", "en"),
        ("x" * 1000 + ",fr", "en"),
    ],
)
def test_what_suits_a_browser(header: str, wanted: str) -> None:
    assert language.preferred(header) == wanted
