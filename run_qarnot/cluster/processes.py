"""Local processes that cannot outlive us: each is run by the lifeline program, whose standard input we hold."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_LIFELINE = Path(__file__).resolve().parent.parent / "lifeline.py"
GRACE = 3.0  # seconds between SIGTERM and SIGKILL


async def spawn(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: int, stderr: int
) -> asyncio.subprocess.Process:
    """Start a command under the lifeline program; its `stdin` is the lifeline, not the command's input.

    Python makes pipes that children do not inherit, so the writing end of the lifeline is ours alone: the kernel
    closes it whatever kills us.
    """
    # -P: the folder of the lifeline program must not become a place to import from.
    lifeline = [sys.executable, "-P", str(_LIFELINE), "--grace", str(GRACE), "--"]
    return await asyncio.create_subprocess_exec(
        *lifeline,
        *command,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def listening_ports(pids: Iterable[int]) -> set[int]:
    """The TCP ports on which these processes or their descendants listen."""
    ports = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    for connection in process.net_connections("tcp"):
                        if connection.status == psutil.CONN_LISTEN:
                            ports.add(connection.laddr.port)
    return ports


class Process:
    """A task's main command, with all its descendants, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process, pumps: list[asyncio.Task[None]]) -> None:
        self._process = process
        self._pumps = pumps

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
        return cls(process, pumps)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The command's exit code (128 + N for signal N), once all it printed has been read."""
        code = await self._process.wait()
        await asyncio.gather(*self._pumps)
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
