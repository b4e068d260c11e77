"""The texts of all languages: the same ids, the same facts, plurals as Unicode's rules (CLDR) have them."""

from __future__ import annotations

import string
from collections.abc import Mapping

import babel
import babel.numbers
import pytest

from run_qarnot.core import language, messages
from run_qarnot.core.locale import Plural
from run_qarnot.core.messages import Message
from run_qarnot.core.state import EndReason, State

ENGLISH = messages._texts("en")
OTHERS = sorted(set(language.LANGUAGES) - {"en"})


def facts_of(text: str | Plural) -> set[str]:
    parts = tuple(text) if isinstance(text, Plural) else (text,)
    return {name for part in parts for _, name, _, _ in string.Formatter().parse(part) if name is not None}


@pytest.mark.parametrize("code", language.LANGUAGES)
class TestEveryLanguage:
    def test_it_has_every_text(self, code: str) -> None:
        assert set(messages._texts(code)) == set(ENGLISH)

    def test_its_texts_name_the_same_facts(self, code: str) -> None:
        texts = messages._texts(code)
        assert {name: facts_of(texts[name]) for name in ENGLISH} == {n: facts_of(ENGLISH[n]) for n in ENGLISH}

    def test_it_has_a_text_exactly_where_english_has_one(self, code: str) -> None:
        texts: Mapping[str, str | Plural] = messages._texts(code)
        assert {name for name in texts if not texts[name]} == {name for name in ENGLISH if not ENGLISH[name]}

    def test_its_facts_are_plain_names(self, code: str) -> None:
        names = {name for text in messages._texts(code).values() for name in facts_of(text)}
        assert all(name.isidentifier() for name in names), names

    def test_every_state_and_every_end_has_its_words(self, code: str) -> None:
        locale = messages._locale(code)
        assert set(locale.STATES) == {state.value for state in State}
        assert set(locale.END_REASONS) == {reason.value for reason in EndReason}
        assert set(locale.END_BEFORE_A_RUN) <= set(locale.END_REASONS)

    def test_it_says_bucket_only_where_somebody_has_named_one(self, code: str) -> None:
        found = {name for name, text in messages._texts(code).items() if "bucket" in without_facts(text).lower()}
        assert {name for name in found if "bucket-unknown" not in name} == set()

    def test_its_plurals_are_those_of_unicode(self, code: str) -> None:
        """Babel has them. The product does without: its import takes 25 ms, and two rules are two lines."""
        rule = babel.Locale(code).plural_form
        for count in [*range(1000), 10**4, 10**6 + 1]:
            assert messages._locale(code).is_one(count) == (rule(count) == "one"), count

    def test_it_writes_numbers_as_unicode_has_them(self, code: str) -> None:
        for number in (0.001, 0.25, 1.5, 24.0, 999.75):
            shown = Message("value-least", number=number).text(code)
            assert shown.startswith(babel.numbers.format_decimal(number, "0.###", locale=code)), shown


@pytest.mark.parametrize("code", OTHERS)
def test_it_is_not_english(code: str) -> None:
    texts = messages._texts(code)
    alike = {name for name, text in ENGLISH.items() if isinstance(text, str) and texts[name] == text}
    assert {name for name in alike if any(mark.isalpha() for mark in without_facts(ENGLISH[name]))} <= {"type.boolean"}


def without_facts(text: str | Plural) -> str:
    return "".join(literal for literal, *_ in string.Formatter().parse(str(text)))
