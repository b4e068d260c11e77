"""Texts for people: a message is an id and facts, and is looked up in the language in use when it is shown.

Everything that a person may read and that varies is a `Message`: states, ends, errors, notes beside a state, what is
wrong in a catalog. The texts are in `core.locale`, by id. A fact is put in as it is: names of users, files and plugins
are never looked up, whatever they are called. Only a fact that is a `Message` itself is translated.
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
        facts: what the text names in braces. Text and paths are shown as they are, made visible in one line; numbers
            as the language writes them (a `Decimal` keeps its places); a message in its own words; of a tuple each,
            with commas between them; None as nothing.
    """

    id: str
    facts: Mapping[str, object] = field(hash=False)

    def __init__(self, message_id: str, /, **facts: object) -> None:
        object.__setattr__(self, "id", message_id)
        object.__setattr__(self, "facts", facts)

    def __str__(self) -> str:
        return self.text()

    def text(self, spoken: str | None = None) -> str:
        """Return it in a language; in the one in use, if none is given."""
        spoken = spoken or language.spoken()
        text = _texts(spoken)[self.id]
        if isinstance(text, Plural):
            text = text.one if _locale(spoken).is_one(self.facts["count"]) else text.other
        said = {name: _as_text(fact, spoken) for name, fact in self.facts.items()}
        for name, fact in self.facts.items():
            if isinstance(fact, Message) and f"{{{name}}}." in text:  # a whole sentence at the end of another
                said[name] = said[name].removesuffix(".")
        return text.format_map(said).strip()


# A text of somebody else, such as the operating system or the cluster. Never write a literal of ours in one: what is
# ours is a message. The type checker holds `Sentence` to one or the other.
Verbatim = NewType("Verbatim", str)
Sentence: TypeAlias = Message | Verbatim
Title: TypeAlias = Message | str  # ours, or given by whoever brought the thing


def english(text: Message | str) -> str:
    """Return a text as JSON, logs and plugins get it: in English, whatever language the page is in."""
    return text.text("en") if isinstance(text, Message) else text


def quoted(*texts: str) -> tuple[Message, ...]:
    """Return texts as a fact that puts each into quotation marks."""
    return tuple(Message("quoted", text=text) for text in texts)


def phase(state: str, app: Title) -> Message:
    """Return what a session is doing."""
    return Message(f"state.{state}", app=app)


def end(state: str, reason: str | None, *, has_run: bool = True) -> Message:
    """Return how a session ended; `has_run` is whether a machine was ever at work on it."""
    said = phase(state, "")
    if reason is None:
        return said
    table = "end" if has_run or f"unused-end.{reason}" not in _texts("en") else "unused-end"
    return Message("ended-because", state=said, reason=Message(f"{table}.{reason}"))


def _as_text(fact: object, spoken: str) -> str:
    """Facts come from anywhere: each is a part of one line, and nothing in it is invisible."""
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
    """The module of a language, loaded when somebody first speaks it."""
    return importlib.import_module(f"run_qarnot.core.locale.{spoken}")


@functools.cache
def _texts(spoken: str) -> Mapping[str, str | Plural]:
    """All texts of a language by id."""
    locale = _locale(spoken)
    texts: dict[str, str | Plural] = dict(locale.MESSAGES)
    for prefix, table in _TABLES.items():
        texts |= {f"{prefix}.{key}": text for key, text in getattr(locale, table).items()}
    for code, parts in locale.ERRORS.items():
        texts |= {f"error.{code}.{part}": text for part, text in zip(ErrorTexts._fields, parts, strict=True)}
    return texts
