"""Converts exceptions into what the page shows: what happened, what to do, and a redacted report."""

from __future__ import annotations

import platform
import traceback
from pathlib import Path
from typing import TypedDict

from run_qarnot import __version__
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.redaction import redact
from run_qarnot.page.words import section

_MOST_PLACES = 30


class ProblemProps(TypedDict):
    """An error as sent to the browser: text only."""

    what: str
    todo: str
    report: str  # to be sent to support
    field: str
    words: dict[str, str]


def as_problem(error: BaseException) -> ProblemProps:
    """Describe any exception. An unexpected one is called a bug and has the details for a report."""
    if not isinstance(error, RunQarnotError):
        error = RunQarnotError("bug", problem=Verbatim(f"{type(error).__name__}: {error}"), details=_trail(error))
    return ProblemProps(
        what=redact(error.what),
        todo=redact(error.todo),
        report=redact(_report(error)),
        field=error.field or "",
        words=section("problem"),
    )


def _report(error: RunQarnotError) -> str:
    head = f"Run Qarnot {__version__}, Python {platform.python_version()}: {error.code}"
    return "\n".join(filter(None, (head, error.what, error.todo, error.details)))


def _trail(error: BaseException) -> str:
    """Return where the error occurred, the innermost place last, without source lines and absolute paths."""
    places = [
        f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return "\n".join(places[-_MOST_PLACES:])
