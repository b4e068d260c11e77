"""The kernel's half of a download: a file, streamed to whoever shows the ticket (`download_route` is the other half).

The server makes a private folder and names it in `RUN_QARNOT_DOWNLOADS`. For each download we make an unguessable
ticket and listen on a Unix socket there, called after the ticket's hash; the route that the browser opens connects to
it. One connection, once, within a minute. Nothing is written to a disk, and the memory needed is a few parts: the file
is made in a thread that waits whenever the browser is slow.

On the socket a frame is four bytes of length and as many bytes; length zero says that the file is complete. When the
frames end without it, the route breaks its connection too, so that half a file never looks like a whole one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from urllib.parse import quote

from run_qarnot.core.errors import TransferError
from run_qarnot.core.messages import Message
from run_qarnot.engine.daemon_executor import in_thread

FOLDER_VARIABLE = "RUN_QARNOT_DOWNLOADS"
ROUTE = "run-qarnot/download"
LENGTH_BYTES = 4
_FRAME_BYTES = 256 * 1024
_TICKET_SECONDS = 60.0

# What may be offered, and as what: never something that a browser would show, or run, as a page of ours.
MEDIA_TYPES = {
    "zip": "application/zip",
    "bat": "application/octet-stream",
    "command": "application/octet-stream",
    "sh": "application/octet-stream",
}

Content = Callable[[], Iterator[bytes]]


def socket_path(folder: Path, ticket: str) -> Path:
    """Where the kernel listens for a ticket. Short, because socket paths end at about 100 characters."""
    return folder / f"{hashlib.sha256(ticket.encode()).hexdigest()[:24]}.sock"


class Downloads:
    """Tickets of one kernel."""

    def __init__(self, folder: Path | None, base_url: str = "/", ticket_seconds: float = _TICKET_SECONDS) -> None:
        self._folder = folder
        self.base_url = base_url
        self._ticket_seconds = ticket_seconds
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    def from_environment(cls) -> Downloads:
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None, os.environ.get("VOILA_BASE_URL", "/"))

    @property
    def folder(self) -> Path | None:
        """The server's private folder, if there is one."""
        return self._folder if self._folder is not None and self._folder.is_dir() else None

    async def offer(self, name: str, make_content: Content, failed: Callable[[BaseException], None]) -> str:
        """Return the address, valid once and for a minute, at which the browser gets the file.

        Arguments:
            name: of the file, with an ending that is in `MEDIA_TYPES`.
            make_content: makes the blocking generator; called in a thread when the browser comes.
            failed: is told why a download broke.

        Raises:
            TransferError: nobody serves downloads here.
        """
        folder = self.folder
        if folder is None or not hasattr(asyncio, "start_unix_server"):
            problem = Message("no-downloads")
            raise TransferError("download", name=name, problem=problem)
        ticket = secrets.token_urlsafe(32)
        path = socket_path(folder, ticket)
        visitor: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

        async def come(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if visitor.done():
                writer.close()
            else:
                visitor.set_result(writer)

        server = await asyncio.start_unix_server(come, path)
        path.chmod(0o600)
        task = asyncio.get_running_loop().create_task(self._serve(server, path, visitor, make_content, failed))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return f"{self.base_url.rstrip('/')}/{ROUTE}/{ticket}/{quote(name, safe='')}"

    async def _serve(
        self,
        server: asyncio.Server,
        path: Path,
        visitor: asyncio.Future[asyncio.StreamWriter],
        make_content: Content,
        failed: Callable[[BaseException], None],
    ) -> None:
        try:
            try:
                writer = await asyncio.wait_for(visitor, self._ticket_seconds)
            finally:
                server.close()
                path.unlink(missing_ok=True)  # noqa: ASYNC240  a socket: no disk to wait for
            await _stream(writer, make_content)
        except (TimeoutError, ConnectionError):
            return  # nobody came, or the browser broke off: not an error of ours
        except Exception as error:  # noqa: BLE001  the top of a task: whatever it was, the page says so
            failed(error)


async def _stream(writer: asyncio.StreamWriter, make_content: Content) -> None:
    """Send the file as frames; without the last, empty one when anything fails."""
    pieces = await in_thread(lambda: _frames(make_content()))
    try:
        while (frame := await in_thread(next, pieces, None)) is not None:
            writer.write(len(frame).to_bytes(LENGTH_BYTES) + frame)
            await writer.drain()
        writer.write(bytes(LENGTH_BYTES))
        await writer.drain()
    finally:
        await in_thread(pieces.close)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _frames(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Gather small pieces and cut large ones, so that each frame is worth its way through a thread."""
    frame = bytearray()
    for chunk in chunks:
        frame += chunk
        while len(frame) >= _FRAME_BYTES:
            yield bytes(frame[:_FRAME_BYTES])
            del frame[:_FRAME_BYTES]
    if frame:
        yield bytes(frame)
