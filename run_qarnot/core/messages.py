"""Texts for people. A message is an id and facts; its text is looked up in the language in use when it is shown.

States, ends, errors, notes beside a state and problems of a catalog are `Message` objects. The texts are in
`core.locale`, by id. Facts are inserted as they are: names of users, files and plugins are never translated. Only a
fact that is itself a `Message` is.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import ModuleType
from typing import NewType, TypeAlias

from run_qarnot.core import language, visible
from run_qarnot.core.locale import ErrorTexts, Plural

# The tables of a locale whose ids have a prefix.
_TABLES = {
    "state": "STATES",
    "end": "END_REASONS",
    "unused-end": "END_BEFORE_A_RUN",
    "problem": "PROBLEMS",
    "form": "FORMS",
}


@dataclass(frozen=True, init=False)
class Message:
    """A text for people.

    Arguments:
        id: of `core.locale`.
        facts: the values for the names in braces. Text and paths are shown in one line, with invisible characters
            escaped; numbers in the format of the language (a `Decimal` keeps its places); messages by their text;
            tuples joined by commas; None as nothing.
    """

    id: str
    facts: Mapping[str, object] = field(hash=False)

    def __init__(self, message_id: str, /, **facts: object) -> None:
        object.__setattr__(self, "id", message_id)
        object.__setattr__(self, "facts", facts)

    def __str__(self) -> str:
        return self.text()

    def text(self, spoken: str | None = None) -> str:
        """Return the text in a language. The default is the language in use."""
        spoken = spoken or language.spoken()
        text = _texts(spoken)[self.id]
        if isinstance(text, Plural):
            text = text.one if _locale(spoken).is_one(self.facts["count"]) else text.other
        said = {name: _as_text(fact, spoken) for name, fact in self.facts.items()}
        for name, fact in self.facts.items():
            if isinstance(fact, Message) and f"{{{name}}}." in text:  # a whole sentence inside another one
                said[name] = said[name].removesuffix(".")
        return text.format_map(said).strip()


# A text from elsewhere, such as the operating system or the cluster. Our own texts are messages, never literals. The
# type checker accepts one or the other as a `Sentence`.
Verbatim = NewType("Verbatim", str)
Sentence: TypeAlias = Message | Verbatim
Title: TypeAlias = Message | str  # ours, or from a catalog or plugin


def english(text: Message | str) -> str:
    """Return a text in English, for JSON, logs and plugins, independent of the language in use."""
    return text.text("en") if isinstance(text, Message) else text


def quoted(*texts: str) -> tuple[Message, ...]:
    """Return a fact that shows each text in quotation marks."""
    return tuple(Message("quoted", text=text) for text in texts)


def phase(state: str, app: Title) -> Message:
    """Return the sentence for a state of a session."""
    return Message(f"state.{state}", app=app)


def end(state: str, reason: str | None, *, has_run: bool = True, idle_minutes: float | None = None) -> Message:
    """Return the sentence for the end of a session.

    Arguments:
        has_run: whether it ever had a machine.
        idle_minutes: its limit, if it had one.
    """
    said = phase(state, "")
    if reason is None:
        return said
    table = "end" if has_run or f"unused-end.{reason}" not in _texts("en") else "unused-end"
    facts = {"minutes": idle_minutes} if reason == "idle" else {}
    return Message("ended-because", state=said, reason=Message(f"{table}.{reason}", **facts))


def _as_text(fact: object, spoken: str) -> str:
    """Return a fact as text in one line, with invisible characters escaped: facts come from anywhere."""
    match fact:
        case Message():
            return fact.text(spoken)
        case None:
            return ""
        case tuple():
            return ", ".join(_as_text(each, spoken) for each in fact)
        case float() | Decimal():
            return language.written(f"{fact:g}" if isinstance(fact, float) else str(fact), spoken)
    return visible.one_line(str(fact))


@functools.cache
def _locale(spoken: str) -> ModuleType:
    """Return the module of a language; it is loaded when the language is first used."""
    return importlib.import_module(f"run_qarnot.core.locale.{spoken}")


@functools.cache
def _texts(spoken: str) -> Mapping[str, str | Plural]:
    """Return all texts of a language by id."""
    locale = _locale(spoken)
    texts: dict[str, str | Plural] = dict(locale.MESSAGES)
    for prefix, table in _TABLES.items():
        texts |= {f"{prefix}.{key}": text for key, text in getattr(locale, table).items()}
    for code, parts in locale.ERRORS.items():
        texts |= {f"error.{code}.{part}": text for part, text in zip(ErrorTexts._fields, parts, strict=True)}
    return texts
