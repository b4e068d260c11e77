"""Runs a command for as long as standard input stays open.

    python -m run_qarnot.lifeline [--grace SECONDS] [--report DESCRIPTOR] -- COMMAND [ARGUMENT…]

The parent passes a pipe as standard input and keeps the other end. When that end closes, because the parent closed it,
ended, crashed or was killed, the command and all processes that it started are ended: first by SIGTERM, after the grace
period by SIGKILL. Demos, dashboards and tasks of the local cluster therefore leave no process behind.

It is a program and not a library, because the local cluster runs it too and imports nothing of this package. It uses
only the standard library and psutil, so that it starts fast.

With `--report` it does not end with the command but with the last process that the command left in the background: the
exit code is written to that descriptor meanwhile. A byte on the standard input then hangs up: the command gets SIGHUP.

Exit code: that of the command; 128 + N when signal N ended it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import psutil

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_POLL_SECONDS = 0.05


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run_qarnot.lifeline", description="A command that ends with its parent.")
    parser.add_argument("--grace", type=float, default=5.0, metavar="SECONDS", help="between SIGTERM and SIGKILL")
    parser.add_argument("--report", type=int, metavar="DESCRIPTOR", help="tell the exit code, stay for the background")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    _adopt_orphans()
    wake = _wake_on_signals()
    try:
        child = subprocess.Popen(options.command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{options.command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127
    reports = options.report is not None
    _wait(child, wake, lambda: child.poll() is None, hangs_up=reports)
    if reports and child.poll() is not None:
        _report(options.report, _exit_code(child))
        _wait(child, wake, lambda: bool(_living()))
    _end_descendants(child, options.grace)
    return _exit_code(child)


def _exit_code(child: subprocess.Popen[bytes]) -> int:
    code = child.wait()
    return code if code >= 0 else 128 - code


def _report(descriptor: int, code: int) -> None:
    """Close the output, whose reader may wait for its end, and report the exit code."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.write(descriptor, str(code).encode())
    os.close(descriptor)


def _adopt_orphans() -> None:
    """Make grandchildren whose parent ended our children, so that none escapes (Linux only; elsewhere psutil's
    tree still finds all that are attached)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wake_on_signals() -> int:
    """Turn SIGTERM, SIGINT, SIGHUP and SIGCHLD into bytes on a pipe; return its reading end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _wait(child: subprocess.Popen[bytes], wake: int, goes_on: Callable[[], bool], hangs_up: bool = False) -> None:
    """Return when it does not go on, its owner closed our standard input, or a signal asked us to end."""
    owner = sys.stdin.fileno()
    while goes_on():
        readable, _, _ = select.select([owner, wake], [], [])
        if owner in readable:
            if not os.read(owner, 4096):
                return
            if hangs_up:
                _hang_up(child)
        if wake in readable and set(os.read(wake, 4096)) - {signal.SIGCHLD}:
            return
        _reap(child)


def _hang_up(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGHUP)


def _end_descendants(child: subprocess.Popen[bytes], grace: float) -> None:
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while (rest := _living()) and time.monotonic() < deadline:
        _signal(
            (process for process in rest if process.pid not in asked), signal.SIGTERM
        )  # once each, also those started later
        asked |= {process.pid for process in rest}
        _reap(child)
        time.sleep(_POLL_SECONDS)
    while rest := _living():  # a loop, because a process may start another one before it ends
        _signal(rest, signal.SIGKILL)
        _reap(child)
        time.sleep(_POLL_SECONDS)
    _reap(child)


def _living() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _reap(child: subprocess.Popen[bytes]) -> None:
    """Reap adopted children. The command itself is left to `Popen`, which needs its exit code."""
    child.poll()
    for process in psutil.Process().children():
        if process.pid != child.pid and not _is_alive(process):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(main())
