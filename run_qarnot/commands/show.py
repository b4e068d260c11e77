"""How commands speak: results on standard output, progress and errors on standard error.

Whatever is printed passes `_print`, which lets no character through that a terminal would obey. What must stay on one
line, such as a cell of a table, is made one line first (`visible`).
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from run_qarnot.catalog.hooks import Panel
from run_qarnot.core import visible
from run_qarnot.core.redaction import redact
from run_qarnot.core.state import ALIVE, State
from run_qarnot.model.files import StoredFile
from run_qarnot.model.view import SessionView

_BYTES_SECONDS = 5.0
_UNITS = {"cost": "{:.2f} €", "carbon": "{:.1f} g CO₂e"}
_NOT_AN_ACTION = ALIVE - {State.SAVING, State.STOPPING}


def out(text: str = "", to: TextIO | None = None) -> None:
    """Print a result; to standard output, where that is not for something else."""
    _print(text, to or sys.stdout)


def out_json(value: Any) -> None:
    """Print a result for programs: ASCII, so that every text is valid in it, and safe on a terminal."""
    _print(json.dumps(value, indent=2).replace("\x7f", "\\u007f"), sys.stdout)


def err(text: str) -> None:
    """Print progress, or an error."""
    _print(redact(text), sys.stderr)


def _print(text: str, to: TextIO, end: str = "\n") -> None:
    print(visible.lines(text), file=to, end=end, flush=True)


def count(number: int, thing: str) -> str:
    """Return such as `1 image` and `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def hours(view: SessionView) -> str:
    """Return how long a session may run. Its plan says so: a plugin may have changed what was asked for."""
    assert view.ends is not None
    assert view.created is not None
    hours = (view.ends - view.created).total_seconds() / 3600
    return f"{hours:.4g} hour{'' if hours == 1 else 's'}"


def confirm(question: str) -> bool:
    """Ask; only a clear yes is one, and nobody there to answer is none."""
    _print(f"{question} [y/N] ", sys.stderr, end="")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's own waits for what we wait for
    try:
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    finally:
        signal.signal(signal.SIGINT, before)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns."""
    lines = [tuple(map(visible.one_line, line)) for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


class Phases:
    """Prints each new phase of a session with the time since the start.

    `actions_only`: for commands that act on a session without following it; they know what they are doing, and how it
    ended, but not whether the app answers meanwhile.
    """

    def __init__(self, *, actions_only: bool = False) -> None:
        self._start = time.monotonic()
        self._last = ""
        self._actions_only = actions_only

    def __call__(self, view: SessionView) -> None:
        if not self._actions_only or view.note or view.state not in _NOT_AN_ACTION:
            self.say(view.phase)

    def say(self, phase: str) -> None:
        """Print it, unless it was the last that was printed."""
        if phase != self._last:
            self._last = phase
            err(f"{time.monotonic() - self._start:6.1f} s  {phase}")


class Bytes:
    """Prints how much of some files has arrived, every few seconds. Called from a thread of the transfer."""

    def __init__(self, files: Iterable[StoredFile]) -> None:
        self._total = sum(file.size for file in files)
        self._moved = 0
        self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        self._moved += count
        if time.monotonic() - self._told >= _BYTES_SECONDS:
            self._told = time.monotonic()
            moved = min(self._moved, self._total)  # a zip has names in it, too
            err(f"{moved / 1e6:.0f} of {self._total / 1e6:.0f} MB")


def connections(view: SessionView) -> None:
    """Print the ways into a session, the best first."""
    for connection in view.connections:
        out(f"\n{connection.kind.value}: {connection.note}")
        for text in filter(None, (connection.command, connection.url)):
            out(f"  {text}")


def session(view: SessionView) -> None:
    """Print all that is known of a session."""
    for name, value in view.as_json().items():
        if name != "connections" and value is not None:
            out(f"{name:8} {visible.one_line(_UNITS.get(name, '{}').format(value))}")
    out(f"{'phase':8} {view.phase}")
    connections(view)


def panel(panel: Panel) -> None:
    """Print what a plugin shows of a session: its Markdown as it is written, and its table."""
    out(f"\n{visible.one_line(redact(panel.title))} ({panel.source})")
    if panel.text:
        out(redact(panel.text))
    if panel.head or panel.rows:
        cells = [[redact(cell).replace("\n", " ") for cell in row] for row in (panel.head, *panel.rows)]
        width = max(map(len, cells))
        head, *rows = (row + [""] * (width - len(row)) for row in cells)
        table(head, rows)
