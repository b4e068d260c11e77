"""Reads JSON of unknown origin: values outside standard JSON become None, and every failure is one kind of error."""

from __future__ import annotations

import json
from typing import Any

from run_qarnot.core.messages import Message, english

_LONGEST_INTEGER = 100  # digits; above 4300, Python refuses the whole answer


class NotJsonError(ValueError):
    """An answer is not usable JSON; `problem` says why, as the end of a sentence."""

    def __init__(self, problem: Message) -> None:
        super().__init__(english(problem))
        self.problem = problem


def read_json(content: bytes) -> Any:
    """Read the body of an answer. NaN, the infinities and whole numbers that are too long are None.

    Raises:
        NotJsonError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(content, parse_constant=lambda _: None, parse_int=_integer)
    except RecursionError:
        raise NotJsonError(Message("answer-deep")) from None
    except ValueError as error:
        raise NotJsonError(Message("answer-not-json")) from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None
