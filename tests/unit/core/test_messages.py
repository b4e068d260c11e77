"""Messages: looked up by id, with facts that are never translated."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import language, messages, visible
from run_qarnot.core.errors import InputError, UnreachableError
from run_qarnot.core.locale import Plural
from run_qarnot.core.messages import Message, Verbatim, end, english, phase, quoted

from .test_locale import ENGLISH, facts_of

# Texts of ours as names that users give: a session called “none”, a file called “Stopping…”.
OURS = sorted({text for text in ENGLISH.values() if isinstance(text, str) and text})
HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(OURS),
    st.sampled_from(["{problem}", "{0}", "{", "}}", "{hint.facts}", "%s", "\x1b[31m", "a\nb", "\u202e", "\ud800", ""]),
)


@pytest.fixture
def french() -> Iterator[None]:
    language.set_language("fr")
    yield
    language.set_language("en")


@given(st.sampled_from(sorted(ENGLISH)), st.sampled_from(sorted(language.LANGUAGES)), st.data())
def test_a_text_as_a_fact_is_never_looked_up(message_id: str, code: str, data: st.DataObject) -> None:
    """What stands in the place of a fact is the fact, in every message and every language."""
    text = messages._texts(code)[message_id]
    facts = {name: data.draw(HOSTILE, name) for name in sorted(facts_of(text) - {"count"})}
    counted = {"count": data.draw(st.integers(0, 3))} if "count" in facts_of(text) or isinstance(text, Plural) else {}
    wanted = text if isinstance(text, str) else text[not messages._locale(code).is_one(counted["count"])]
    for name in (*facts, *counted):  # marks that no fact has, so that no fact is taken for a place
        wanted = wanted.replace(f"{{{name}}}", f"\0{name}\0")
    for name, fact in {**facts, **counted}.items():
        wanted = wanted.replace(f"\0{name}\0", visible.one_line(str(fact)).replace("\0", ""))
    assert Message(message_id, **facts, **counted).text(code) == wanted.strip()


@given(HOSTILE)
def test_a_message_as_a_fact_is_translated_and_its_own_facts_are_not(name: str) -> None:
    shown = visible.one_line(name)
    inner = Message("value-not-offered", value=name)
    error = InputError("option-value", value=name, label=name, problem=inner, hint=Message("write-digits"))
    assert error.sentence.text("fr") == f"« {shown} » ne convient pas pour {shown} : « {shown} » n’est pas proposé."
    assert (
        Message("name-contains", marks=(Message("space"), *quoted(name))).text("fr")
        == f"contient un espace, « {shown} »"
    )


def test_it_is_shown_in_the_language_of_the_moment(french: None) -> None:
    error = InputError("token-shape", problem=Message("space-or-line-break"))
    assert error.what == "Ce n’est pas un jeton Qarnot : il contient un espace ou un saut de ligne."
    assert str(phase("ready", "JupyterLab")) == "Prêt : JupyterLab répond"
    assert str(phase("ready", Message("app.web"))) == "Prêt : l’application répond"
    assert str(end("ended", "deleted")) == "Terminé. Elle a été supprimée."
    assert str(end("ended", "stopped", has_run=False)).startswith("Terminé. Elle a été arrêtée avant de tourner")
    language.set_language("en")
    assert error.what == "This is not a Qarnot token: it contains a space or a line break."


def test_logs_and_programs_get_english(french: None) -> None:
    error = InputError("hours", hours=0.5, least=1, most=2.5)
    assert str(error) == "0.5 hours is not possible. Choose between 1 and 2.5 hours."
    assert error.todo == "Choisissez entre 1 et 2,5 heures."
    assert english(Message("stopping")) == "Stopping…"
    assert english("Arrêt…") == "Arrêt…"


def test_a_sentence_inside_of_a_sentence_ends_once() -> None:
    problem = UnreachableError("unreachable", cluster="https://x", problem=Message("timeout")).sentence
    outer = Message("way-closed", problem=problem)
    assert str(outer) == "The connection is not open: The cluster at https://x does not answer: no answer in time."
    assert str(Message("way-closed", problem=Verbatim("they say “no.”..")))[-4:] == "”...", (
        "text of others is left alone"
    )
    again = Message("retrying-session", what=outer)
    assert str(again).endswith("no answer in time. Trying again; the session goes on.")


def test_numbers_are_written_as_the_language_has_them(french: None) -> None:
    size = {"moved": Message("size.MB", number=Decimal("1.5")), "total": Message("size.GB", number=Decimal("2.0"))}
    assert str(Message("uploading-files", count=2, **size)) == "Envoi de 2 fichiers : 1,5 Mo sur 2,0 Go"
    assert str(Message("uploading-files", count=1, **size)) == "Envoi d’un fichier : 1,5 Mo sur 2,0 Go"
    assert str(Message("write-at-least", number=1e-05)) == "Écrivez 1e-05 ou plus."
    assert str(Message("value-least", number=-0.5)) == "-0,5 est le minimum"
    assert str(Message("value-not-offered", value="0.5")) == "« 0.5 » n’est pas proposé", "so it was typed"


def test_equal_messages_are_equal_values() -> None:
    first, second = Message("working", app="x"), Message("working", app="x")
    assert first == second != Message("working", app="y")
    assert hash(first) == hash(second)
    assert copy.deepcopy(first) == first == pickle.loads(pickle.dumps(first))
