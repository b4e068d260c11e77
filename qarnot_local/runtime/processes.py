"""Local processes that end with the cluster: each runs under the lifeline program, whose standard input we hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

# A program of its own, without the imports of this package: it is run by its path, and never imported.
_LIFELINE = Path(__file__).parents[2] / "run_qarnot" / "lifeline.py"
GRACE = 3.0  # seconds between SIGTERM and SIGKILL


_POLL_SECONDS = 0.02
_MARK = "TASK_PATH"  # a variable of all processes of one instance, and of no others


class Child(asyncio.subprocess.Process):
    """A started lifeline program."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol, report: _Report | None) -> None:
        super().__init__(transport, protocol, asyncio.get_running_loop())
        self._report = report
        self._own_transport = transport
        self._exited = protocol.exited

    async def wait(self) -> int:
        """Until it has exited. Python's own wait goes on for as long as anybody holds the pipes."""
        await self._exited.wait()
        assert self.returncode is not None
        return self.returncode

    async def command_ended(self) -> int:
        """Until the command has ended; what it left in the background goes on. Returns the exit code."""
        code = await self._report.code if self._report else None
        return await self.wait() if code is None else code

    def hang_up(self) -> None:
        """Send SIGHUP to the command."""
        if self.stdin:
            self.stdin.write(b"\n")

    def close(self) -> None:
        """Close our ends of the pipes."""
        self._own_transport.close()


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    def __init__(self) -> None:
        super().__init__(limit=65536, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class _Report:
    """What the lifeline program says when its command ends: the exit code, or nothing when it ends as well."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self.code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def _read(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reader)
        text = os.read(self._reader, 16)
        os.close(self._reader)
        if not self.code.done():
            self.code.set_result(int(text) if text else None)


async def spawn(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: int,
    stderr: int,
    *,
    has_background: bool = False,
) -> Child:
    """Start a command under the lifeline program; its `stdin` is the lifeline, not the command's input.

    What a command that `has_background` leaves there lives on when it ends, for as long as the lifeline is held.

    Python makes pipes that children do not inherit, so the writing end of the lifeline is ours alone: the kernel
    closes it whatever kills us.
    """
    report = _Report() if has_background else None
    # -P: the folder of the lifeline program must not become a place to import from.
    lifeline = [sys.executable, "-P", str(_LIFELINE), "--grace", str(GRACE)]
    try:
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            _Protocol,
            *lifeline,
            *(["--report", str(report.writer)] if report else []),
            "--",
            *command,
            cwd=folder,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=[report.writer] if report else [],
        )
    finally:
        if report:
            os.close(report.writer)
    return Child(transport, protocol, report)


class Process:
    """A task's main command, with all its descendants, and what it prints."""

    def __init__(self, process: Child, pumps: list[asyncio.Task[None]], mark: str) -> None:
        self._process = process
        self._pumps = pumps
        self._mark = mark

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
    ) -> Process:
        pipe = asyncio.subprocess.PIPE
        process = await spawn(command, folder, environment, pipe, pipe)
        assert process.stdout
        assert process.stderr
        pumps = [asyncio.create_task(_pump(process.stdout, stdout)), asyncio.create_task(_pump(process.stderr, stderr))]
        return cls(process, pumps, environment.get(_MARK, ""))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The command's exit code (128 + N for signal N), once all it printed has been read.

        -N when signal N ended not the command but its lifeline, which nobody can forbid: then we end the others.
        """
        code = await self._process.wait()
        if code < 0:
            await asyncio.to_thread(_kill_all, self._mark)
        _, unread = await asyncio.wait(self._pumps, timeout=GRACE)
        if unread:  # an escaped process holds the pipes
            self._process.close()
        return code

    def kill(self) -> None:
        """End all at once, as when the machine goes away. Returns at once."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self.end()

    def end(self) -> None:
        """Ask for the end, gently at first. Returns at once; `wait` tells when it is done."""
        if self._process.stdin:
            self._process.stdin.close()


async def _pump(reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
    while data := await reader.read(65536):
        write(data)


def _kill_all(mark: str) -> None:
    """Kill every process of an instance, repeatedly, because a dying process may still have started another."""
    deadline = time.monotonic() + GRACE
    while mark and (rest := [each for each in psutil.process_iter() if _has(each, mark)]):
        for process in rest:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_MARK) == mark
    except psutil.Error:  # gone meanwhile, or another user's
        return False
