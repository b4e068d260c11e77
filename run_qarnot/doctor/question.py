"""The value types of a check: a question, its answer, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from run_qarnot.model.compat import VARIABLE, switches

Observer = TypeVar("Observer")


class NoAnswerError(Exception):
    """The check cannot run because an earlier step was refused; the text says which."""


class Verdict(StrEnum):
    EXPECTED = "as expected"
    DIFFERS = "differs"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Seen:
    """What was observed, in words. `is_expected` is None where it does not answer the question."""

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
        number: such as "S2"; it never changes between versions.
        text: the question itself.
        expected: the behaviour that the product relies on.
        does: how the product behaves where that differs.
        place: the file that handles the difference, or the name of a switch of `model.compat`.
    """

    number: str
    text: str
    expected: str
    does: str
    place: str

    @property
    def adapts(self) -> str:
        """The switch as the user sets it, or the file that handles the difference."""
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
    """A question and the function that answers it."""

    question: Question
    answer: Callable[[Observer], Seen]


def asking(
    checks: list[Check[Observer]], number: str, text: str, *, expected: str, does: str, place: str
) -> Callable[[Callable[[Observer], Seen]], Callable[[Observer], Seen]]:
    """Register a function as the answer of a question."""

    def add(function: Callable[[Observer], Seen]) -> Callable[[Observer], Seen]:
        checks.append(Check(Question(number, text, expected, does, place), function))
        return function

    return add


def names(values: object) -> str:
    """Join a few names in one line; a dash for none."""
    found = sorted(map(str, values)) if isinstance(values, list | tuple | set | frozenset | dict) else [str(values)]
    return ", ".join(found) or "–"
