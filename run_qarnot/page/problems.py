"""Exceptions → what the page shows: what happened, what to do, and redacted details."""

from __future__ import annotations

import traceback
from typing import TypedDict

from run_qarnot import messages
from run_qarnot.errors import RunQarnotError
from run_qarnot.redact import redact


class Problem(TypedDict):
    """An error as the browser gets it: text only."""

    what: str
    todo: str
    details: str
    field: str


def as_problem(error: BaseException) -> Problem:
    """Describe any exception. What nobody expected is plainly called a bug, with its traceback folded away."""
    if not isinstance(error, RunQarnotError):
        details = "".join(traceback.format_exception(error))
        error = RunQarnotError("bug", problem=f"{type(error).__name__}: {error}", details=details)
    words = messages.error_words(error.code, error.facts)  # again, because the language may be another one by now
    return Problem(
        what=redact(words.what),
        todo=redact(words.todo),
        details=redact(error.details),
        field=error.field or "",
    )
