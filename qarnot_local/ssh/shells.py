"""Runs shells and commands of SSH sessions in the job folder, with a terminal if requested."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from qarnot_local.runtime.commands import in_place
from qarnot_local.runtime.processes import GRACE, Child, spawn

_DRAIN_SECONDS = 0.5
_Process = asyncssh.SSHServerProcess[bytes]


class Shells:
    """The shells of one task. They end with their connection; their background processes end with the task. All of them
    end with the cluster.

    The lifeline gives a command no input of its own, but its own output. So that output is something that can also be
    read from (a terminal, or one end of a socket pair), and the command takes it as its input: `<&1`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._running: set[Child] = set()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._running if process.returncode is None]

    async def end(self) -> None:
        """Ask all to end, and wait until they have."""
        running = list(self._running)
        for process in running:
            if process.stdin:
                process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE + 2):
                await asyncio.gather(*(process.wait() for process in running))

    async def serve(self, session: _Process) -> None:
        """Run what one SSH session asks for; asyncssh calls this for each."""
        try:
            code = await (self._with_terminal(session) if session.term_type else self._without_terminal(session))
        except (OSError, asyncssh.Error) as error:
            session.stderr.write(f"The session could not be served: {error}\n".encode())
            code = 255
        session.exit(code)

    def _command(self, session: _Process) -> list[str]:
        shell = self._environment.get("SHELL", "/bin/sh")
        if session.command:
            return [shell, "-c", in_place(session.command, "/job", self.folder)]
        return [shell, "-i" if session.term_type else "-s"]

    async def _with_terminal(self, session: _Process) -> int:
        ours, theirs = os.openpty()
        try:
            _resize(ours, session.term_size)
            # A session leader that opens a terminal gets it as its own: this is what makes Ctrl-C and job control work.
            command = ["/bin/sh", "-c", 'exec "$@" <>"$0" >&0 2>&1', os.ttyname(theirs), *self._command(session)]
            variables = _connection(session) | {"TERM": session.term_type or "dumb"}
            process = await self._spawn(command, theirs, theirs, variables)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        pipe_in = os.fdopen(os.dup(ours), "rb", 0)
        pipe_out = os.fdopen(ours, "wb", 0)
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe_in)
        writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe_out)
        writer = asyncio.StreamWriter(writing, protocol, None, loop)
        try:
            return await self._serve(session, process, reader, writer, ours)
        finally:
            reading.close()
            writing.close()

    async def _without_terminal(self, session: _Process) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            command = ["/bin/sh", "-c", 'exec "$@" <&1', "sh", *self._command(session)]
            process = await self._spawn(command, theirs.fileno(), asyncio.subprocess.PIPE, _connection(session))
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            return await self._serve(session, process, reader, writer, None)
        finally:
            writer.close()

    async def _spawn(self, command: list[str], stdout: int, stderr: int, more: Mapping[str, str]) -> Child:
        environment = {**self._environment, **more}
        process = await spawn(command, self.folder, environment, stdout, stderr, has_background=True)
        self._running = {each for each in self._running if each.returncode is None} | {process}
        return process

    async def _serve(
        self,
        session: _Process,
        process: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        terminal: int | None,
    ) -> int:
        """Until the command has ended and all it printed is sent; or the client went away."""
        outputs = [asyncio.create_task(_copy(reader, session.stdout))]
        if process.stderr:
            outputs.append(asyncio.create_task(_copy(process.stderr, session.stderr)))
        incoming = asyncio.create_task(_type(session, writer, terminal))
        end = asyncio.create_task(_end(process, outputs, terminal is not None))
        gone = asyncio.create_task(session.wait_closed())
        try:
            await asyncio.wait({end, gone}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return end.result()
            process.hang_up()
            return 255
        finally:
            for each in (*outputs, incoming, end, gone):
                each.cancel()


def _connection(session: _Process) -> dict[str, str]:
    """What OpenSSH's server tells a command of where it comes from."""
    (client, client_port, *_), (server, server_port, *_) = map(session.get_extra_info, ("peername", "sockname"))
    return {"SSH_CONNECTION": f"{client} {client_port} {server} {server_port}"}


async def _end(process: Child, outputs: list[asyncio.Task[None]], has_terminal: bool) -> int:
    """The exit code. As OpenSSH does, wait for those in the background who hold the output, but not a terminal."""
    code = await process.command_ended()
    await asyncio.wait(outputs, timeout=_DRAIN_SECONDS if has_terminal else None)
    return code


async def _copy(reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # a terminal whose other side ended; a client that left
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _type(session: _Process, writer: asyncio.StreamWriter, terminal: int | None) -> None:
    """What the client sends becomes the command's input; its end of input too, where that can be said."""
    with contextlib.suppress(OSError):
        while True:
            try:
                data = await session.stdin.read(65536)
            except asyncssh.TerminalSizeChanged as change:
                if terminal is not None:
                    _resize(terminal, change.term_size)
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                continue
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof() and terminal is None:
            writer.write_eof()


def _resize(terminal: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, width, height = size
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
