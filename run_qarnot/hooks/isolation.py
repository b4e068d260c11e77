"""Calls plugins with a time limit, catches all that they raise, and captures what they print."""

from __future__ import annotations

import io
import math
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from run_qarnot.core.messages import Message, Sentence, Verbatim
from run_qarnot.core.redaction import redact

SLOW_SECONDS = 5.0
_mine = threading.local()  # `text`: what this thread printed, if it runs a plugin
_LONGEST_PRINT = 2000


@dataclass
class Outcome:
    """The outcome of a call: a value, an error, or neither if it took too long."""

    value: Any = None
    error: BaseException | None = None
    slow: bool = False
    printed: str = ""

    @property
    def problem(self) -> Sentence:
        """The error in one line, redacted."""
        assert self.error is not None
        if isinstance(self.error, SystemExit):
            return Message("exits")
        try:
            text = " ".join(str(self.error).split())
        except BaseException:  # noqa: BLE001  the `__str__` of a plugin's exception may raise anything too
            text = ""
        return Verbatim(redact(f"{type(self.error).__name__}: {text}"[:300].rstrip(": ")))

    @property
    def details(self) -> str:
        """The traceback, without our own frames on top."""
        if self.error is None:
            return ""
        ours = self.error.__traceback__
        while ours is not None and ours.tb_frame.f_code.co_filename == __file__:
            ours = ours.tb_next
        return "".join(traceback.format_exception(type(self.error), self.error, ours))

    def line_in(self, file: str) -> int | None:
        """The line of `file` where the error arose."""
        if isinstance(self.error, SyntaxError) and self.error.filename == file:
            return self.error.lineno
        frame: TracebackType | None = self.error.__traceback__ if self.error else None
        line = None
        while frame is not None:
            line = frame.tb_lineno if frame.tb_frame.f_code.co_filename == file else line
            frame = frame.tb_next
        return line


def call(function: Callable[..., Any], /, *, seconds: float | None = None, **arguments: Any) -> Outcome:
    """Call `function` in a daemon thread. After the time limit the thread is abandoned, because Python cannot stop
    it."""
    outcome = Outcome()
    _divert_prints()
    thread = threading.Thread(target=_run, args=(outcome, function, arguments), name="plugin", daemon=True)
    thread.start()
    limit = SLOW_SECONDS if seconds is None else seconds
    thread.join(None if limit == math.inf else limit)
    if thread.is_alive():
        return Outcome(slow=True)
    return outcome


def _run(outcome: Outcome, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    _mine.text = io.StringIO()
    try:
        outcome.value = function(**arguments)
    except BaseException as error:  # noqa: BLE001  the work of others: it may even call sys.exit
        outcome.error = error
    outcome.printed = _mine.text.getvalue()


class _Prints:
    """Wraps standard output: text of a plugin's thread is captured, all other text is passed on.

    Text of plugins would break the JSON of our commands. Replacing `sys.stdout` during each call would also capture the
    text of other threads.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        kept = getattr(_mine, "text", None)
        if kept is None:
            return self._stream.write(text)
        if kept.tell() < _LONGEST_PRINT:
            kept.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _divert_prints() -> None:
    if not isinstance(sys.stdout, _Prints):
        sys.stdout = _Prints(sys.stdout)
