"""A question to the account, and its answer: values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from run_qarnot.model.compat import VARIABLE, switches

Observer = TypeVar("Observer")


class NoAnswerError(Exception):
    """The question cannot be asked, because something before it was refused; the text says what."""


class Verdict(StrEnum):
    EXPECTED = "as expected"
    DIFFERS = "differs"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Seen:
    """What was seen, in words. `is_expected` is None where it says nothing of the question."""

    text: str
    is_expected: bool | None

    @property
    def verdict(self) -> Verdict:
        if self.is_expected is None:
            return Verdict.UNKNOWN
        return Verdict.EXPECTED if self.is_expected else Verdict.DIFFERS


@dataclass(frozen=True)
class Question:
    """A question.

    Arguments:
        number: such as "S2"; it stays the same in all versions.
        text: what is asked.
        expected: what the product relies on.
        does: what it does where that differs.
        place: the file that adapts, or the name of a switch of `model.compat`.
    """

    number: str
    text: str
    expected: str
    does: str
    place: str

    @property
    def adapts(self) -> str:
        """The switch, as it is typed, or the place of the code that adapts."""
        if self.place in switches():
            return f'{VARIABLE}="{self.place}=no" ({switches()[self.place][1]})'
        return self.place


@dataclass(frozen=True)
class Finding:
    question: Question
    seen: str
    verdict: Verdict

    def as_json(self) -> dict[str, str]:
        asked = self.question
        return {
            "number": asked.number,
            "question": asked.text,
            "expected": asked.expected,
            "seen": self.seen,
            "verdict": self.verdict.value,
            "does": asked.does,
            "adapts": asked.adapts,
        }


@dataclass(frozen=True)
class Check(Generic[Observer]):
    """A question, and how it is answered."""

    question: Question
    answer: Callable[[Observer], Seen]


def asking(
    checks: list[Check[Observer]], number: str, text: str, *, expected: str, does: str, place: str
) -> Callable[[Callable[[Observer], Seen]], Callable[[Observer], Seen]]:
    """Mark a function as the answer of a question, and add it to a list."""

    def add(function: Callable[[Observer], Seen]) -> Callable[[Observer], Seen]:
        checks.append(Check(Question(number, text, expected, does, place), function))
        return function

    return add


def names(values: object) -> str:
    """Write a few names in one line; a dash for none."""
    found = sorted(map(str, values)) if isinstance(values, list | tuple | set | frozenset | dict) else [str(values)]
    return ", ".join(found) or "–"
