"""The output of commands: results on standard output, progress and errors on standard error.

All text passes through `_print`, which escapes control characters. Text that must stay on one line, such as a cell of a
table, is made one line first (`visible`).

At a terminal, times are local and transfers have a progress bar. Piped or redirected output has plain lines, and times
as in JSON.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from run_qarnot.catalog.hooks import Panel
from run_qarnot.core import readable, times, visible
from run_qarnot.core.language import chosen
from run_qarnot.core.messages import Message
from run_qarnot.core.redaction import redact
from run_qarnot.core.state import ALIVE, EndReason, State
from run_qarnot.model.files import StoredFile
from run_qarnot.model.machine_use import UseHistory
from run_qarnot.model.view import MachineUse, SessionView

_BYTES_SECONDS = 5.0
_BAR_WIDTH = 24
_BAR_SECONDS = 0.2
_lock = threading.RLock()  # the threads of a transfer report progress
_on_last_line = 0  # characters that the next print has to overwrite
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
    with _lock:
        _wipe()
        print(visible.lines(text), file=to, end=end, flush=True)


def status(text: str) -> None:
    """Show a text on the terminal's last line until the next print. Without a terminal, nothing is shown."""
    global _on_last_line
    if not sys.stderr.isatty():
        return
    with _lock:
        width = shutil.get_terminal_size().columns - 1
        shown = visible.one_line(text)[:width]
        sys.stderr.write("\r" + shown.ljust(_on_last_line))
        sys.stderr.flush()
        _on_last_line = len(shown)


def _wipe() -> None:
    global _on_last_line
    if _on_last_line:
        sys.stderr.write("\r" + " " * _on_last_line + "\r")
        sys.stderr.flush()
        _on_last_line = 0


