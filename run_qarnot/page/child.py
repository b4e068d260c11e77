"""Background programs of a server, which end with it even if it is killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

_TAIL_BYTES = 4000
_USER_ERROR = 1  # exit code of an error that the user can fix; two lines on stderr explain it


class ChildServer:
    """A running program. `python -m run_qarnot.lifeline` ends it when the pipe that we hold closes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._errors = asyncio.create_task(_copy_to_log(process.stderr))

    @classmethod
    async def start(cls, module: str, *options: str, environment: Mapping[str, str]) -> ChildServer:
        """Start `python -m module options…`.

        Raises:
            OSError: it cannot be started.
        """
        python = [sys.executable, "-P", "-m"]  # -P: the current folder is not searched for modules
        process = await asyncio.create_subprocess_exec(
            *python, "run_qarnot.lifeline", "--", *python, module, *options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip
        return cls(process)

    async def read_line(self) -> str:
        """Return the next line that it prints; empty when it has ended."""
        return (await self._stdout.readline()).decode()

    async def wait(self) -> str:
        """Wait for its end; return the two lines that explain an error which the user can fix, else an empty text."""
        while await self._stdout.read(_TAIL_BYTES):
            pass
        said = await self._errors
        code = await self._process.wait()
        return " ".join(said.strip().splitlines()[-2:]) if code == _USER_ERROR and "Traceback" not in said else ""

    def end(self) -> None:
        """Ask it to end."""
        self._stdin.close()


async def _copy_to_log(stream: asyncio.StreamReader) -> str:
    """Copy a program's standard error to ours; return the end of it."""
    tail = b""
    while chunk := await stream.read(_TAIL_BYTES):
        sys.stderr.write(chunk.decode(errors="replace"))
        tail = (tail + chunk)[-_TAIL_BYTES:]
    return tail.decode(errors="replace")
