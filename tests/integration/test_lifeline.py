"""A command under a lifeline ends with its owner, whatever either of them does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.repository import ROOT
from support.waiting import wait_until

pytestmark = pytest.mark.slow

LIFELINE = [sys.executable, "-m", "run_qarnot.lifeline", "--grace", "0.2", "--"]

# Writes its number once nothing gentle can end it, then stays.
STUBBORN = """
import os, pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.getsid(0) != os.getpid():
    os.setsid()
path = pathlib.Path(sys.argv[1])
path.with_suffix(".new").write_text(str(os.getpid()))
path.with_suffix(".new").rename(path)
while True:
    signal.pause()
"""


def start(*command: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*LIFELINE, *map(str, command)], stdin=subprocess.PIPE, cwd=ROOT)


@contextmanager
def running(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A lifeline that is cut at the end, whatever the test finds."""
    with start(*command) as lifeline:
        try:
            yield lifeline
        finally:
            lifeline.stdin and lifeline.stdin.close()


def pid_in(path: Path) -> int:
    wait_until(path.exists, f"{path.name} to be written")
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["no-program-of-that-name"], 127),
    ],
)
def test_the_exit_code_is_that_of_the_command(command: list[str], code: int) -> None:
    with running(*command) as lifeline:
        assert lifeline.wait(10) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_command(tmp_path: Path, number: signal.Signals) -> None:
    with running(sys.executable, "-c", STUBBORN, tmp_path / "pid") as lifeline:
        pid = pid_in(tmp_path / "pid")
        lifeline.send_signal(number)
        assert lifeline.wait(10) == 128 + signal.SIGKILL
        assert is_gone(pid)


def test_a_command_that_listens_ends_gently(tmp_path: Path) -> None:
    program = f"trap 'exit 7' TERM; echo $$ > '{tmp_path}/pid.new'; mv '{tmp_path}/pid.new' '{tmp_path}/pid'; cat <&3"
    with running("sh", "-c", f"mkfifo '{tmp_path}/never'; exec 3<>'{tmp_path}/never'; {program} & wait") as lifeline:
        pid = pid_in(tmp_path / "pid")
        lifeline.terminate()
        lifeline.wait(10)
        assert is_gone(pid)


def test_when_the_owner_lets_go_even_a_stubborn_grandchild_ends(tmp_path: Path) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    python = f"'{sys.executable}' '{program}'"
    script = f"{python} '{tmp_path}/grandchild' & exec {python} '{tmp_path}/child'"
    with running("sh", "-c", script) as lifeline:
        pids = [pid_in(tmp_path / "child"), pid_in(tmp_path / "grandchild")]
        assert lifeline.stdin
        lifeline.stdin.close()
        lifeline.wait(10)
        assert all(map(is_gone, pids))


def test_what_an_ended_command_leaves_running_ends_too(tmp_path: Path) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    leave = (
        "import pathlib, subprocess, sys, threading\n"
        "subprocess.Popen([sys.executable, *sys.argv[1:]])\n"
        "while not pathlib.Path(sys.argv[2]).exists(): threading.Event().wait(0.01)\n"
        "sys.exit(5)\n"
    )
    with running(sys.executable, "-c", leave, program, tmp_path / "pid") as lifeline:
        pid = pid_in(tmp_path / "pid")
        assert lifeline.wait(10) == 5
        assert is_gone(pid)


def test_an_owner_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """Nobody can clean up after kill -9; the closed pipe tells."""
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    own = (
        "import subprocess, sys\n"
        "lifeline = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)\n"
        "print(lifeline.pid, flush=True)\n"
        "lifeline.wait()\n"
    )
    command = [sys.executable, "-c", own, *LIFELINE, sys.executable, str(program), str(tmp_path / "pid")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as owner:
        assert owner.stdout
        pids = [int(owner.stdout.readline()), pid_in(tmp_path / "pid")]
        os.kill(owner.pid, signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, pids)), "the lifeline and the command to end")


def test_an_owner_that_writes_does_not_end_it(tmp_path: Path) -> None:
    with running(sys.executable, "-c", STUBBORN, tmp_path / "pid") as lifeline:
        pid = pid_in(tmp_path / "pid")
        assert lifeline.stdin
        lifeline.stdin.write(b"hello\n")
        lifeline.stdin.flush()
        lifeline.send_signal(signal.SIGCHLD)  # wakes it up
        assert not is_gone(pid)