def count(number: int, thing: str) -> str:
    """Return such as `1 image` and `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def hours(view: SessionView) -> str:
    """Return the limit of a run, from its plan: a plugin may have changed what the user requested."""
    assert view.ends is not None
    assert view.started is not None
    hours = (view.ends - view.started).total_seconds() / 3600
    return f"{hours:.4g} hour{'' if hours == 1 else 's'}"


def confirm(question: str) -> bool:
    """Ask a question. Only an explicit yes counts; without a terminal the answer is no."""
    _print(f"{question} [y/N] ", sys.stderr, end="")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's handler would wait for this input
    try:
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    finally:
        signal.signal(signal.SIGINT, before)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns. At a terminal, columns are narrowed so that each row fits on a line."""
    lines = [tuple(map(visible.one_line, line)) for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if sys.stdout.isatty():
        widths = readable.fitting(widths, shutil.get_terminal_size().columns - 2 * (len(widths) - 1))
    for line in lines:
        cells = (readable.cut(cell, width).ljust(width) for cell, width in zip(line, widths, strict=True))
        out("  ".join(cells).rstrip())


class Phases:
    """Prints each new phase of a session with the time since the start.

    `actions_only`: for commands that act on a session without following it. They know their own actions and the end of
    the session, but not whether the app answers.
    """

    def __init__(self, *, actions_only: bool = False) -> None:
        self._start = time.monotonic()
        self._last: Message | None = None
        self._actions_only = actions_only

    def __call__(self, view: SessionView) -> None:
        if view.progress is not None and view.progress < 1 and sys.stderr.isatty():
            filled = int(view.progress * _BAR_WIDTH)
            status(f"{self._time()}  [{'#' * filled}{'-' * (_BAR_WIDTH - filled)}]  {view.phase}")
        elif not self._actions_only or view.note or view.state not in _NOT_AN_ACTION:
            self.say(view.phase)

    def say(self, phase: Message) -> None:
        """Print a phase, unless it is the one that was printed last."""
        if phase != self._last:
            self._last = phase
            err(f"{self._time()}  {phase}")

    def _time(self) -> str:
        return f"{time.monotonic() - self._start:6.1f} s"


class Bytes:
    """Shows the progress of a transfer: a bar at a terminal, otherwise a line every few seconds.

    It is called from a thread of the transfer.
    """

    def __init__(self, files: Iterable[StoredFile]) -> None:
        self._total = sum(file.size for file in files)
        self._moved = 0
        self._start = self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        self._moved += count
        now, at_terminal = time.monotonic(), sys.stderr.isatty()
        if now - self._told < (_BAR_SECONDS if at_terminal else _BYTES_SECONDS):
            return
        self._told = now
        moved = min(self._moved, self._total)  # a zip also contains names
        if at_terminal:
            status(readable.bar(moved, self._total, now - self._start, _BAR_WIDTH))
        else:
            err(f"{moved / 1e6:.0f} of {self._total / 1e6:.0f} MB")


def connections(view: SessionView) -> None:
    """Print the connections of a session, the best one first."""
    for connection in view.connections:
        out(f"\n{connection.kind.value}: {connection.note}")
        links = (f"{link.title}: {link.url}" for link in connection.links if link.url)
        for text in filter(None, (connection.command, connection.url, *links)):
            out(f"  {text}")


def when(time: datetime | None, *, far: bool = False) -> str:
    """Format a time: local at a terminal, otherwise as in JSON; with `far`, also relative to now."""
    if time is None:
        return "–"
    if not sys.stdout.isatty():
        return times.to_text(time)
    now = datetime.now(UTC).astimezone()
    return readable.clock(time, now) + (f" ({readable.away(time, now)})" if far else "")


def state(view: SessionView) -> str:
    """Return the state; for a session that stopped automatically, with the limit it reached."""
    limit = {EndReason.IDLE: "idle", EndReason.TIME_LIMIT: "time limit"}.get(EndReason(view.reason or "stopped"))
    return f"{view.state.value} ({limit})" if limit and view.is_over else view.state.value


def last_save(view: SessionView) -> str:
    """Return when it was last saved; empty if unknown."""
    if view.saved is not None:
        return when(view.saved, far=not view.is_over)
    return "not yet" if view.saved_asked is not None and not view.is_over else ""


def session(view: SessionView) -> None:
    """Print a session with all its details."""
    rows = {
        "name": view.name,
        "id": view.id,
        "image": view.image,
        "app": view.app,
        "state": state(view),
        "phase": str(view.phase),
        "attempt": str(view.attempt) if view.attempt > 1 else "",
        "error": str(view.error or ""),
        "created": when(view.created),
        "runs": f"{len(view.runs)}, the last since {when(view.started)}" if view.run > 1 else "",
        "ready": when(view.ready) if view.ready else "",
        "ends": "" if view.is_over else when(view.ends, far=True),
        "idle": _idle(view),
        "ended": when(view.ended) if view.ended else "",
        "saved": last_save(view),
        "machine": _machines(view),
        "inputs": view.inputs or "",
        "results": view.results or "",
        "cost": "" if view.cost is None else f"{view.cost:.2f} €",
        "carbon": "" if view.carbon is None else f"{view.carbon:.1f} g CO₂e",
    }
    for name, value in rows.items():
        if value:
            out(f"{name:8} {visible.one_line(value)}")
    connections(view)


def _idle(view: SessionView) -> str:
    """Return since when it is idle, and when it will stop for that reason."""
    if view.idle_stop is None:
        minutes = None if view.is_over else view.idle_minutes
        return "" if minutes is None else f"stops after {minutes:g} minutes without use"
    return f"since {when(view.idle_since)}; stops {when(view.idle_stop, far=True)}, unless it is used"


def watched(view: SessionView, use: UseHistory) -> None:
    """Print a session and the load of its machines over what was printed before; one line without a terminal.

    Arguments:
        view: the current one.
        use: of the last hour.
    """
    row = use.row() or {}
    if not sys.stdout.isatty():
        parts = [view.state.value, *map(_machine, view.machines)]
        out(f"{times.to_text(datetime.now(UTC))}  {visible.one_line('; '.join(filter(None, parts)))}")
        return
    sys.stdout.write("\x1b[H\x1b[2J")
    session(view)
    if row.get("history"):
        out(f"\nCPU of the last hour  {readable.curve(row['history'])}")
    out("\nCtrl-C ends this; the session goes on.")


def _machines(view: SessionView) -> str:
    """Describe the running machines, and how many of all they are."""
    running = "; ".join(map(_machine, view.machines))
    if view.machine_count == 1 or not running:
        return running
    return f"{min(len(view.machines), view.machine_count)} of {view.machine_count}: {running}"


def _machine(use: MachineUse) -> str:
    """Describe a machine and its load, as far as the cluster states them."""
    parts = []
    if use.cores:
        parts.append(count(use.cores, "core") + (f" of {use.cpu}" if use.cpu else ""))
    if use.cpu_percent is not None:
        parts.append(f"{use.cpu_percent:.0f} % busy")
    if use.memory_mb:
        used = "" if use.memory_used_mb is None else f"{readable.size(use.memory_used_mb * 1e6)} of "
        parts.append(f"{used}{readable.size(use.memory_mb * 1e6)} memory")
    return ", ".join(parts)


def panel(panel: Panel) -> None:
    """Print the panel of a plugin: its Markdown source and its table."""
    out(f"\n{visible.one_line(redact(chosen(panel.title)))} ({panel.source})")
    if panel.text:
        out(redact(chosen(panel.text)))
    if panel.head or panel.rows:
        cells = [[redact(cell).replace("\n", " ") for cell in row] for row in (map(chosen, panel.head), *panel.rows)]
        width = max(map(len, cells))
        head, *rows = (row + [""] * (width - len(row)) for row in cells)
        table(head, rows)
