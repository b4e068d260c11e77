"""The kernel's half of a download: a file, streamed to the holder of a ticket (`download_route` is the server's half).

The server makes a private folder and names it in `RUN_QARNOT_DOWNLOADS`. Each download gets a random ticket and a Unix
socket in that folder, named after the ticket's hash, to which the route that the browser opens connects. A ticket is
valid for one connection within a minute. Nothing is written to a disk, and memory is limited to a few parts: the thread
that produces the file waits when the browser is slow.

A frame on the socket is a length of four bytes and the data; length zero ends the file. If the frames end without it,
the route aborts its connection, so that half a file never looks complete.
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

# The file types that are offered: none that a browser would show or run as a page of ours.
MEDIA_TYPES = {
    "zip": "application/zip",
    "bat": "application/octet-stream",
    "command": "application/octet-stream",
    "sh": "application/octet-stream",
}

Content = Callable[[], Iterator[bytes]]


def socket_path(folder: Path, ticket: str) -> Path:
    """Return the path of a ticket's socket. It is short, because socket paths are limited to about 100 characters."""
    return folder / f"{hashlib.sha256(ticket.encode()).hexdigest()[:24]}.sock"


class Downloads:
    """The downloads of one kernel."""

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
        """Return an address of the file, valid once and for a minute.

        Arguments:
            name: of the file, with an ending that is in `MEDIA_TYPES`.
            make_content: makes the blocking generator; called in a thread when the browser comes.
            failed: called with the error of a download that failed.

        Raises:
            TransferError: this server offers no downloads.
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
            return  # no browser connected, or it closed the connection: no error
        except Exception as error:  # noqa: BLE001  the top of a task: whatever it was, the page says so
            failed(error)


async def _stream(writer: asyncio.StreamWriter, make_content: Content) -> None:
    """Send the file as frames. After an error the last, empty frame is not sent."""
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
    """Join small chunks and split large ones, so that frames have a size that is worth a change of thread."""
    frame = bytearray()
    for chunk in chunks:
        frame += chunk
        while len(frame) >= _FRAME_BYTES:
            yield bytes(frame[:_FRAME_BYTES])
            del frame[:_FRAME_BYTES]
    if frame:
        yield bytes(frame)
